import { mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { isFresh } from '../../proxy-core/freshness/index.ts';
import { EXTENT, type Head, type ObjectEntry, type Part, type Store } from '../../proxy-core/store/index.ts';
import {
  address,
  diskUsage,
  filesIn,
  fillWhole,
  headOf,
  hold,
  noise,
  openStore,
  tempFolder,
  until,
} from './helpers.ts';

const OBJECT = address('key');
const TTL = 60_000;

async function keep(store: Store, entry: ObjectEntry, head: Head, at = store.now()): Promise<void> {
  const stamp = { validatedAt: at, epoch: entry.epoch };
  store.adopt(entry, head, stamp);
  await store.keepHead(entry, head, stamp);
}

/** Writes the whole of a version, as a flight would. */
async function fill(store: Store, entry: ObjectEntry, head: Head, content: Buffer): Promise<void> {
  await fillWhole(store, entry, head, content);
  expect(store.firstGap(entry, head, { start: 0, end: head.length - 1 })).toBeUndefined();
}

const isEpoch = (path: string) => path.endsWith('.epoch');
const fresh = (store: Store, entry: ObjectEntry) => isFresh(entry, TTL, store.now()) && !store.catalog.isDirty(entry);
const onDisk = (entry: ObjectEntry) => readFileSync(entry.paths.epoch, 'latin1');

describe('a head', () => {
  it('is found by another process and after a restart, with its stamp', async () => {
    const folder = tempFolder();
    const first = await openStore(folder);
    const head = headOf(5, '"e"', ['x-amz-meta-name', Buffer.from('ü', 'utf8').toString('latin1')]);
    await keep(first.store, await first.store.catalog.look(OBJECT), head, 1_700_000_000_000);
    const second = await openStore(folder);
    expect(await second.store.catalog.look(OBJECT)).toMatchObject({
      head,
      validatedAt: 1_700_000_000_000,
      headEpoch: '',
    });
    await Promise.all([first.close(), second.close()]);
    const third = await openStore(folder);
    expect(await third.store.catalog.look(OBJECT)).toMatchObject({ head, validatedAt: 1_700_000_000_000 });
  });

  it.each([
    ['version', headOf(6, '"new"')],
    ['fields', headOf(5, '"e"', ['x-amz-tagging-count', '2'])],
  ])(
    'with another %s that is not on the volume, for whatever reason, is not undone by the older one there',
    async (_, newer) => {
      const folder = tempFolder();
      const { store, close } = await openStore(folder);
      const other = await openStore(folder);
      const entry = await store.catalog.look(OBJECT);
      await keep(store, entry, headOf(5, '"e"'), store.now() - 5000);
      expect(fresh(other.store, await other.store.catalog.look(OBJECT))).toBe(true);
      store.adopt(entry, newer, { validatedAt: store.now(), epoch: entry.epoch });
      await until(() => !store.catalog.recent(OBJECT));
      await store.catalog.look(OBJECT);
      expect(entry.head).toEqual(newer);
      expect(fresh(store, entry)).toBe(true);
      // Who has not heard of it must ask, and not for the bytes alone.
      await until(async () => !fresh(other.store, await other.store.catalog.look(OBJECT)));
      const theirs = await other.store.catalog.look(OBJECT);
      expect(theirs.headEpoch).not.toBe(theirs.epoch);
      await close();
      const later = await openStore(folder);
      expect(fresh(later.store, await later.store.catalog.look(OBJECT))).toBe(false);
    },
  );

  it('that never came to the volume stays in memory, and one that is gone from there doesn’t', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    await openStore(folder);
    const entry = await store.catalog.look(OBJECT);
    store.adopt(entry, headOf(5), { validatedAt: store.now(), epoch: entry.epoch });
    await until(() => !store.catalog.recent(OBJECT));
    await store.catalog.look(OBJECT);
    expect(fresh(store, entry)).toBe(true);
    await keep(store, entry, headOf(5));
    rmSync(entry.paths.head);
    await until(() => !store.catalog.recent(OBJECT));
    await store.catalog.look(OBJECT);
    expect(entry.head).toBeUndefined();
  });

  it('in memory gives way to the one of another process that asked S3 later', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const other = await openStore(folder);
    const entry = await store.catalog.look(OBJECT);
    const theirs = await other.store.catalog.look(OBJECT);
    await keep(store, entry, headOf(5, '"e"'), store.now() - 5000);
    await keep(other.store, theirs, headOf(6, '"new"'), store.now() - 2000);
    await until(() => !store.catalog.recent(OBJECT));
    await store.catalog.look(OBJECT);
    expect(entry.head?.length).toBe(6);
  });

  it('is not vouched for in place of a newer one of the same version that is on its way', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const entry = await store.catalog.look(OBJECT);
    const sent = store.now() - 5000;
    await keep(store, entry, headOf(5, '"e"', ['x-amz-tagging-count', '1']), sent);
    const newer = headOf(5, '"e"', ['x-amz-tagging-count', '2']);
    const renames = hold(store, 'rename', path => path.endsWith('.head'));
    const keeping = keep(store, entry, newer, sent + 1000);
    await until(() => renames.length > 0);
    store.catalog.touch(entry, sent + 2000, '', TTL);
    const second = await openStore(folder);
    expect(await second.store.catalog.look(OBJECT)).toMatchObject({ validatedAt: 0 });
    renames[0]!.go();
    await keeping;
    await until(() => readFileSync(entry.paths.head, 'latin1').includes(String(sent + 2000)));
    const third = await openStore(folder);
    expect(await third.store.catalog.look(OBJECT)).toMatchObject({ head: newer, validatedAt: sent + 2000 });
  });

  it('is not vouched for in place of a newer one that the disk has refused', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const entry = await store.catalog.look(OBJECT);
    const sent = store.now() - 5000;
    const older = headOf(5, '"e"', ['x-amz-tagging-count', '1']);
    await keep(store, entry, older, sent);
    const refusing = vi.spyOn(store.volume, 'rename').mockRejectedValue(new Error('refused'));
    await keep(store, entry, headOf(5, '"e"', ['x-amz-tagging-count', '2']), sent + 1000);
    refusing.mockRestore();
    store.catalog.touch(entry, sent + 2000, '', TTL);
    store.catalog.distrust(entry);
    await until(() => readFileSync(entry.paths.head, 'latin1').startsWith(`cistern1 ${'0'.repeat(24)}`));
    const second = await openStore(folder);
    expect(await second.store.catalog.look(OBJECT)).toMatchObject({ head: older, validatedAt: 0 });
  });

  it('is not vouched for in place of a newer one for which there was no room', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const entry = await store.catalog.look(OBJECT);
    const sent = store.now() - 5000;
    await keep(store, entry, headOf(5, '"e"', ['x-amz-tagging-count', '1']), sent);
    const refusing = vi.spyOn(store.capacity, 'reserve').mockResolvedValue(false);
    await keep(store, entry, headOf(5, '"e"', ['x-amz-tagging-count', '2']), sent + 1000);
    refusing.mockRestore();
    store.catalog.touch(entry, sent + 2000, '', TTL);
    await store.volume.drained();
    const second = await openStore(folder);
    expect(await second.store.catalog.look(OBJECT)).toMatchObject({ validatedAt: 0 });
  });

  it('that a look did not find, is not fresh in place of a newer one that never came to the volume', async () => {
    const folder = tempFolder();
    const first = await openStore(folder);
    await keep(first.store, await first.store.catalog.look(OBJECT), headOf(5, '"old"'));
    await first.close();
    const { store, close } = await openStore(folder);
    const unread = vi.spyOn(store.volume, 'readFile').mockRejectedValue(new Error('unread'));
    const entry = await store.catalog.look(OBJECT);
    unread.mockRestore();
    store.adopt(entry, headOf(6, '"new"'), { validatedAt: store.now(), epoch: entry.epoch });
    entry.lookedAt = performance.now() - 2000;
    await openStore(folder);
    await until(() => !store.catalog.recent(OBJECT));
    await store.catalog.look(OBJECT);
    expect(entry.head?.length).toBe(6);
    await store.volume.drained();
    await close();
    const later = await openStore(folder);
    expect(fresh(later.store, await later.store.catalog.look(OBJECT))).toBe(false);
  });

  it.each([
    ['a process that was told', (_: ObjectEntry) => {}],
    [
      'one that was not, but has not looked for so long',
      (entry: ObjectEntry) => {
        entry.lookedAt = performance.now() - 16 * 60_000;
      },
    ],
  ])('in memory only is not fresh after a write whose epoch has come and gone: %s', async (_, wait) => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const other = await openStore(folder);
    const entry = await store.catalog.look(OBJECT);
    store.adopt(entry, headOf(5), { validatedAt: store.now(), epoch: entry.epoch });
    await other.store.moveOn([OBJECT]);
    // As eviction does when it is old enough, and has no head.
    rmSync(entry.paths.epoch);
    wait(entry);
    await store.catalog.look(OBJECT);
    expect(fresh(store, entry)).toBe(false);
  });

  it('is not fresh after another process’s write to who looks while the next one is told of', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const other = await openStore(folder);
    const entry = await store.catalog.look(OBJECT);
    await keep(store, entry, headOf(5));
    await other.store.moveOn([OBJECT]);
    const reads = hold(store, 'readFile', isEpoch);
    const looking = store.catalog.look(OBJECT);
    await until(() => reads.length === 1);
    await other.store.moveOn([OBJECT]);
    reads[0]!.go();
    await looking;
    expect(fresh(store, entry)).toBe(false);
    expect(store.catalog.recent(OBJECT)).toBeUndefined();
  });

  it('is not fresh after another process’s write to who looks while an answer of before it comes', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const other = await openStore(folder);
    const entry = await store.catalog.look(OBJECT);
    const stamp = { validatedAt: store.now(), epoch: entry.epoch };
    await keep(store, entry, headOf(5));
    await other.store.moveOn([OBJECT]);
    store.adopt(entry, headOf(5), stamp);
    expect(store.catalog.recent(OBJECT)).toBeUndefined();
    const reads = hold(store, 'readFile', isEpoch);
    const looking = store.catalog.look(OBJECT);
    await until(() => reads.length === 1);
    store.adopt(entry, headOf(5), stamp);
    reads[0]!.go();
    await looking;
    expect(fresh(store, entry)).toBe(false);
  });

  it('is looked at anew a second after S3 was asked, however late it answered', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    await openStore(folder);
    const entry = await store.catalog.look(OBJECT);
    entry.lookedAt = performance.now() - 3000;
    store.adopt(entry, headOf(5), { validatedAt: store.now() - 3000, epoch: entry.epoch });
    expect(store.catalog.recent(OBJECT)).toBeUndefined();
    store.adopt(entry, headOf(5), { validatedAt: store.now(), epoch: entry.epoch });
    expect(store.catalog.recent(OBJECT)).toBe(entry);
  });

  it('has its stamp overwritten in place when S3 vouches for it again, and others see that', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const entry = await store.catalog.look(OBJECT);
    await keep(store, entry, headOf(5), 1_700_000_000_000);
    const size = readFileSync(entry.paths.head).length;
    store.catalog.touch(entry, 1_700_000_060_000, '', TTL);
    const other = await openStore(folder);
    await until(async () => (await other.store.catalog.look(OBJECT)).validatedAt === 1_700_000_060_000);
    expect(readFileSync(entry.paths.head).length).toBe(size);
  });

  it('is not vouched for on disk at a ttl of 0', async () => {
    const { store } = await openStore(tempFolder());
    const entry = await store.catalog.look(OBJECT);
    await keep(store, entry, headOf(5), 1_700_000_000_000);
    const overwrite = vi.spyOn(store.volume, 'write');
    store.catalog.touch(entry, 1_700_000_060_000, '', 0);
    expect(entry.validatedAt).toBe(1_700_000_060_000);
    await store.volume.drained();
    expect(overwrite).not.toHaveBeenCalled();
  });

  it('that another process has replaced is not vouched for by a stamp of the old one', async () => {
    const folder = tempFolder();
    const [first, second] = [await openStore(folder), await openStore(folder)];
    const mine = await first.store.catalog.look(OBJECT);
    await keep(first.store, mine, headOf(5, '"old"'), 1_700_000_000_000);
    const theirs = await second.store.catalog.look(OBJECT);
    await keep(second.store, theirs, headOf(6, '"new"'), 1_700_000_000_000);
    first.store.catalog.touch(mine, 1_700_000_900_000, '', TTL);
    await until(() => readFileSync(mine.paths.head, 'latin1').includes('1700000900000'));
    const third = await openStore(folder);
    expect(await third.store.catalog.look(OBJECT)).toMatchObject({
      head: { etag: '"new"' },
      validatedAt: 0,
      headEpoch: '!',
    });
  });

  it('that is no longer the current one when it would be written is not written', async () => {
    const { store } = await openStore(tempFolder());
    const entry = await store.catalog.look(OBJECT);
    const [old, current] = [headOf(5, '"old"'), headOf(6, '"new"')];
    store.adopt(entry, old, { validatedAt: 1, epoch: '' });
    await keep(store, entry, current);
    await store.keepHead(entry, old, { validatedAt: 1, epoch: '' });
    expect(readFileSync(entry.paths.head, 'latin1')).toContain('\\"new\\"');
  });

  it('that is damaged is a miss, and removed', async () => {
    const folder = tempFolder();
    const first = await openStore(folder);
    const entry = await first.store.catalog.look(OBJECT);
    await keep(first.store, entry, headOf(5));
    const bytes = readFileSync(entry.paths.head);
    bytes[120]! ^= 1;
    writeFileSync(entry.paths.head, bytes);
    const { store, counters } = await openStore(folder);
    expect((await store.catalog.look(OBJECT)).head).toBeUndefined();
    expect(counters.disk_corrupt).toBe(1);
    await until(() => filesIn(join(folder, 'buckets')).length === 0);
  });
});

