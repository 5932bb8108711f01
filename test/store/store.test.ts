import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EXTENT, type Head, SMALL, type Store } from '../../proxy-core/store/index.ts';
import {
  address,
  afterTest,
  filesIn,
  headOf,
  keepLarge as keepVersion,
  noise,
  openStore,
  prose,
  startFill,
  tempFolder,
  until,
} from './helpers.ts';

const OBJECT = address('key');
const STAMP = { validatedAt: 1_700_000_000_000, epoch: '' };

async function keepSmall(store: Store, head: Head, body: Buffer, compress = false): Promise<void> {
  const entry = await store.catalog.look(OBJECT);
  store.adopt(entry, head, STAMP);
  await store.keepSmall(entry, head, STAMP, body, { ram: false, compress });
}

async function keepLarge(store: Store, key: string, content: Buffer): Promise<Head> {
  const head = headOf(content.length);
  const entry = await store.catalog.look(address(key));
  await keepVersion(store, entry, head, content, { ...STAMP, epoch: entry.epoch });
  return head;
}

/** What the store gives of a span, or undefined where it has nothing. */
async function give(store: Store, key: string, from: number, to: number): Promise<Buffer | undefined> {
  const entry = await store.catalog.look(address(key));
  const { head } = entry;
  if (!head) return undefined;
  await store.list(entry, { start: from, end: to });
  const pieces: Buffer[] = [];
  for (let at = from; at <= to; ) {
    const content = await store.read(entry, head, { start: at, end: to }, { ram: false });
    if (!content) return undefined;
    pieces.push(...content.pieces.map(piece => Buffer.from(piece)));
    at += content.length;
    content.release();
  }
  return Buffer.concat(pieces);
}

describe('a small object', () => {
  it.each([
    [1, false],
    [1000, false],
    [1000, true],
    [SMALL, true],
    [SMALL, false],
  ])('of %i bytes (compressed: %s) lives in its head file, and is there after a restart', async (length, compress) => {
    const folder = tempFolder();
    const first = await openStore(folder);
    const body = prose(length);
    await keepSmall(first.store, headOf(length), body, compress);
    expect(filesIn(join(folder, 'buckets'))).toHaveLength(1);
    await first.close();
    const { store } = await openStore(folder);
    expect((await give(store, 'key', 0, length - 1))?.equals(body)).toBe(true);
    const [from, to] = [Math.floor(length / 3), Math.floor(length / 2)];
    expect((await give(store, 'key', from, to))?.equals(body.subarray(from, to + 1))).toBe(true);
  });

  it('of no bytes has a head and nothing missing', async () => {
    const folder = tempFolder();
    const first = await openStore(folder);
    await keepSmall(first.store, headOf(0), Buffer.alloc(0));
    await first.close();
    const { store } = await openStore(folder);
    expect((await store.catalog.look(OBJECT)).head).toEqual(headOf(0));
  });

  it('keeps its body when its head is written again', async () => {
    const folder = tempFolder();
    const first = await openStore(folder);
    const body = noise(5000);
    await keepSmall(first.store, headOf(5000), body);
    const entry = await first.store.catalog.look(OBJECT);
    const updated = headOf(5000, '"one"', ['x-amz-meta-new', '1']);
    first.store.adopt(entry, updated, STAMP);
    await first.store.keepHead(entry, updated, STAMP);
    await first.close();
    const { store } = await openStore(folder);
    expect((await store.catalog.look(OBJECT)).head).toEqual(updated);
    expect((await give(store, 'key', 0, 4999))?.equals(body)).toBe(true);
  });

  it('never gives wrong bytes, whichever byte of its file is flipped or wherever it ends', async () => {
    const folder = tempFolder();
    const first = await openStore(folder);
    const body = Buffer.concat([prose(150), noise(50)]);
    await keepSmall(first.store, headOf(200), body);
    await first.close();
    const [path] = filesIn(join(folder, 'buckets'));
    const right = readFileSync(path!);
    let given = 0;
    for (let at = 0; at < right.length; at++) {
      const damaged = Buffer.from(right);
      damaged[at]! ^= 1 << (at % 8);
      for (const content of [damaged, right.subarray(0, at)]) {
        mkdirSync(join(path!, '..'), { recursive: true });
        writeFileSync(path!, content);
        // What all those that have ended leave there for some seconds is read at each start.
        rmSync(join(folder, 'ended'), { recursive: true, force: true });
        const { store, close } = await openStore(folder);
        const got = await give(store, 'key', 0, 199);
        if (got) {
          given++;
          expect(got.equals(body)).toBe(true);
        }
        await close();
      }
    }
    // Damage to the stamp alone costs a question to S3; what only other LZ4 readers need costs nothing.
    expect(given).toBeLessThan(right.length / 2);
  }, 240_000);
});

