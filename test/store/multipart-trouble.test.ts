import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { NotAsked } from '../../proxy-core/store/disk/operations.ts';
import { Volume } from '../../proxy-core/store/disk/volume.ts';
import type { Store } from '../../proxy-core/store/index.ts';
import { harm, system } from './harm.ts';
import { address, extentsIn, filesIn, halfWrittenIn, noise, openStore, tempFolder, until } from './helpers.ts';
import {
  CREATED,
  complete,
  copyOf,
  give,
  givenRightly,
  part,
  putPart,
  type SentPart,
  stagedFilesIn,
  stagedIn,
} from './multipart.ts';

const OBJECT = address('key');
const ID = 'id';
const MIB = 1 << 20;

const whole = (parts: readonly SentPart[]) => Buffer.concat(parts.map(({ content }) => content));

/** Operations of a volume, in order. */
type Run = Volume['run'];

/** The process dies after so many operations on the volume: none has an effect any more. Returns how many were asked for. */
function crashAfter(store: Store, count: number): () => number {
  const run: Run = store.volume.run.bind(store.volume);
  let asked = 0;
  store.volume.run = ((...args: Parameters<Run>) =>
    ++asked > count ? Promise.reject(new NotAsked('the process is gone')) : run(...args)) as Run;
  return () => asked;
}

/** From Create to Complete, as far as the process comes. */
async function upload(store: Store, parts: readonly SentPart[]): Promise<void> {
  await store.multipart.created(OBJECT, ID, CREATED);
  for (const sent of parts) {
    const copy = store.copyUpload(OBJECT, { length: sent.content.length, compression: 'off', onRoom: () => {} });
    copy?.push(sent.content);
    const kept = await copy?.end();
    if (kept) await store.multipart.keepPart(OBJECT, ID, { ...sent, checksums: [] }, kept);
  }
  await complete(store, OBJECT, ID, parts);
  await store.multipart.settled();
}

describe('a crash', () => {
  const parts = [part(1, noise(70_001, 1)), part(2, noise(131_072, 2)), part(3, noise(500, 3))];
  const content = whole(parts);

  it('at any point of an upload leaves nothing that is served wrong, and nothing that is not reclaimed', async () => {
    let done = false;
    let died = 0;
    for (let count = 0; !done; count += 2) {
      const folder = tempFolder();
      const dying = await openStore(folder);
      await dying.store.capacity.settled();
      const asked = crashAfter(dying.store, count);
      await upload(dying.store, parts);
      const left = stagedIn(folder).length;
      const { store } = await openStore(folder, { incompleteUploadTtl: 1 });
      const given = await givenRightly(store, OBJECT, content);
      if (given === content.length && asked() <= count) done = true;
      const entry = await store.catalog.look(OBJECT);
      const second = await store.catalog.parts.look(entry, 2);
      if (second) expect(second).toMatchObject({ start: 70_001, end: 70_001 + 131_071 });
      await until(() => stagedIn(folder).length === 0);
      if (left > 0) died++;
      await dying.close();
      await until(() => halfWrittenIn(folder).length === 0);
    }
    expect(died).toBeGreaterThan(5);
  }, 120_000);

  it('of one process leaves the upload to the others', async () => {
    const folder = tempFolder();
    const dying = await openStore(folder);
    await dying.store.multipart.created(OBJECT, ID, CREATED);
    await putPart(dying.store, OBJECT, ID, parts[0]!);
    crashAfter(dying.store, 0);
    const { store } = await openStore(folder);
    for (const sent of parts.slice(1)) await putPart(store, OBJECT, ID, sent);
    await complete(store, OBJECT, ID, parts);
    expect((await give(store, OBJECT))?.equals(content)).toBe(true);
  });
});