describe('an epoch', () => {
  it('moves on in every process on the directory: at the next look, which is at most a second away', async () => {
    const folder = tempFolder();
    const [writer, reader] = [await openStore(folder), await openStore(folder)];
    const entry = await reader.store.catalog.look(OBJECT);
    await keep(reader.store, entry, headOf(5));
    await until(() => !reader.store.catalog.recent(OBJECT));
    await reader.store.catalog.look(OBJECT);
    expect(fresh(reader.store, entry)).toBe(true);
    await writer.store.moveOn([OBJECT]);
    const heard = performance.now();
    await until(async () => !fresh(reader.store, await reader.store.catalog.look(OBJECT)));
    expect(performance.now() - heard).toBeLessThan(2000);
    expect(entry.epoch).toBe((await writer.store.catalog.look(OBJECT)).epoch);
    expect(entry.epoch).toBe(onDisk(entry));
  });

  it('is seen by a process that had the volume to itself until a moment ago', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const entry = await store.catalog.look(OBJECT);
    await keep(store, entry, headOf(5));
    const writer = await openStore(folder);
    await writer.store.moveOn([OBJECT]);
    const heard = performance.now();
    await until(async () => !fresh(store, await store.catalog.look(OBJECT)));
    expect(performance.now() - heard).toBeLessThan(2000);
  });

  it('of a write is not undone by a look that began before it', async () => {
    const { store } = await openStore(tempFolder());
    await store.moveOn([OBJECT]);
    const entry = await store.catalog.look(OBJECT);
    entry.lookedAt = Number.NEGATIVE_INFINITY;
    const held = hold(store, 'readFile', isEpoch);
    const looking = store.catalog.look(OBJECT);
    await until(() => held.length === 1);
    await store.moveOn([OBJECT]);
    const { epoch } = entry;
    held[0]?.go();
    expect(await looking).toBe(entry);
    expect(entry.epoch).toBe(epoch);
    expect(onDisk(entry)).toBe(epoch);
  });

  it('of a write is not undone by a look while the volume takes it', async () => {
    const { store } = await openStore(tempFolder());
    await store.moveOn([OBJECT]);
    const entry = await store.catalog.look(OBJECT);
    await keep(store, entry, headOf(5));
    const held = hold(store, 'rename', isEpoch);
    const moving = store.moveOn([OBJECT]);
    await until(() => held.length === 1);
    entry.lookedAt = Number.NEGATIVE_INFINITY;
    await store.catalog.look(OBJECT);
    expect(fresh(store, entry)).toBe(false);
    held[0]?.go();
    await moving;
    expect(entry.epoch).toBe(onDisk(entry));
    expect(fresh(store, entry)).toBe(false);
  });

  it('that is on its way to the volume is no epoch yet: what was learnt under it is never fresh', async () => {
    const { store } = await openStore(tempFolder());
    const entry = await store.catalog.look(OBJECT);
    await store.moveOn([OBJECT]);
    const held = hold(store, 'rename', isEpoch);
    const moving = store.moveOn([OBJECT]);
    await until(() => held.length === 1);
    // Another process may record a later write before this one has its place, and be overwritten by it.
    const noted = entry.epoch;
    expect(fresh(store, entry)).toBe(false);
    held[0]?.go();
    await moving;
    store.adopt(entry, headOf(5), { validatedAt: store.now(), epoch: noted });
    expect(fresh(store, entry)).toBe(false);
    await keep(store, entry, headOf(5));
    expect(fresh(store, entry)).toBe(true);
  });

  it('of two writes at once: nothing learnt before the second is fresh, whichever is recorded last', async () => {
    const { store } = await openStore(tempFolder());
    const entry = await store.catalog.look(OBJECT);
    await store.moveOn([OBJECT]);
    const held = hold(store, 'rename', isEpoch);
    const first = store.moveOn([OBJECT]);
    await until(() => held.length === 1);
    const noted = [entry.epoch];
    const second = store.moveOn([OBJECT]);
    await until(() => held.length === 2);
    held[1]?.go();
    await second;
    held[0]?.go();
    await first;
    for (const epoch of noted) {
      store.adopt(entry, headOf(5), { validatedAt: store.now(), epoch });
      expect(fresh(store, entry)).toBe(false);
    }
    entry.lookedAt = Number.NEGATIVE_INFINITY;
    await store.catalog.look(OBJECT);
    expect(noted).not.toContain(entry.epoch);
    expect(store.catalog.dirtyCount).toBe(0);
  });

  it('reaches a reader whose entry memory has given up meanwhile', async () => {
    const { store } = await openStore(tempFolder(), { maxHeads: 1 });
    const inUse = await store.catalog.look(OBJECT);
    await keep(store, inUse, headOf(5));
    await store.catalog.look(address('another'));
    await store.moveOn([OBJECT]);
    store.adopt(inUse, headOf(6, '"old flight"'), { validatedAt: store.now(), epoch: '' });
    const entry = await store.catalog.look(OBJECT);
    expect(fresh(store, entry)).toBe(false);
    expect(entry.epoch).toBe(onDisk(entry));
  });

  it('that the volume does not take leaves the object dirty, and is brought to it later', async () => {
    const folder = tempFolder();
    const { store, problems } = await openStore(folder);
    const entry = await store.catalog.look(OBJECT);
    mkdirSync(join(folder, 'buckets'), { recursive: true });
    writeFileSync(join(folder, 'buckets', 'data'), 'in the way');
    await store.moveOn([OBJECT, address('second')]);
    expect(store.catalog.dirtyCount).toBe(2);
    expect(problems.get('epochs')).toContain('S3 is asked');
    store.adopt(entry, headOf(5), { validatedAt: store.now(), epoch: entry.epoch });
    expect(fresh(store, entry)).toBe(false);
    entry.lookedAt = Number.NEGATIVE_INFINITY;
    await store.catalog.look(OBJECT);
    expect(fresh(store, entry)).toBe(false);
    rmSync(join(folder, 'buckets', 'data'));
    await until(() => store.catalog.dirtyCount === 0 && problems.size === 0);
    expect(entry.epoch).toBe(onDisk(entry));
  });

  it.each([
    ['deleted', (path: string) => rmSync(path)],
    ['emptied', (path: string) => truncateSync(path)],
    ['truncated', (path: string) => truncateSync(path, 7)],
    ['overwritten', (path: string) => writeFileSync(path, 'no epoch')],
  ])('whose file is %s does not bring back what was true before the write', async (_, damage) => {
    const folder = tempFolder();
    const { store, counters } = await openStore(folder);
    await openStore(folder);
    const entry = await store.catalog.look(OBJECT);
    await keep(store, entry, headOf(5));
    await store.moveOn([OBJECT]);
    damage(entry.paths.epoch);
    await until(() => !store.catalog.recent(OBJECT));
    await store.catalog.look(OBJECT);
    expect(entry.headEpoch).toBe('');
    expect(fresh(store, entry)).toBe(false);
    expect(counters.disk_corrupt).toBe(1);
    await until(() => store.catalog.dirtyCount === 0);
    expect(entry.epoch).toBe(onDisk(entry));
  });

  it('moves many objects on at once', async () => {
    const { store, counters } = await openStore(tempFolder());
    const objects = Array.from({ length: 300 }, (_, i) => address(`key-${i}`));
    await store.moveOn(objects);
    expect(counters.epochs_moved).toBe(300);
    for (const object of objects) {
      const entry = await store.catalog.look(object);
      expect(entry.epoch).toBe(onDisk(entry));
    }
    expect(new Set(objects.map(object => store.catalog.recent(object)?.epoch)).size).toBe(300);
  });
});

