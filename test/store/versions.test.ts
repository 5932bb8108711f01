import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EXTENT, type Head, type ObjectEntry, type Part, type Store } from '../../proxy-core/store/index.ts';
import { keep } from './heads.ts';
import { address, diskUsage, filesIn, fillWhole, headOf, noise, openStore, tempFolder, until } from './helpers.ts';

const OBJECT = address('key');

/** Writes the whole of a version, as a flight would. */
async function fill(store: Store, entry: ObjectEntry, head: Head, content: Buffer): Promise<void> {
  await fillWhole(store, entry, head, content);
  expect(store.firstGap(entry, head, { start: 0, end: head.length - 1 })).toBeUndefined();
}

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
