import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ObjectEntry } from '../../proxy-core/store/index.ts';
import { fresh, isEpoch, keep } from './heads.ts';
import { address, headOf, hold, openStore, tempFolder, until } from './helpers.ts';

const OBJECT = address('key');

const onDisk = (entry: ObjectEntry) => readFileSync(entry.paths.epoch, 'latin1');

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
