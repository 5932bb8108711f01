import { existsSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Disk } from '../../proxy-core/store/disk/disk.ts';
import { type Head, type ObjectEntry, SMALL, type Store } from '../../proxy-core/store/index.ts';
import { address, afterTest, filesIn, fillWhole, headOf, noise, openStore, tempFolder, until } from './helpers.ts';

const MIB = 1 << 20;
const CONTENT = noise(MIB);

/** Seconds that have passed for the stores of this test: uses within ten seconds are one. */
let passed = 0;

beforeEach(() => {
  passed = 0;
  const real = Disk.prototype.now;
  const spy = vi.spyOn(Disk.prototype, 'now').mockImplementation(function (this: Disk) {
    return real.call(this) + passed * 1000;
  });
  afterTest(() => spy.mockRestore());
});

/** A GET as the store sees it: from the disk where it is there, else from S3, and then kept as far as it is worth that. */
async function get(store: Store, key: string, content = CONTENT): Promise<void> {
  passed += 11;
  const { entry, head } = await look(store, key, content.length);
  await store.list(entry, whole(head));
  store.used(entry, head, 0);
  if (store.firstGap(entry, head, whole(head)) === undefined) return;
  const stamp = { validatedAt: store.now(), epoch: entry.epoch };
  if (content.length <= SMALL) return store.keepSmall(entry, head, stamp, content, { ram: false, compress: false });
  await store.keepHead(entry, head, stamp);
  await fillWhole(store, entry, head, content);
}

async function look(store: Store, key: string, length: number): Promise<{ entry: ObjectEntry; head: Head }> {
  const entry = await store.catalog.look(address(key));
  if (!entry.head) store.adopt(entry, headOf(length), { validatedAt: store.now(), epoch: entry.epoch });
  return { entry, head: entry.head! };
}

const whole = (head: Head) => ({ start: 0, end: head.length - 1 });

/** Those of the keys of which the disk has all. */
async function onDisk(store: Store, keys: readonly string[], length = MIB): Promise<string[]> {
  const there: string[] = [];
  for (const key of keys) {
    const { paths } = await store.catalog.look(address(key));
    const { version } = headOf(length);
    const file = length <= SMALL ? paths.head : paths.extent(version, length, { start: 0, end: length - 1 });
    if (existsSync(file)) there.push(key);
  }
  return there;
}

const keys = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

describe('the head of a larger object', () => {
  it.each(['tinylfu', 'lru', 's3fifo'] as const)(
    'stays as long as anything of the object does, with %s',
    async algorithm => {
      const folder = tempFolder();
      const first = await openStore(folder, { algorithm });
      for (const key of keys('k', 12)) await get(first.store, key);
      await first.close();
      const files = () => filesIn(join(folder, 'buckets'));
      const long = new Date(Date.now() - 90 * 86_400_000);
      for (const path of files()) if (path.endsWith('.head')) utimesSync(path, long, long);
      const { store } = await openStore(folder, { maxDiskBytes: 8 * MIB, algorithm });
      await until(() => store.capacity.counted);
      await store.capacity.settled();
      const extents = files().filter(path => /\d-\d+$/.test(path));
      expect(extents.length).toBeLessThan(9);
      expect(extents.length).toBeGreaterThan(5);
      const heads = new Set(files().filter(path => path.endsWith('.head')));
      expect(extents.filter(path => !heads.has(`${path.replace(/\.[^/]*$/, '')}.head`))).toEqual([]);
    },
  );

  it('that was evicted when there was nothing else comes back with the content, though it is in memory still', async () => {
    const { store } = await openStore(tempFolder());
    const { entry, head } = await look(store, 'k', MIB);
    await store.keepHead(entry, head, { validatedAt: store.now(), epoch: entry.epoch });
    await store.capacity.settled();
    rmSync(entry.paths.head);
    await fillWhole(store, entry, head, CONTENT);
    await until(() => existsSync(entry.paths.head));
  });

  it('goes when nothing else of the object is left', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder, { maxDiskBytes: MIB, algorithm: 'lru' });
    await store.capacity.settled();
    for (const key of keys('k', 200)) {
      const { entry, head } = await look(store, key, MIB);
      await store.keepHead(entry, head, { validatedAt: store.now(), epoch: entry.epoch });
      passed++;
    }
    await store.capacity.settled();
    expect(store.capacity.bytes).toBeLessThanOrEqual(MIB);
    expect(filesIn(join(folder, 'buckets')).length).toBeLessThan(200);
  });
});