describe('every file under the cache, damaged while the store runs', () => {
  const damages: Record<string, (path: string) => void> = {
    deleted: path => rmSync(path),
    emptied: path => truncateSync(path, 0),
    'cut in half': path => truncateSync(path, Math.floor(statSync(path).size / 2)),
    'flipped in the middle': path => {
      const bytes = readFileSync(path);
      bytes[bytes.length >> 1]! ^= 0x10;
      writeFileSync(path, bytes);
    },
    overwritten: path => writeFileSync(path, noise(statSync(path).size, 99)),
    'replaced by a folder': path => {
      rmSync(path);
      mkdirSync(path);
    },
    'made a FIFO': path => {
      rmSync(path);
      execFileSync('mkfifo', [path]);
      // Whoever waits for a writer is let go when the test is over.
      afterTest(() => existsSync(path) && writeFileSync(path, '', { flag: 'r+' }));
    },
  };

  it.each(Object.keys(damages))('%s, gives right bytes or none, and takes them anew', async name => {
    const folder = tempFolder();
    const running = await openStore(folder, { diskTimeout: name === 'made a FIFO' ? 100 : 5000 });
    const contents: Record<string, Buffer> = {
      small: noise(3 << 20, 1),
      text: prose(2 << 20),
      large: noise(EXTENT + 70_000, 2),
    };
    for (const [key, content] of Object.entries(contents)) await keepLarge(running.store, key, content);
    await running.store.moveOn([address('text')]);
    const check = async (store: Store) => {
      for (const [key, content] of Object.entries(contents)) {
        for (const [from, to] of [[0, content.length - 1] as const, [100_000, 1_500_000] as const]) {
          const got = await give(store, key, from, to);
          if (got) expect(got.equals(content.subarray(from, to + 1)), key).toBe(true);
        }
      }
    };
    await check(running.store);
    for (const path of filesIn(join(folder, 'buckets'))) damages[name]!(path);
    await check(running.store);
    expect(running.store.pool.bytesOut).toBe(0);
    if (name === 'made a FIFO') return;
    const { store } = await openStore(folder);
    await check(store);
    if (name === 'replaced by a folder') return;
    for (const [key, content] of Object.entries(contents)) {
      // Twice where the first copy finds its place taken by a damaged one, which only its reader notices.
      await until(async () => {
        await keepLarge(store, key, content);
        return (await give(store, key, 0, content.length - 1))?.equals(content);
      });
    }
  });
});

describe('the cache folder', () => {
  it('says its format, and is refused where that is unknown or can’t be read', async () => {
    const folder = tempFolder();
    const { close } = await openStore(folder);
    await close();
    const marker = join(folder, 'cistern.json');
    expect(JSON.parse(readFileSync(marker, 'utf8'))).toMatchObject({ format: 1 });
    expect(readdirSync(folder).filter(name => name.startsWith('cistern.json'))).toEqual(['cistern.json']);
    for (const content of ['{"format":2}', '', '{"form', 'null', '[]']) {
      writeFileSync(marker, content);
      await expect(openStore(folder)).rejects.toThrow(
        /cistern\.json: the cache has format (2|unknown), .* remove this folder/,
      );
    }
  });

  it('that can’t be written is refused with what to do', async () => {
    const file = join(tempFolder(), 'file');
    writeFileSync(file, '');
    await expect(openStore(join(file, 'cache'))).rejects.toThrow(/cache\.cache_dir: .*Choose a folder/);
  });

  it.each([
    [false, 0o600, 0o700],
    [true, 0o660, 0o2770],
  ])('has the modes that were asked for (shared: %s), whatever the umask', async (shared, file, folderMode) => {
    const umask = process.umask(0o022);
    afterTest(() => process.umask(umask));
    const folder = join(tempFolder(), 'cache');
    const { store } = await openStore(folder, { shared });
    await keepLarge(store, 'key', noise(100_000));
    await keepLarge(store, 'large', noise(EXTENT + 1));
    await store.moveOn([OBJECT]);
    const all = readdirSync(folder, { recursive: true, withFileTypes: true });
    expect(all.length).toBeGreaterThan(10);
    for (const entry of all) {
      const path = join(entry.parentPath, entry.name);
      const mode = statSync(path).mode & 0o7777;
      expect(mode.toString(8), path).toBe((entry.isDirectory() ? folderMode : file).toString(8));
    }
    expect((statSync(folder).mode & 0o7777).toString(8)).toBe(folderMode.toString(8));
  });

  it('has nothing half-written and no instance in it after the store has been closed', async () => {
    const folder = tempFolder();
    const { store, close } = await openStore(folder);
    await keepLarge(store, 'key', noise(100_000));
    expect(await close()).toBe(true);
    expect([filesIn(join(folder, 'tmp')), filesIn(join(folder, 'instances'))]).toEqual([[], []]);
  });
});

describe('what is missing', () => {
  it('is found between extents, and a short piece held between two gaps is fetched with them', async () => {
    const { store } = await openStore(tempFolder(), { mergeGap: 1000 });
    const head = headOf(100_000);
    const entry = await store.catalog.look(OBJECT);
    store.adopt(entry, head, STAMP);
    const put = async (start: number, end: number) => {
      const filling = startFill(store, entry, head, { span: { start, end }, compression: 'off' });
      await filling.send(noise(end - start + 1));
      await filling.end();
    };
    await put(10_000, 10_999);
    await put(50_000, 59_999);
    expect(store.firstGap(entry, head, { start: 0, end: 99_999 })).toBe(0);
    expect(store.firstGap(entry, head, { start: 10_500, end: 99_999 })).toBe(11_000);
    expect(store.firstGap(entry, head, { start: 52_000, end: 59_999 })).toBeUndefined();
    expect(store.gapEnd(entry, head, 0, 99_999)).toBe(49_999);
    expect(store.gapEnd(entry, head, 0, 20_000)).toBe(20_000);
    expect(store.gapEnd(entry, head, 60_000, 99_999)).toBe(99_999);
  });
});
