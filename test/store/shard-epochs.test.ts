import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { isFresh } from '../../proxy-core/freshness/index.ts';
import type { ObjectAddress } from '../../proxy-core/request/index.ts';
import { objectHash } from '../../proxy-core/store/disk/paths.ts';
import { newEpoch } from '../../proxy-core/store/epoch.ts';
import type { ObjectEntry, Store } from '../../proxy-core/store/index.ts';
import { address, afterTest, diskUsage, filesIn, headOf, hold, openStore, tempFolder, until } from './helpers.ts';

const OBJECT = address('key');
const LIMIT = { maxDiskBytes: 4 << 20 };
const keysOf = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => address(`${prefix}-${i}`));
const shardOf = (object: ObjectAddress) => objectHash(object).slice(0, 2);
const shardFile = (folder: string, object: ObjectAddress) => join(folder, 'epochs', shardOf(object));
const fresh = (store: Store, entry: ObjectEntry) =>
  isFresh(entry, 60_000, store.now()) && !store.catalog.isDirty(entry);
/** Objects that share OBJECT's shard, and that don't. */
const others = keysOf('other', 2000);
const beside = others.filter(object => shardOf(object) === shardOf(OBJECT));
const elsewhere = others.filter(object => shardOf(object) !== shardOf(OBJECT));

/** Writes of so many objects in other shards that there is no room for another epoch. */
async function flood(store: Store): Promise<void> {
  await store.moveOn(elsewhere.slice(0, 200));
}

async function keep(store: Store, object: ObjectAddress): Promise<ObjectEntry> {
  const entry = await store.catalog.look(object);
  const stamp = { validatedAt: store.now(), epoch: entry.epoch };
  store.adopt(entry, headOf(5), stamp);
  await store.keepHead(entry, headOf(5), stamp);
  return entry;
}