describe('damage to what waits for Complete', () => {
  const parts = [part(1, noise(9 * MIB, 1)), part(2, noise(6 * MIB + 7, 2)), part(3, noise(90, 3))];

  /** One byte of the file is another. */
  function damage(path: string, at: number): void {
    const file = readFileSync(path);
    const place = at < 0 ? file.length + at : at;
    file[place] = file[place]! ^ 0x40;
    writeFileSync(path, file);
  }

  it.each([
    ['content', 100_000],
    ['the index', -20],
  ])('to %s of a file costs that file, and is not served', async (_, at) => {
    const folder = tempFolder();
    const { store, counters } = await openStore(folder);
    await store.multipart.created(OBJECT, ID, CREATED);
    for (const sent of parts) await putPart(store, OBJECT, ID, sent);
    damage(stagedFilesIn(folder).find(path => path.endsWith(`.0-${6 * MIB + 6}`)) ?? '', at);
    await complete(store, OBJECT, ID, parts);
    expect(await give(store, OBJECT)).toBeUndefined();
    const given = await givenRightly(store, OBJECT, whole(parts));
    expect(given).toBeGreaterThanOrEqual(9 * MIB);
    expect(given).toBeLessThan(15 * MIB);
    expect(counters.disk_corrupt + counters.disk_errors).toBeGreaterThan(0);
    await until(() => stagedIn(folder).length === 0 && halfWrittenIn(folder).length === 0);
  });

  it.each([
    ['the record of a part', /\/2-[0-9a-f]+\.json$/],
    ['what Create told', /create\.json$/],
  ])('to %s costs the upload', async (_, name) => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    await store.multipart.created(OBJECT, ID, CREATED);
    for (const sent of parts) await putPart(store, OBJECT, ID, sent);
    damage(stagedFilesIn(folder).find(path => name.test(path)) ?? '', 40);
    await complete(store, OBJECT, ID, parts);
    expect((await store.catalog.look(OBJECT)).head).toBeUndefined();
    expect(extentsIn(folder)).toEqual([]);
  });

  it('to the only file of a small object costs its bytes', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    await store.multipart.created(OBJECT, ID, CREATED);
    await putPart(store, OBJECT, ID, parts[2]!);
    damage(stagedFilesIn(folder).find(path => path.endsWith('.0-89')) ?? '', 30);
    await complete(store, OBJECT, ID, [parts[2]!]);
    expect(await give(store, OBJECT)).toBeUndefined();
  });

  it('to the table of parts costs the table', async () => {
    const folder = tempFolder();
    const first = await openStore(folder);
    await upload(first.store, [part(1, noise(200_000)), part(2, noise(100))]);
    await first.close();
    const table = filesIn(folder).find(path => path.endsWith('parts.json')) ?? '';
    damage(table, 60);
    const { store, counters } = await openStore(folder);
    const entry = await store.catalog.look(OBJECT);
    expect(await store.catalog.parts.look(entry, 1)).toBeUndefined();
    expect(counters.disk_corrupt).toBe(1);
    expect(filesIn(folder)).not.toContain(table);
  });
});

