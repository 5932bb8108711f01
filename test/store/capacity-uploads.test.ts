import { existsSync, mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { objectHash } from '../../proxy-core/store/disk/paths.ts';
import type { Head, Store } from '../../proxy-core/store/index.ts';
import { address, diskUsage, filesIn, headOf, keepLarge, noise, openStore, tempFolder, until } from './helpers.ts';

const KIB = 1024;
const MIB = 1 << 20;
const HOUR = 3_600_000;
const LONG_AGO = new Date(Date.now() - 24 * HOUR);

/** An object that somebody has read, long ago. */
async function readObject(store: Store, folder: string, key: string, content: Buffer): Promise<void> {
  const entry = await store.catalog.look(address(key));
  const head = headOf(content.length, `"${key}"`);
  await keepLarge(store, entry, head, content);
  for (const path of filesOf(folder, entry.paths.hash)) utimesSync(path, LONG_AGO, LONG_AGO);
}

/** An object that was uploaded just now. */
async function upload(store: Store, key: string, content: Buffer): Promise<string> {
  const object = address(key);
  const copy = store.copyUpload(object, { length: content.length, compression: 'off', onRoom: () => {} });
  copy?.push(content);
  const kept = await copy?.end();
  expect(copy?.lost).toBeUndefined();
  const head = { ...headOf(content.length, `"${key}"`), written: store.now() };
  await Promise.all([
    store.moveOn([object]),
    store.publishUpload(object, head, kept!, { ram: false, compress: false }),
  ]);
  return objectHash(object);
}

/** As S3 tells its first reader. */
const vouchedFor = (head: Head): Head => ({ ...head, written: undefined });

/** Files of an object, but for its epoch. */
const filesOf = (folder: string, hash: string) =>
  filesIn(join(folder, 'buckets')).filter(path => path.includes(`/${hash}.`) && !path.endsWith('.epoch'));

describe('an upload that nobody has read within put_ttl', () => {
  it('is evicted before anything that was read, however long ago, whole and with the oldest first', async () => {
    const folder = tempFolder();
    const limit = 24 * MIB;
    const { store } = await openStore(folder, { maxDiskBytes: limit, uploadPercent: 100, putTtl: () => 0 });
    await store.capacity.settled();
    const read = ['r0', 'r1', 'r2', 'r3'];
    for (const key of read) await readObject(store, folder, key, noise(MIB));
    const uploads: string[] = [];
    for (const [key, size] of [
      ['small', 10 * KIB],
      ['middle', MIB],
      ['large', 9 * MIB],
      ['late', 6 * MIB],
    ] as const)
      uploads.push(await upload(store, key, noise(size)));
    await readObject(store, folder, 'more', noise(7 * MIB));
    await store.capacity.settled();
    expect(diskUsage(join(folder, 'buckets'))).toBeLessThanOrEqual(limit * 0.98);
    const [small, middle, large, late] = uploads.map(hash => filesOf(folder, hash).length);
    expect([small, middle, large]).toEqual([0, 0, 0]);
    expect(late).toBe(2);
    for (const key of [...read, 'more']) {
      const { paths } = await store.catalog.look(address(key));
      expect(filesOf(folder, paths.hash), key).toHaveLength(2);
    }
    // That it was written must stay known.
    expect(existsSync((await store.catalog.look(address('small'))).paths.epoch)).toBe(true);
    // Two who make the same folder at once may both count it; the next census puts that right.
    expect(Math.abs(store.capacity.bytes - diskUsage(join(folder, 'buckets')))).toBeLessThanOrEqual(32_768);
  });

  it('is that by the put_ttl of its own bucket and prefix', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder, {
      maxDiskBytes: 10 * MIB,
      uploadPercent: 100,
      putTtl: (bucket, key) => (bucket === 'data' && key.startsWith('raw/') ? 0 : HOUR),
    });
    await store.capacity.settled();
    const kept: string[] = [];
    for (let i = 0; i < 4; i++) kept.push(await upload(store, `k${i}`, noise(MIB)));
    const raw: string[] = [];
    for (let i = 0; i < 5; i++) raw.push(await upload(store, `raw/${i}`, noise(MIB)));
    await upload(store, 'last', noise(MIB));
    await store.capacity.settled();
    expect(kept.map(hash => filesOf(folder, hash).length)).toEqual([2, 2, 2, 2]);
    expect(raw.map(hash => filesOf(folder, hash).length)).toEqual([0, 2, 2, 2, 2]);
  });

  it('is found also when another process, or an earlier one, has taken it', async () => {
    const folder = tempFolder();
    const first = await openStore(folder, { uploadPercent: 100 });
    const read = Array.from({ length: 64 }, (_, i) => `r${i}`);
    for (const key of read) await readObject(first.store, folder, key, noise(48 * KIB));
    const uploads: string[] = [];
    for (const key of ['a', 'b', 'c']) uploads.push(await upload(first.store, key, noise(2 * MIB)));
    await first.close();
    const looked = uploads.map(hash => filesOf(folder, hash).map(path => statSync(path).atimeMs));
    const { store } = await openStore(folder, { maxDiskBytes: 7 * MIB, uploadPercent: 100, putTtl: () => 0 });
    await until(() => store.capacity.counted && store.capacity.bytes <= 7 * MIB);
    await store.capacity.settled();
    expect(uploads.filter(hash => filesOf(folder, hash).length > 0)).toHaveLength(1);
    for (const key of read) {
      const { paths } = await store.catalog.look(address(key));
      expect(filesOf(folder, paths.hash), key).toHaveLength(2);
    }
    // To look for them is no use of them.
    const left = uploads.findIndex(hash => filesOf(folder, hash).length > 0);
    expect(filesOf(folder, uploads[left]!).map(path => statSync(path).atimeMs)).toEqual(looked[left]);
  });

  it('is come upon where another process has taken it since the last census', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder, { maxDiskBytes: 4 * MIB, uploadPercent: 100, putTtl: () => 0 });
    await until(() => store.capacity.counted);
    await readObject(store, folder, 'read', noise(MIB));
    const other = await openStore(folder);
    const uploads: string[] = [];
    for (const key of ['a', 'b', 'c', 'd', 'e']) uploads.push(await upload(other.store, key, noise(100 * KIB)));
    await readObject(store, folder, 'large', noise(2 * MIB));
    await readObject(store, folder, 'late', noise(500 * KIB));
    await store.capacity.settled();
    expect(uploads.filter(hash => filesOf(folder, hash).length === 0).length).toBeGreaterThan(0);
    for (const key of ['read', 'large', 'late']) {
      const { paths } = await store.catalog.look(address(key));
      expect(filesOf(folder, paths.hash), key).toHaveLength(2);
    }
  });

  it('stays when it was read, through this process or another one', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder, { maxDiskBytes: 8 * MIB, uploadPercent: 100, putTtl: () => 0 });
    await store.capacity.settled();
    const [here, there, nowhere] = [
      await upload(store, 'here', noise(MIB)),
      await upload(store, 'there', noise(MIB)),
      await upload(store, 'nowhere', noise(MIB)),
    ];
    const mine = await store.catalog.look(address('here'));
    await store.keepHead(mine, vouchedFor(mine.head!), { validatedAt: store.now(), epoch: mine.epoch });
    store.capacity.removeUnread(here);
    const other = await openStore(folder);
    const entry = await other.store.catalog.look(address('there'));
    await other.store.keepHead(entry, vouchedFor(entry.head!), { validatedAt: other.store.now(), epoch: entry.epoch });
    await readObject(store, folder, 'more', noise(5 * MIB));
    await store.capacity.settled();
    expect([here, there, nowhere].map(hash => filesOf(folder, hash).length)).toEqual([2, 2, 0]);
  });
});