describe('a scan of ten times the cache', () => {
  it('leaves what was read some times, and is hardly written, by tinylfu', async () => {
    const { store, counters, problems } = await openStore(tempFolder(), { maxDiskBytes: 16 * MIB });
    await store.capacity.settled();
    const hot = keys('hot', 8);
    for (let round = 0; round < 4; round++) for (const key of hot) await get(store, key);
    const scan = keys('scan', 160);
    let kept = 0;
    for (const key of scan) {
      await get(store, key);
      kept += (await onDisk(store, [key])).length;
    }
    await store.capacity.settled();
    expect(await onDisk(store, hot)).toEqual(hot);
    expect(kept).toBeLessThan(scan.length / 4);
    // That is no trouble, and nothing to be told of.
    expect([counters.disk_skipped, problems.size]).toEqual([0, 0]);
  }, 60_000);

  it('leaves small objects as well, of which neither head nor body is written', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder, { maxDiskBytes: 4 * MIB });
    await store.capacity.settled();
    const small = CONTENT.subarray(0, 50_000);
    const hot = keys('hot', 30);
    for (let round = 0; round < 4; round++) for (const key of hot) await get(store, key, small);
    for (const key of keys('scan', 800)) await get(store, key, small);
    await store.capacity.settled();
    expect(await onDisk(store, hot, small.length)).toEqual(hot);
    expect(store.capacity.bytes).toBeGreaterThan(2 * MIB);
  }, 60_000);

  it('takes the place of all that was there by lru', async () => {
    const { store } = await openStore(tempFolder(), { maxDiskBytes: 16 * MIB, algorithm: 'lru' });
    await store.capacity.settled();
    const hot = keys('hot', 8);
    for (let round = 0; round < 4; round++) for (const key of hot) await get(store, key);
    const scan = keys('scan', 160);
    for (const key of scan) await get(store, key);
    await store.capacity.settled();
    expect(await onDisk(store, hot)).toEqual([]);
    expect(await onDisk(store, scan.slice(-4))).toEqual(scan.slice(-4));
  }, 60_000);

  it('passes through beside what was read some times by s3fifo', async () => {
    const { store } = await openStore(tempFolder(), { maxDiskBytes: 16 * MIB, algorithm: 's3fifo' });
    await store.capacity.settled();
    const hot = keys('hot', 8);
    for (let round = 0; round < 4; round++) for (const key of hot) await get(store, key);
    const scan = keys('scan', 160);
    for (const [i, key] of scan.entries()) {
      await get(store, key);
      // Now and then one of those is read again, which lets them stay for a further round.
      if (i % 4 === 0) await get(store, hot[(i / 4) % hot.length]!);
    }
    await store.capacity.settled();
    expect((await onDisk(store, hot)).length).toBeGreaterThanOrEqual(7);
    expect(await onDisk(store, scan.slice(-1))).toEqual(scan.slice(-1));
  }, 60_000);
});