describe('where there is no room for an epoch of each object', () => {
  it('a flood of writes stays within the limit and its share, and each of them is seen', async () => {
    const folder = tempFolder();
    const { store, problems } = await openStore(folder, LIMIT);
    const objects = keysOf('flood', 3000);
    const before = objects.map(object => store.catalog.entry(object).epoch);
    for (let at = 0; at < objects.length; at += 1000) await store.moveOn(objects.slice(at, at + 1000));
    expect(diskUsage(join(folder, 'buckets'))).toBeLessThan(LIMIT.maxDiskBytes / 8);
    expect(readdirSync(join(folder, 'epochs')).length).toBe(256);
    expect(diskUsage(join(folder, 'epochs'))).toBeLessThanOrEqual(257 * 4096 + 16_384);
    expect(store.catalog.dirtyCount).toBe(0);
    for (const [i, object] of objects.entries()) expect((await store.catalog.look(object)).epoch).not.toBe(before[i]);
    expect(problems.size).toBe(0);
    expect(store.capacity.full).toBe(false);
  });

  it('a write ends the freshness of its object, and of no other shard, here, elsewhere and after a restart', async () => {
    const folder = tempFolder();
    const { store, close } = await openStore(folder, LIMIT);
    const other = await openStore(folder, LIMIT);
    await flood(store);
    const entry = await keep(store, OBJECT);
    const far = await keep(store, elsewhere[300]!);
    const theirs = await other.store.catalog.look(OBJECT);
    expect([fresh(store, entry), fresh(store, far), fresh(other.store, theirs)]).toEqual([true, true, true]);
    await store.moveOn([OBJECT]);
    expect(existsSync(entry.paths.epoch)).toBe(false);
    expect([fresh(store, entry), fresh(store, far)]).toEqual([false, true]);
    const told = performance.now();
    await until(async () => !fresh(other.store, await other.store.catalog.look(OBJECT)));
    expect(performance.now() - told).toBeLessThan(500);
    await close();
    const later = await openStore(folder, LIMIT);
    expect(fresh(later.store, await later.store.catalog.look(OBJECT))).toBe(false);
    expect(fresh(later.store, await later.store.catalog.look(elsewhere[300]!))).toBe(true);
  });

  it('what shares the shard is vouched for once again, and then fresh', async () => {
    const { store } = await openStore(tempFolder(), LIMIT);
    const near = await keep(store, beside[0]!);
    await flood(store);
    await store.moveOn([OBJECT]);
    expect(fresh(store, near)).toBe(false);
    store.catalog.touch(near, store.now(), near.epoch, 60_000);
    expect(fresh(store, near)).toBe(true);
    near.lookedAt = Number.NEGATIVE_INFINITY;
    await store.catalog.look(beside[0]!);
    expect(fresh(store, near)).toBe(true);
  });

  it('what shares it and is in memory only is a candidate, too', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder, LIMIT);
    const other = await openStore(folder, LIMIT);
    await Promise.all([flood(store), flood(other.store)]);
    const near = await store.catalog.look(beside[0]!);
    store.adopt(near, headOf(5), { validatedAt: store.now(), epoch: near.epoch });
    await other.store.moveOn([OBJECT]);
    store.catalog.lookAgain([OBJECT.storeKey, beside[0]!.storeKey]);
    await store.catalog.look(beside[0]!);
    expect(near.head).toEqual(headOf(5));
    expect(fresh(store, near)).toBe(false);
  });

  it('what was learnt of an object before its write, or while it is recorded, is never fresh after it', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder, LIMIT);
    await flood(store);
    const entry = await keep(store, OBJECT);
    const noted = [entry.epoch];
    const held = hold(store, 'rename', to => to.startsWith(join(folder, 'epochs')));
    const moving = store.moveOn([OBJECT]);
    await until(() => held.length === 1);
    expect(fresh(store, entry)).toBe(false);
    noted.push(entry.epoch);
    // A look that began before the volume has it.
    entry.lookedAt = Number.NEGATIVE_INFINITY;
    await store.catalog.look(OBJECT);
    held[0]?.go();
    await moving;
    for (const epoch of noted) {
      store.adopt(entry, headOf(6, '"old flight"'), { validatedAt: store.now(), epoch });
      expect(fresh(store, entry)).toBe(false);
    }
    const another = await openStore(folder, LIMIT);
    expect(noted).not.toContain((await another.store.catalog.look(OBJECT)).epoch);
    expect((await another.store.catalog.look(OBJECT)).epoch).toBe(entry.epoch);
  });

  it('a write is not undone by a look at the shard that began before it', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder, LIMIT);
    await flood(store);
    await store.moveOn([OBJECT]);
    const entry = await keep(store, OBJECT);
    const held = hold(store, 'readFile', path => path === shardFile(folder, OBJECT));
    store.catalog.lookAgain([OBJECT.storeKey]);
    const looking = store.catalog.look(OBJECT);
    await until(() => held.length === 1);
    await store.moveOn([OBJECT]);
    const { epoch } = entry;
    held[0]?.go();
    await looking;
    expect(entry.epoch).toBe(epoch);
    expect(fresh(store, entry)).toBe(false);
  });

  it('another process’s write is seen while this one writes the shard for an object of its own', async () => {
    const folder = tempFolder();
    const [a, b] = [await openStore(folder, LIMIT), await openStore(folder, LIMIT)];
    await Promise.all([flood(a.store), flood(b.store)]);
    const entry = await keep(a.store, OBJECT);
    const held = hold(a.store, 'rename', to => to === shardFile(folder, OBJECT));
    const moving = a.store.moveOn([beside[0]!]);
    await until(() => held.length === 1);
    await b.store.moveOn([OBJECT]);
    await a.store.catalog.look(OBJECT);
    expect(fresh(a.store, entry)).toBe(false);
    held[0]?.go();
    await moving;
    expect(fresh(a.store, entry)).toBe(false);
  });

  it('another process’s write is seen by who looks while it tells of one of another object', async () => {
    const folder = tempFolder();
    const [a, b] = [await openStore(folder, LIMIT), await openStore(folder, LIMIT)];
    await Promise.all([flood(a.store), flood(b.store)]);
    const entry = await keep(a.store, OBJECT);
    await b.store.moveOn([OBJECT]);
    const held = hold(a.store, 'readFile', path => path === shardFile(folder, OBJECT));
    const looking = a.store.catalog.look(OBJECT);
    await until(() => held.length === 1);
    await b.store.moveOn([beside[0]!]);
    held[0]?.go();
    await looking;
    expect(fresh(a.store, entry)).toBe(false);
  });

  it('two processes that write at the same time both end what was fresh', async () => {
    const folder = tempFolder();
    const [a, b] = [await openStore(folder, LIMIT), await openStore(folder, LIMIT)];
    await Promise.all([flood(a.store), flood(b.store)]);
    const [mine, near] = [await keep(a.store, OBJECT), await keep(b.store, beside[0]!)];
    for (let i = 0; i < 20; i++) {
      await Promise.all([a.store.moveOn([OBJECT]), b.store.moveOn([beside[0]!])]);
      expect([fresh(a.store, mine), fresh(b.store, near)]).toEqual([false, false]);
      a.store.catalog.touch(mine, a.store.now(), mine.epoch, 60_000);
      b.store.catalog.touch(near, b.store.now(), near.epoch, 60_000);
    }
    await until(async () => {
      const [one, two] = [await a.store.catalog.look(OBJECT), await b.store.catalog.look(OBJECT)];
      return one.epoch === two.epoch;
    });
  });

  it('writes that come while a shard is being written share the next one', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder, LIMIT);
    await flood(store);
    const renames = vi.spyOn(store.volume, 'rename');
    afterTest(() => renames.mockRestore());
    await store.moveOn([OBJECT, ...beside]);
    expect(beside.length).toBeGreaterThan(3);
    expect(renames.mock.calls.filter(([, to]) => to === shardFile(folder, OBJECT)).length).toBeLessThanOrEqual(2);
    expect(store.catalog.dirtyCount).toBe(0);
  });

  it.each([
    ['removed', (path: string) => rmSync(path)],
    ['damaged', (path: string) => writeFileSync(path, 'no epoch')],
  ])('a shard’s file that is %s does not bring back what was true before the write', async (_, damage) => {
    const folder = tempFolder();
    const { store, counters } = await openStore(folder, LIMIT);
    const entry = await keep(store, OBJECT);
    await flood(store);
    await store.moveOn([OBJECT]);
    damage(shardFile(folder, OBJECT));
    store.catalog.lookAgain([OBJECT.storeKey]);
    await store.catalog.look(OBJECT);
    expect(entry.headEpoch).toBe('');
    expect(fresh(store, entry)).toBe(false);
    expect(counters.disk_corrupt).toBe(1);
    expect(entry.epoch).toBe(readFileSync(shardFile(folder, OBJECT), 'latin1'));
  });

  it('an object that had an epoch keeps to its own', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder, LIMIT);
    await store.moveOn([OBJECT]);
    await flood(store);
    const entry = await store.catalog.look(OBJECT);
    const { epoch } = entry;
    await store.moveOn([OBJECT]);
    expect(entry.epoch).not.toBe(epoch);
    expect(readFileSync(entry.paths.epoch, 'latin1')).toBe(entry.epoch);
    expect(existsSync(shardFile(folder, OBJECT))).toBe(false);
  });

  it('epochs that have gone since need room again', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder, LIMIT);
    // As over hours: those of a quarter of an hour ago are evicted, and known in memory only.
    const objects = others.slice(0, 200);
    for (const object of objects) store.catalog.entry(object).ownEpoch = newEpoch();
    await store.moveOn(objects);
    expect(diskUsage(join(folder, 'buckets'))).toBeLessThan(LIMIT.maxDiskBytes / 8);
    for (const object of objects) {
      const { epoch } = store.catalog.entry(object);
      expect((await store.catalog.look(object)).epoch).toBe(epoch);
    }
    const another = await openStore(folder, LIMIT);
    for (const object of objects)
      expect((await another.store.catalog.look(object)).epoch).toBe((await store.catalog.look(object)).epoch);
  });

  it('a folder that takes no epochs leaves the object dirty, and is brought to it later', async () => {
    const folder = tempFolder();
    const { store, problems } = await openStore(folder, LIMIT);
    await flood(store);
    rmSync(join(folder, 'epochs'), { recursive: true });
    writeFileSync(join(folder, 'epochs'), 'in the way');
    const entry = await keep(store, OBJECT);
    await store.moveOn([OBJECT]);
    expect(store.catalog.dirtyCount).toBe(1);
    expect(problems.get('epochs')).toContain('S3 is asked');
    expect(fresh(store, entry)).toBe(false);
    rmSync(join(folder, 'epochs'));
    await until(() => store.catalog.dirtyCount === 0 && problems.size === 0);
    expect(filesIn(join(folder, 'epochs'))).toContain(shardFile(folder, OBJECT));
    expect(fresh(store, entry)).toBe(false);
  });
});