describe('write_cache_percent', () => {
  it('bounds what uploads that nobody has read take, in a cache that has room: the oldest go', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder, { maxDiskBytes: 40 * MIB, uploadPercent: 10 });
    await store.capacity.settled();
    await readObject(store, folder, 'read', noise(6 * MIB));
    const uploads: string[] = [];
    for (let i = 0; i < 8; i++) uploads.push(await upload(store, `k${i}`, noise(MIB - 16 * KIB)));
    await until(() => filesOf(folder, uploads[3]!).length === 0);
    await store.capacity.settled();
    expect(uploads.map(hash => filesOf(folder, hash).length)).toEqual([0, 0, 0, 0, 2, 2, 2, 2]);
    expect(filesIn(join(folder, 'buckets')).filter(path => /\d-\d+$/.test(path))).toHaveLength(5);
  });

  it('does not count what was read', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder, { maxDiskBytes: 40 * MIB, uploadPercent: 10 });
    await store.capacity.settled();
    for (let i = 0; i < 8; i++) store.capacity.removeUnread(await upload(store, `k${i}`, noise(MIB)));
    await store.capacity.settled();
    expect(filesIn(join(folder, 'buckets')).filter(path => /\d-\d+$/.test(path))).toHaveLength(8);
  });

  it('which one is too large for is named as the reason why it is not kept', async () => {
    const { store, problems } = await openStore(tempFolder(), { maxDiskBytes: 20 * MIB, uploadPercent: 10 });
    await store.capacity.settled();
    const options = { compression: 'off', onRoom: () => {} } as const;
    expect(store.copyUpload(address('fits'), { ...options, length: MIB })).toBeDefined();
    expect(problems.size).toBe(0);
    expect(store.copyUpload(address('large'), { ...options, length: 3 * MIB })).toBeUndefined();
    expect([...problems.values()]).toEqual([expect.stringContaining('cache.write_cache_percent')]);
  });

  it('gives no room to a copy where others that run leave none, and makes unread ones go for it', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder, { maxDiskBytes: 40 * MIB, uploadPercent: 10 });
    await store.capacity.settled();
    const { uploads } = store.capacity;
    const old = await upload(store, 'old', noise(MIB));
    expect(await uploads.reserve(3.5 * MIB)).toBe(true);
    expect(filesOf(folder, old)).toEqual([]);
    expect([uploads.takes(MIB), uploads.takes(undefined)]).toEqual([false, true]);
    expect(await uploads.reserve(MIB)).toBe(false);
    uploads.release(3.5 * MIB);
    expect([uploads.takes(MIB), uploads.takes(5 * MIB)]).toEqual([true, false]);
    expect(await uploads.reserve(MIB)).toBe(true);
    uploads.release(MIB);
  });

  it('of 0 keeps no copies', async () => {
    const { store } = await openStore(tempFolder(), { uploadPercent: 0 });
    expect(store.capacity.uploads.takes(0)).toBe(false);
  });

  it('counts the kept parts of multipart uploads, also those of earlier processes', async () => {
    const folder = tempFolder();
    const stage = join(folder, 'uploads', 'some');
    mkdirSync(stage, { recursive: true });
    writeFileSync(join(stage, '1-x.0-3145727'), noise(3 * MIB));
    const { store } = await openStore(folder, { maxDiskBytes: 40 * MIB, uploadPercent: 10 });
    await until(() => store.capacity.counted);
    expect(store.capacity.bytes).toBe(
      diskUsage(join(folder, 'uploads')) +
        (readdirSync(folder).includes('buckets') ? diskUsage(join(folder, 'buckets')) : 0),
    );
    expect([store.capacity.uploads.takes(MIB), store.capacity.uploads.takes(MIB / 2)]).toEqual([false, true]);
    store.capacity.add(-2 * MIB, join(stage, 'one that went'));
    expect(store.capacity.uploads.takes(MIB)).toBe(true);
  });
});