describe('what is new in a cache that is full', () => {
  async function full(algorithm: 'tinylfu' | 'lru' = 'tinylfu') {
    const folder = tempFolder();
    const opened = await openStore(folder, { maxDiskBytes: 8 * MIB, uploadPercent: 50, algorithm });
    await opened.store.capacity.settled();
    for (let round = 0; round < 3; round++) for (const key of keys('old', 7)) await get(opened.store, key);
    // What would have to go is known once something new has come.
    await get(opened.store, 'filler');
    await get(opened.store, 'filler');
    await opened.store.capacity.settled();
    return { ...opened, folder };
  }

  it('is written once it has been read more often than what would have to go', async () => {
    const { store } = await full();
    let reads = 0;
    while ((await onDisk(store, ['new'])).length === 0) {
      await get(store, 'new');
      expect(++reads).toBeLessThanOrEqual(8);
    }
    expect(reads).toBeGreaterThan(1);
    // Its head, too, without which nobody would find it later.
    await until(async () => existsSync((await store.catalog.look(address('new'))).paths.head));
    await store.capacity.settled();
    expect(store.capacity.bytes).toBeLessThanOrEqual(8 * MIB);
  }, 30_000);

  it('is written at the first read where its prefix is pinned', async () => {
    const { store } = await full();
    for await (const _ of store.care.pin(new AbortController().signal, { bucket: 'data', prefix: 'pin/' }));
    const pinned = keys('pin/', 2);
    for (const key of pinned) await get(store, key);
    await store.capacity.settled();
    expect(await onDisk(store, pinned)).toEqual(pinned);
  }, 30_000);

  it('is written at the first read where several read it at once', async () => {
    const { store } = await full();
    const { entry, head } = await look(store, 'new', MIB);
    const fill = store.fill(entry, head, whole(head), {
      ram: false,
      compression: 'off',
      shared: () => true,
      urgent: () => false,
      onChange: () => {},
    });
    const piece = store.pool.takeIncoming(MIB)!;
    CONTENT.copy(piece.bytes);
    fill.write(piece, 0, MIB);
    piece.release();
    await fill.end();
    expect(await onDisk(store, ['new'])).toEqual(['new']);
  }, 30_000);

  it('is written where it was uploaded, and stays when others are read', async () => {
    const { store } = await full();
    const object = address('up');
    const copy = store.copyUpload(object, { length: MIB, compression: 'off', onRoom: () => {} })!;
    copy.push(CONTENT);
    const content = await copy.end();
    expect(copy.lost).toBeUndefined();
    const head = { ...headOf(MIB), written: store.now() };
    await Promise.all([
      store.moveOn([object]),
      store.publishUpload(object, head, content!, { ram: false, compress: false }),
    ]);
    expect(await onDisk(store, ['up'])).toEqual(['up']);
    for (let round = 0; round < 6; round++) for (const key of keys('next', 3)) await get(store, key);
    await store.capacity.settled();
    expect(await onDisk(store, ['up'])).toEqual(['up']);
  }, 30_000);

  it('takes the place of an earlier version of itself, whatever else is known better', async () => {
    const { store } = await full();
    const small = CONTENT.subarray(0, 1000);
    const opened = await openStore(tempFolder(), { maxDiskBytes: 8 * MIB });
    await get(opened.store, 'small', small);
    for (let round = 0; round < 3; round++) for (const key of keys('old', 7)) await get(opened.store, key);
    const entry = await opened.store.catalog.look(address('small'));
    const head = headOf(2000, '"two"');
    const stamp = { validatedAt: store.now(), epoch: entry.epoch };
    opened.store.adopt(entry, head, stamp);
    await opened.store.keepSmall(entry, head, stamp, CONTENT.subarray(0, 2000), { ram: false, compress: false });
    opened.store.catalog.forget(entry.address.storeKey);
    expect((await opened.store.catalog.look(address('small'))).head?.etag).toBe('"two"');
  }, 30_000);
});

describe('after a restart', () => {
  it.each(['tinylfu', 's3fifo'] as const)(
    'what was read often before is not what goes first, by %s',
    async algorithm => {
      const folder = tempFolder();
      const first = await openStore(folder, { algorithm });
      const all = keys('key', 32);
      const hot = all.filter((_, i) => i % 4 === 0);
      for (const key of all) await get(first.store, key);
      for (let round = 0; round < 5; round++) for (const key of hot) await get(first.store, key);
      await first.close();
      expect(readdirSync(join(folder, 'uses'))).toHaveLength(1);
      // So that nothing else tells.
      const long = new Date(Date.now() - 86_400_000);
      for (const path of filesIn(join(folder, 'buckets'))) utimesSync(path, long, long);
      const { store } = await openStore(folder, { algorithm, maxDiskBytes: 12 * MIB });
      await until(() => store.capacity.counted && store.capacity.bytes <= 12 * MIB);
      await store.capacity.settled();
      expect(await onDisk(store, hot)).toEqual(hot);
    },
    60_000,
  );

  it('what was read lately stays by lru, as the files themselves tell', async () => {
    const folder = tempFolder();
    const first = await openStore(folder, { algorithm: 'lru' });
    const all = keys('key', 24);
    for (const key of all) await get(first.store, key);
    const long = new Date(Date.now() - 86_400_000);
    for (const path of filesIn(join(folder, 'buckets'))) utimesSync(path, long, long);
    await first.close();
    const second = await openStore(folder, { algorithm: 'lru' });
    const lately = all.filter((_, i) => i % 4 === 0);
    const files = async (key: string) => {
      const { paths } = await second.store.catalog.look(address(key));
      return [paths.head, paths.extent(headOf(MIB).version, MIB, { start: 0, end: MIB - 1 })];
    };
    for (const key of lately) {
      await get(second.store, key);
      const noted = await files(key);
      await until(() => noted.every(path => Date.now() - statSync(path).mtimeMs < 3_600_000));
    }
    await second.close();
    const { store } = await openStore(folder, { algorithm: 'lru', maxDiskBytes: 12 * MIB });
    await until(() => store.capacity.counted && store.capacity.bytes <= 12 * MIB);
    await store.capacity.settled();
    expect(await onDisk(store, lately)).toEqual(lately);
  }, 60_000);
});
