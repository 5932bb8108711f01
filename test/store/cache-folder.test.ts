import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { Volume } from '../../proxy-core/store/disk/volume.ts';
import type { Store, StoreOptions } from '../../proxy-core/store/index.ts';
import { harm, type Operation, system } from './harm.ts';
import { address, afterTest, filesIn, headOf, noise, openStore, type TestStore, tempFolder, until } from './helpers.ts';

const BODY = noise(1000);
/** The start waits for no disk for longer than this, ms: a second, and what a busy machine adds. */
const SOON = 3000;
const OPTIONS: Partial<StoreOptions> = { diskTimeout: 200 };

/** Keeps a small object, if it can. */
async function keep(store: Store, key: string): Promise<void> {
  const entry = await store.catalog.look(address(key));
  const head = headOf(BODY.length);
  const stamp = { validatedAt: store.now(), epoch: entry.epoch };
  store.adopt(entry, head, stamp);
  await store.keepSmall(entry, head, stamp, BODY, { ram: false, compress: false });
}

const keptIn = (folder: string) => filesIn(join(folder, 'buckets')).length;

async function soon(folder: string, options: Partial<StoreOptions> = {}): Promise<TestStore> {
  const began = performance.now();
  const opened = await openStore(folder, { ...OPTIONS, ...options });
  expect(performance.now() - began).toBeLessThan(SOON);
  return opened;
}