describe('a new version', () => {
  it.each([3 << 20, EXTENT + 5])('removes the old one’s extents and parts, and only those (%i bytes)', async length => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    await store.capacity.settled();
    const entry = await store.catalog.look(OBJECT);
    const [old, current] = [headOf(length, '"old"'), headOf(length, '"new"')];
    const part: Part = { start: 0, end: 5, headers: [], checksumsKnown: false, lastModified: old.lastModified };
    await keep(store, entry, old);
    await fill(store, entry, old, noise(length));
    await store.catalog.parts.publish(entry, old, 1, part);
    await keep(store, entry, current);
    await fill(store, entry, current, noise(length, 2));
    await store.catalog.parts.publish(entry, current, 1, part);
    const names = () => filesIn(join(folder, 'buckets')).map(path => path.slice(dirname(entry.paths.leaf).length));
    await until(() => !names().some(path => path.includes(old.version)));
    expect(names().filter(path => path.includes(current.version))).toHaveLength(1 + Math.ceil(length / EXTENT));
    expect(names().filter(path => path.endsWith('.head'))).toHaveLength(1);
    await until(() => store.capacity.bytes === diskUsage(join(folder, 'buckets')));
  });

  it('leaves another object alone whose ETag and length are the same', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const [one, two] = [await store.catalog.look(OBJECT), await store.catalog.look(address('other'))];
    const head = headOf(1 << 20);
    const content = noise(1 << 20);
    for (const entry of [one, two]) {
      await keep(store, entry, head);
      await fill(store, entry, head, content);
    }
    await store.catalog.drop(one);
    const read = await store.read(two, head, { start: 0, end: 99 }, { ram: false });
    expect(Buffer.concat(read?.pieces ?? []).equals(content.subarray(0, 100))).toBe(true);
    read?.release();
  });
});