describe('a disk', () => {
  const parts = [part(1, noise(9 * MIB, 1)), part(2, noise(6 * MIB, 2))];

  /** Fails (or, without an error, hangs) at this operation on paths that match. */
  function fail(operation: 'rename' | 'link' | 'unlink' | 'mkdir', path: RegExp, error?: Error): () => void {
    const real = Volume.prototype[operation] as (...args: string[]) => Promise<unknown>;
    let mend = () => {};
    const mended = new Promise<void>(resolve => {
      mend = resolve;
    });
    const spy = vi.spyOn(Volume.prototype, operation).mockImplementation(async function (
      this: Volume,
      ...args: unknown[]
    ) {
      if (args.some(arg => path.test(String(arg)))) {
        if (error) throw error;
        await mended;
      }
      return real.apply(this, args as string[]);
    } as never);
    const end = () => {
      spy.mockRestore();
      mend();
    };
    onTestFinished(end);
    return end;
  }

  it('that is full when a part has come costs the part, and the upload', async () => {
    const folder = tempFolder();
    const { store, problems } = await openStore(folder);
    await store.multipart.created(OBJECT, ID, CREATED);
    await putPart(store, OBJECT, ID, parts[0]!);
    const mend = fail('rename', /\/2-[0-9a-f]+\.json$/, system('ENOSPC'));
    await putPart(store, OBJECT, ID, parts[1]!);
    mend();
    expect(problems.get('write ENOSPC')).toMatch(/full/);
    await until(() => stagedFilesIn(folder).length === 4 && halfWrittenIn(folder).length === 0);
    // The client sends it again.
    await putPart(store, OBJECT, ID, parts[1]!);
    await complete(store, OBJECT, ID, parts);
    expect((await give(store, OBJECT))?.equals(whole(parts))).toBe(true);
  });

  it('that can’t be written from the start is not asked to keep parts', async () => {
    const folder = tempFolder();
    const first = await openStore(folder);
    await first.close();
    harm(['writeFile'], () => system('EROFS'));
    const { store, counters } = await openStore(folder);
    await store.multipart.created(OBJECT, ID, CREATED);
    expect(stagedIn(folder)).toEqual([]);
    expect(counters.disk_errors).toBe(0);
  });

  it('that refuses a file its place costs that file', async () => {
    const folder = tempFolder();
    const { store, counters } = await openStore(folder);
    await store.multipart.created(OBJECT, ID, CREATED);
    for (const sent of parts) await putPart(store, OBJECT, ID, sent);
    fail('link', new RegExp(`/${9 * MIB}-`), system('EIO'));
    await complete(store, OBJECT, ID, parts);
    expect(counters.disk_errors).toBe(1);
    expect((await give(store, OBJECT, 0, 9 * MIB - 1))?.equals(parts[0]!.content)).toBe(true);
    expect(await give(store, OBJECT, 9 * MIB)).toBeUndefined();
    await until(() => halfWrittenIn(folder).length === 0);
  });

  it('without links moves the files', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder, { uploadPercent: 100 });
    await store.multipart.created(OBJECT, ID, CREATED);
    for (const sent of parts) await putPart(store, OBJECT, ID, sent);
    fail('link', /./, system('EPERM'));
    await complete(store, OBJECT, ID, parts);
    expect((await give(store, OBJECT))?.equals(whole(parts))).toBe(true);
    await store.multipart.settled();
    expect(store.capacity.bytes).toBeLessThan(16 * MIB);
    await until(() => halfWrittenIn(folder).length === 0);
  });

  it('that hangs makes no client wait beyond its deadline; what it does after that counts', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder, { diskTimeout: 300 });
    const created = fail('mkdir', /uploads/);
    await store.multipart.created(OBJECT, ID, CREATED);
    expect(stagedIn(folder)).toEqual([]);
    created();
    await until(() => stagedFilesIn(folder).length === 1);
    const kept = await Promise.all(parts.map(({ content }) => copyOf(store, OBJECT, content)));
    const moved = fail('rename', /uploads/);
    await store.multipart.keepPart(OBJECT, ID, { ...parts[0]!, checksums: [] }, kept[0]!);
    await store.multipart.keepPart(OBJECT, ID, { ...parts[1]!, checksums: [] }, kept[1]!);
    expect(stagedFilesIn(folder)).toHaveLength(1);
    moved();
    await store.multipart.settled();
    const linked = fail('link', /buckets/);
    await complete(store, OBJECT, ID, parts);
    expect(extentsIn(folder)).toEqual([]);
    linked();
    await store.multipart.settled();
    expect((await give(store, OBJECT))?.equals(whole(parts))).toBe(true);
    const aborted = fail('rename', /uploads/);
    await store.multipart.created(OBJECT, 'two', CREATED);
    await store.multipart.abort(OBJECT, 'two');
    aborted();
    await store.multipart.settled();
    await until(() => halfWrittenIn(folder).length === 0);
  });

  it('that is stopped with an upload in hand ends in time, and loses nothing but that', async () => {
    const folder = tempFolder();
    const first = await openStore(folder);
    await first.store.multipart.created(OBJECT, ID, CREATED);
    for (const sent of parts) await putPart(first.store, OBJECT, ID, sent);
    const completing = complete(first.store, OBJECT, ID, parts);
    expect(await first.close()).toBe(true);
    await completing;
    expect(filesIn(join(folder, 'tmp'))).toEqual([]);
    const { store } = await openStore(folder);
    await givenRightly(store, OBJECT, whole(parts));
  });
});