describe('a start', () => {
  it.each<[string, readonly Operation[], ((path: string) => NodeJS.ErrnoException | undefined) | undefined, RegExp]>([
    ['that hangs', ['open', 'stat', 'mkdir', 'writeFile', 'readFile', 'statfs'], undefined, /did not answer in time/],
    ['that is read-only', ['mkdir', 'writeFile'], () => system('EROFS'), /read-only \(EROFS\)\. Mount it writable/],
    ['that is not connected', ['open', 'stat', 'mkdir', 'writeFile'], () => system('ENOTCONN'), /ENOTCONN.*Mount it/],
    ['that is full', ['mkdir', 'writeFile'], () => system('ENOSPC'), /ENOSPC.*Make room/],
    ['that fails', ['open', 'stat'], () => system('EIO'), /EIO/],
  ])('on a volume %s goes on without it, says so, and uses it when it is well', async (_, operations, fails, words) => {
    const folder = join(tempFolder(), 'cache');
    const { mend } = harm(operations, fails);
    const { store, problems } = await soon(folder);
    expect(problems.get('cache_folder')).toMatch(/can't be used at the moment, so reads go to S3/);
    expect(problems.get('cache_folder')).toMatch(words);
    expect(store.takesFills).toBe(false);
    await keep(store, 'before');
    expect(existsSync(folder)).toBe(false);
    mend();
    await until(() => store.takesFills && readdirSync(join(folder, 'instances')).length === 1);
    expect(problems.get('cache_folder')).toBeUndefined();
    expect(JSON.parse(readFileSync(join(folder, 'cistern.json'), 'utf8'))).toMatchObject({ format: 1 });
    await until(async () => {
      await keep(store, 'after');
      return keptIn(folder) === 1;
    });
  });

  it('never writes to nor reads from a folder whose format could not be checked', async () => {
    const folder = tempFolder();
    const before = await openStore(folder);
    await keep(before.store, 'key');
    await before.close();
    writeFileSync(join(folder, 'cistern.json'), '{"format":2}\n');
    const files = () => readdirSync(folder, { recursive: true }).sort();
    const seen = files();
    const { mend } = harm(['open'], path => (path.endsWith('cistern.json') ? system('EIO') : undefined));
    const { store, problems } = await soon(folder);
    expect((await store.catalog.look(address('key'))).head).toBeUndefined();
    await keep(store, 'other');
    await store.moveOn([address('key')]);
    mend();
    await until(() => /has format 2, this version knows 1/.test(problems.get('cache_folder') ?? ''));
    await keep(store, 'other');
    expect(store.takesFills).toBe(false);
    expect(files()).toEqual(seen);
  });

  it.each(['EACCES', 'EPERM', 'ENOTDIR', 'ELOOP'])('ends where the folder can never be used (%s)', async code => {
    harm(['open'], () => system(code));
    await expect(openStore(tempFolder(), OPTIONS)).rejects.toThrow(
      new RegExp(`cache\\.cache_dir: .* can't be written \\(${code}.*Choose a folder`),
    );
  });

  it('on a read-only volume with a cache gives out what is there, and keeps nothing new', async () => {
    const folder = tempFolder();
    const before = await openStore(folder);
    await keep(before.store, 'key');
    await before.close();
    harm(['mkdir', 'writeFile', 'link'], () => system('EROFS'));
    const { store, problems, counters } = await soon(folder);
    const entry = await store.catalog.look(address('key'));
    const content = await store.read(entry, entry.head!, { start: 0, end: 999 }, { ram: false });
    expect(Buffer.concat(content?.pieces ?? []).equals(BODY)).toBe(true);
    content?.release();
    await until(() => problems.get('cache_writes'));
    expect(problems.get('cache_writes')).toMatch(/EROFS/);
    const errors = counters.disk_errors;
    for (let i = 0; i < 20; i++) await keep(store, `new-${i}`);
    expect(counters.disk_errors).toBe(errors);
    expect([...problems.keys()]).toEqual(['cache_writes']);
  });
});

/** A mount point with a cache folder on a volume, which can be another one or none: two folders behind one link. */
async function mounted() {
  const root = tempFolder();
  const point = join(root, 'mnt');
  for (const volume of ['one', 'none', 'two']) mkdirSync(join(root, volume));
  const mount = (volume: 'one' | 'none' | 'two', device: number) => {
    current = device;
    symlinkSync(join(root, volume), `${point}.new`);
    renameSync(`${point}.new`, point);
  };
  let current = 0;
  for (const operation of ['stat', 'fstat'] as const) {
    const real = Volume.prototype[operation] as (at: never) => Promise<{ dev: number }>;
    const spy = vi.spyOn(Volume.prototype, operation).mockImplementation(async function (this: Volume, at: never) {
      const stats = await real.call(this, at);
      return Object.assign(stats, { dev: current });
    } as never);
    afterTest(() => spy.mockRestore());
  }
  mount('one', 1);
  const folder = join(point, 'cache');
  const opened = await openStore(folder, OPTIONS);
  await keep(opened.store, 'first');
  const gone = () => until(() => /probably not mounted any more/.test(opened.problems.get('cache_folder') ?? ''));
  const back = () => until(() => opened.problems.get('cache_folder') === undefined && opened.store.takesFills);
  return { ...opened, root, folder, mount, gone, back };
}

describe('a volume that is taken away', () => {
  it('leaves a mount point in which nothing is made, and is used again when it is back', async () => {
    const { store, folder, root, mount, gone, back } = await mounted();
    mount('none', 2);
    await Promise.all([keep(store, 'second'), store.moveOn([address('written')])]);
    await gone();
    expect(store.takesFills).toBe(false);
    await keep(store, 'second');
    expect(readdirSync(join(root, 'none'))).toEqual([]);
    // The kernel gives a volume that is mounted anew another number.
    mount('one', 3);
    await back();
    await until(async () => {
      await keep(store, 'third');
      return keptIn(folder) >= 3;
    });
    await until(() => store.catalog.dirtyCount === 0);
    expect(readdirSync(join(root, 'none'))).toEqual([]);
  });

  it('and leaves a folder that is there already is noticed all the same', async () => {
    const { store, root, mount, gone } = await mounted();
    mkdirSync(join(root, 'none', 'cache', 'instances'), { recursive: true });
    mount('none', 2);
    await gone();
    await keep(store, 'second');
    expect(existsSync(join(root, 'none', 'cache', 'buckets'))).toBe(false);
    expect(existsSync(join(root, 'none', 'cache', 'tmp'))).toBe(false);
  });

  it('and replaced by another with a cache of its own is not taken for the same', async () => {
    const { store, root, mount, problems, back } = await mounted();
    const other = await openStore(join(root, 'two', 'cache'), OPTIONS);
    await other.close();
    mount('two', 4);
    await until(() => /another cache folder on another volume/.test(problems.get('cache_folder') ?? ''));
    await keep(store, 'second');
    expect(keptIn(join(root, 'two', 'cache'))).toBe(0);
    mount('one', 1);
    await back();
  });
});

describe('a cache folder whose volume is there', () => {
  it.each<[string, (folder: string) => void]>([
    [
      'emptied',
      folder => {
        for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
      },
    ],
    ['removed', folder => rmSync(folder, { recursive: true })],
    ['removed with what is above it', folder => rmSync(join(folder, '..'), { recursive: true })],
  ])('and that was %s is made anew, marker and all, and nobody is troubled', async (_, remove) => {
    const folder = join(tempFolder(), 'above', 'cache');
    const { store, problems } = await openStore(folder, OPTIONS);
    await keep(store, 'first');
    remove(folder);
    await until(async () => {
      await keep(store, 'second');
      return keptIn(folder) === 1;
    });
    expect(JSON.parse(readFileSync(join(folder, 'cistern.json'), 'utf8'))).toMatchObject({ format: 1 });
    expect(problems.size).toBe(0);
  });

  it('is left alone once the store is closed, whatever was on its way there', async () => {
    const folder = tempFolder();
    const { store, close } = await openStore(folder, OPTIONS);
    const real = store.volume.rename.bind(store.volume);
    let goOn = () => {};
    vi.spyOn(store.volume, 'rename').mockImplementation(async (from, to) => {
      if (to.endsWith('.head'))
        await new Promise<void>(resolve => {
          goOn = resolve;
        });
      return real(from, to);
    });
    const keeping = keep(store, 'late');
    await until(() => filesIn(join(folder, 'tmp')).length === 1);
    expect(await close()).toBe(true);
    const left = readdirSync(folder, { recursive: true }).sort();
    goOn();
    await keeping;
    expect(readdirSync(folder, { recursive: true }).sort()).toEqual(left);
    expect(keptIn(folder)).toBe(0);
  });

  it('is made by one of many processes that start at once, and all use it', async () => {
    const folder = join(tempFolder(), 'cache');
    const stores = await Promise.all(Array.from({ length: 8 }, () => openStore(folder, OPTIONS)));
    expect(stores.map(({ store, problems }) => [store.takesFills, problems.size])).toEqual(stores.map(() => [true, 0]));
    await until(() => readdirSync(folder).filter(name => name.startsWith('cistern.json')).length === 1);
  });
});