describe('an object that S3 says is gone', () => {
  it('goes from the volume, head and bytes', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    await store.capacity.settled();
    const entry = await store.catalog.look(OBJECT);
    await keep(store, entry, headOf(EXTENT + 5));
    await fill(store, entry, headOf(EXTENT + 5), noise(EXTENT + 5));
    await store.catalog.drop(entry);
    expect(entry.head).toBeUndefined();
    expect(filesIn(join(folder, 'buckets'))).toEqual([]);
    expect(readdirSync(entry.paths.leaf)).toEqual([]);
    expect(store.capacity.bytes).toBe(diskUsage(join(folder, 'buckets')));
  });
});

describe('the directory', () => {
  it('is looked at again for extents that another process stored', async () => {
    const folder = tempFolder();
    const [first, second] = [await openStore(folder), await openStore(folder)];
    const head = headOf(3 << 20);
    const mine = await first.store.catalog.look(OBJECT);
    await keep(first.store, mine, head);
    const theirs = await second.store.catalog.look(OBJECT);
    await second.store.list(theirs, { start: 0, end: 9 });
    expect(second.store.firstGap(theirs, head, { start: 0, end: 9 })).toBe(0);
    await fill(first.store, mine, head, noise(3 << 20));
    await until(async () => {
      await second.store.list(theirs, { start: 0, end: 9 });
      return second.store.firstGap(theirs, head, { start: 0, end: head.length - 1 }) === undefined;
    });
  });
});
