import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EXTENT, SMALL, type Store, UNIT } from '../../proxy-core/store/index.ts';
import {
  address,
  diskUsage,
  extentsIn,
  filesIn,
  halfWrittenIn,
  headOf,
  noise,
  openStore,
  prose,
  tempFolder,
  until,
} from './helpers.ts';
import {
  CREATED,
  complete,
  copyOf,
  give,
  part,
  putPart,
  type SentPart,
  stagedFilesIn,
  stagedIn,
  writtenHead,
} from './multipart.ts';

const MIB = 1 << 20;
const OBJECT = address('key');
const ID = 'upload.id_1-2';

const whole = (parts: readonly SentPart[]) => Buffer.concat(parts.map(({ content }) => content));

/** Two processes on one directory. */
async function openTwo() {
  const folder = tempFolder();
  const a = await openStore(folder);
  const b = await openStore(folder);
  return { folder, a, b };
}

/** What a process sees of the directory that knows nothing yet. */
async function another(folder: string): Promise<Store> {
  return (await openStore(folder)).store;
}

/** What the cache takes. */
function taken(folder: string): number {
  const parts = ['buckets', 'uploads'].map(name => join(folder, name)).filter(path => existsSync(path));
  return parts.reduce((sum, path) => sum + diskUsage(path), 0);
}

describe('an object that came in parts', () => {
  it('is there whole, by range and by part, through every process that had a part in it, or none', async () => {
    const { folder, a, b } = await openTwo();
    const parts = [part(1, noise(9 * MIB, 1)), part(2, noise(8 * MIB, 2)), part(3, noise(5 * MIB + 12_345, 3))];
    const content = whole(parts);
    await a.store.multipart.created(OBJECT, ID, CREATED);
    await Promise.all([
      putPart(b.store, OBJECT, ID, parts[2]!),
      putPart(a.store, OBJECT, ID, parts[1]!),
      putPart(b.store, OBJECT, ID, parts[0]!),
    ]);
    await complete(b.store, OBJECT, ID, parts);
    for (const store of [b.store, await another(folder)]) {
      expect((await give(store, OBJECT))?.equals(content)).toBe(true);
      for (const [from, to] of [
        [0, 0],
        [9 * MIB - 1, 9 * MIB],
        [8 * MIB - 70_000, 17 * MIB + 3],
        [content.length - 1, content.length - 1],
      ] as const)
        expect((await give(store, OBJECT, from, to))?.equals(content.subarray(from, to + 1))).toBe(true);
      const entry = await store.catalog.look(OBJECT);
      expect(await store.catalog.parts.look(entry, 2)).toEqual({
        start: 9 * MIB,
        end: 17 * MIB - 1,
        headers: ['x-amz-mp-parts-count', '3'],
        checksumsKnown: false,
        written: entry.head?.written,
      });
      expect(await store.catalog.parts.look(entry, 3)).toMatchObject({ start: 17 * MIB, end: content.length - 1 });
      expect(await store.catalog.parts.look(entry, 4)).toBeUndefined();
      expect(entry.head?.headers).toEqual(writtenHead(parts, content.length).headers);
    }
    await b.store.multipart.settled();
    expect(stagedIn(folder)).toEqual([]);
    await until(() => halfWrittenIn(folder).length === 0);
  });

  it('is a candidate only: its first reader asks S3', async () => {
    const { folder, a } = await openTwo();
    const parts = [part(1, noise(5 * MIB))];
    await a.store.multipart.created(OBJECT, ID, CREATED);
    await putPart(a.store, OBJECT, ID, parts[0]!);
    await complete(a.store, OBJECT, ID, parts);
    for (const store of [a.store, await another(folder)]) {
      const entry = await store.catalog.look(OBJECT);
      expect(entry.epoch).toMatch(/^[0-9a-f]{32}$/);
      expect(entry.headEpoch).not.toBe(entry.epoch);
      expect(entry.head?.written).toBeGreaterThan(0);
    }
  });

  it('has what Create told in its head', async () => {
    const { store } = await openStore(tempFolder());
    const created = { headers: ['Content-Type', 'a/b', 'x-amz-meta-who', 'caf\xe9'], unknowable: true };
    await store.multipart.created(OBJECT, ID, created);
    await putPart(store, OBJECT, ID, part(1, noise(70_000)));
    const told: unknown[] = [];
    await store.multipart.complete(OBJECT, ID, [part(1, noise(70_000))], (facts, length) => {
      told.push(facts, length);
      return undefined;
    });
    expect(told).toEqual([created, 70_000]);
  });

  it.each([
    ['one byte more than units', UNIT + 1, 3 * UNIT - 1, 100],
    ['one byte less than an extent', EXTENT - 1, EXTENT, EXTENT + 1],
    ['primes', 6_999_997, 5_242_883, 1],
  ])('may be cut anywhere: %s', async (_, ...lengths) => {
    const { folder, a } = await openTwo();
    const parts = lengths.map((length, i) => part(i + 1, noise(length, i + 1)));
    const content = whole(parts);
    await a.store.multipart.created(OBJECT, ID, CREATED);
    await Promise.all(parts.map(sent => putPart(a.store, OBJECT, ID, sent)));
    await complete(a.store, OBJECT, ID, parts);
    const other = await another(folder);
    expect((await give(other, OBJECT))?.equals(content)).toBe(true);
    for (let i = 0; i < 20; i++) {
      const from = Math.floor(Math.random() * content.length);
      const to = Math.min(content.length - 1, from + Math.floor(Math.random() * 3 * UNIT));
      expect((await give(other, OBJECT, from, to))?.equals(content.subarray(from, to + 1)), `${from}-${to}`).toBe(true);
    }
  });

  it('may be compressed', async () => {
    const { folder, a } = await openTwo();
    const parts = [part(1, prose(9 * MIB + 1, 1)), part(2, prose(5 * MIB, 2))];
    await a.store.multipart.created(OBJECT, ID, CREATED);
    for (const sent of parts) {
      const kept = await copyOf(a.store, OBJECT, sent.content, 'try');
      await a.store.multipart.keepPart(OBJECT, ID, { ...sent, checksums: [] }, kept);
    }
    await complete(a.store, OBJECT, ID, parts);
    expect(diskUsage(join(folder, 'buckets'))).toBeLessThan(2 * MIB);
    expect((await give(await another(folder), OBJECT))?.equals(whole(parts))).toBe(true);
  });

  it.each([
    ['a single part', [3 * MIB]],
    ['a last part of no bytes', [9 * MIB, 0]],
    ['a single part of no bytes', [0]],
    ['a single part that is small', [1000]],
    ['a single part as long as a small object may be', [SMALL]],
    ['a single part one byte longer', [SMALL + 1]],
    ['small parts of a small object', [1000, 2000, 0, 1]],
    ['small parts of a larger one', [UNIT, UNIT - 1, 1, UNIT]],
  ])('may be of %s', async (_, lengths) => {
    const { folder, a, b } = await openTwo();
    const parts = lengths.map((length, i) => part(i + 1, noise(length, i + 1)));
    const content = whole(parts);
    await a.store.multipart.created(OBJECT, ID, CREATED);
    for (const sent of parts) await putPart(b.store, OBJECT, ID, sent);
    await complete(a.store, OBJECT, ID, parts);
    for (const store of [a.store, await another(folder)]) {
      const entry = await store.catalog.look(OBJECT);
      expect(entry.head?.length).toBe(content.length);
      expect(entry.inline).toBe(content.length > 0 && content.length <= SMALL);
      expect((await give(store, OBJECT))?.equals(content)).toBe(true);
    }
    if (content.length <= SMALL) expect(extentsIn(folder)).toEqual([]);
    await a.store.multipart.settled();
    expect(stagedIn(folder)).toEqual([]);
    await until(() => halfWrittenIn(folder).length === 0);
  });

  it('consists of the parts that Complete names, of each the one whose ETag it gives; the others’ files go', async () => {
    const { folder, a, b } = await openTwo();
    const first = part(1, noise(9 * MIB, 1));
    const again = part(1, noise(6 * MIB + 5, 2));
    const third = part(3, noise(5 * MIB, 3));
    await a.store.multipart.created(OBJECT, ID, CREATED);
    await putPart(a.store, OBJECT, ID, first);
    await putPart(b.store, OBJECT, ID, again);
    await putPart(a.store, OBJECT, ID, part(2, noise(8 * MIB, 4)));
    await putPart(a.store, OBJECT, ID, third);
    await putPart(b.store, OBJECT, ID, third);
    await complete(a.store, OBJECT, ID, [again, third]);
    expect((await give(await another(folder), OBJECT))?.equals(whole([again, third]))).toBe(true);
    await a.store.multipart.settled();
    expect(extentsIn(folder)).toEqual([`0-${6 * MIB + 4}`, `${6 * MIB + 5}-${11 * MIB + 4}`]);
    expect(stagedIn(folder)).toEqual([]);
    await until(() => halfWrittenIn(folder).length === 0);
    // Which numbers its parts answer to is S3's to say.
    const entry = await a.store.catalog.look(OBJECT);
    expect(await a.store.catalog.parts.look(entry, 1)).toBeUndefined();
  });

  it('tells the checksums of its parts where S3 does, after a restart, too', async () => {
    const folder = tempFolder();
    const first = await openStore(folder);
    const parts = [part(1, noise(9 * MIB)), part(2, noise(100))];
    await first.store.multipart.created(OBJECT, ID, CREATED);
    for (const sent of parts)
      await putPart(first.store, OBJECT, ID, sent, ['x-amz-checksum-sha256', `sum${sent.number}`]);
    await complete(first.store, OBJECT, ID, parts, ['x-amz-checksum-type', 'COMPOSITE']);
    await first.close();
    const { store } = await openStore(folder);
    const entry = await store.catalog.look(OBJECT);
    expect(await store.catalog.parts.look(entry, 2)).toEqual({
      start: 9 * MIB,
      end: 9 * MIB + 99,
      headers: ['x-amz-mp-parts-count', '2', 'x-amz-checksum-sha256', 'sum2', 'x-amz-checksum-type', 'COMPOSITE'],
      checksumsKnown: true,
      written: entry.head?.written,
    });
  });

  it('takes the place of another version of the object', async () => {
    const { folder, a, b } = await openTwo();
    const old = noise(10 * MIB, 9);
    const entry = await a.store.catalog.look(OBJECT);
    const head = headOf(old.length, '"old"');
    a.store.adopt(entry, head, { validatedAt: a.store.now(), epoch: '' });
    await a.store.keepHead(entry, head, { validatedAt: a.store.now(), epoch: '' });
    const parts = [part(1, noise(9 * MIB, 1))];
    await b.store.multipart.created(OBJECT, ID, CREATED);
    await putPart(b.store, OBJECT, ID, parts[0]!);
    await complete(b.store, OBJECT, ID, parts);
    expect((await give(await another(folder), OBJECT))?.equals(whole(parts))).toBe(true);
    expect((await give(b.store, OBJECT))?.equals(whole(parts))).toBe(true);
  });

  it('leaves nothing where S3 has vouched for another version since', async () => {
    const { folder, a } = await openTwo();
    const parts = [part(1, noise(9 * MIB, 1))];
    await a.store.multipart.created(OBJECT, ID, CREATED);
    await putPart(a.store, OBJECT, ID, parts[0]!);
    await a.store.moveOn([OBJECT]);
    const entry = await a.store.catalog.look(OBJECT);
    const newer = headOf(10, '"newer"');
    const stamp = { validatedAt: a.store.now(), epoch: entry.epoch };
    a.store.adopt(entry, newer, stamp);
    await a.store.keepHead(entry, newer, stamp);
    await a.store.multipart.complete(OBJECT, ID, parts, (_, length) => writtenHead(parts, length));
    await a.store.multipart.settled();
    expect((await a.store.catalog.look(OBJECT)).head?.etag).toBe('"newer"');
    expect(filesIn(folder).filter(path => /parts\.json|\d+-\d+$/.test(path))).toEqual([]);
    expect(stagedIn(folder)).toEqual([]);
  });
});

describe('nothing is kept', () => {
  it.each([
    ['a part that did not come here', [1, 2, 3]],
    ['a part with another ETag', [1, 4]],
  ])('of an object with %s', async (_, numbers) => {
    const { folder, a, b } = await openTwo();
    const parts = [1, 2, 3, 4].map(number => part(number, noise(6 * MIB, number)));
    await a.store.multipart.created(OBJECT, ID, CREATED);
    await putPart(a.store, OBJECT, ID, parts[0]!);
    await putPart(a.store, OBJECT, ID, parts[1]!);
    await putPart(b.store, OBJECT, ID, { ...parts[3]!, etag: '"other"' });
    await complete(
      b.store,
      OBJECT,
      ID,
      parts.filter(({ number }) => numbers.includes(number)),
    );
    await b.store.multipart.settled();
    expect((await b.store.catalog.look(OBJECT)).head).toBeUndefined();
    expect(filesIn(folder).filter(path => !/\.epoch$|\.json$/.test(path))).toEqual([]);
    expect(stagedIn(folder)).toEqual([]);
    expect(b.problems.get('upload_parts')).toMatch(/part/);
  });

  it('of an upload whose Create was not seen, and no part of it stays on the disk', async () => {
    const { folder, a } = await openTwo();
    const parts = [part(1, noise(9 * MIB))];
    await putPart(a.store, OBJECT, ID, parts[0]!);
    await putPart(a.store, OBJECT, ID, part(2, noise(100)));
    await complete(a.store, OBJECT, ID, parts);
    await a.store.multipart.settled();
    expect((await a.store.catalog.look(OBJECT)).head).toBeUndefined();
    await until(() => halfWrittenIn(folder).length === 0);
    expect([...stagedIn(folder), ...extentsIn(folder)]).toEqual([]);
    expect(a.counters.disk_errors).toBe(0);
    await a.store.capacity.settled();
    expect(await a.store.capacity.reserve(1000 * MIB)).toBe(true);
  });

  it('of an upload that was aborted, also of parts that come after that, through any process', async () => {
    const { folder, a, b } = await openTwo();
    await a.store.multipart.created(OBJECT, ID, CREATED);
    await putPart(a.store, OBJECT, ID, part(1, noise(9 * MIB)));
    await putPart(b.store, OBJECT, ID, part(2, noise(10)));
    expect(stagedFilesIn(folder)).toHaveLength(6);
    await b.store.multipart.abort(OBJECT, ID);
    expect(stagedIn(folder)).toEqual([]);
    await putPart(a.store, OBJECT, ID, part(3, noise(9 * MIB)));
    await b.store.multipart.settled();
    await complete(a.store, OBJECT, ID, [part(1, noise(9 * MIB))]);
    await until(() => halfWrittenIn(folder).length === 0);
    expect([...stagedIn(folder), ...extentsIn(folder)]).toEqual([]);
  });

  it('of another object’s upload that has the same id', async () => {
    const { folder, a } = await openTwo();
    const other = address('other');
    const sent = part(1, noise(9 * MIB));
    await a.store.multipart.created(OBJECT, ID, CREATED);
    await putPart(a.store, OBJECT, ID, sent);
    await complete(a.store, other, ID, [sent]);
    expect((await a.store.catalog.look(other)).head).toBeUndefined();
    await a.store.multipart.abort(other, ID);
    expect(stagedIn(folder)).toHaveLength(1);
    await complete(a.store, OBJECT, ID, [sent]);
    expect((await give(a.store, OBJECT))?.equals(sent.content)).toBe(true);
  });
});

describe('the staging folder', () => {
  it('holds what came while Complete fails at S3, so that the client may try again', async () => {
    const { folder, a, b } = await openTwo();
    const parts = [part(1, noise(9 * MIB)), part(2, noise(9))];
    await a.store.multipart.created(OBJECT, ID, CREATED);
    await putPart(a.store, OBJECT, ID, parts[0]!);
    // S3 said InvalidPart: nobody tells the store. The client sends what was missing, and completes.
    expect(stagedFilesIn(folder)).toHaveLength(4);
    await putPart(b.store, OBJECT, ID, parts[1]!);
    await complete(b.store, OBJECT, ID, parts);
    expect((await give(await another(folder), OBJECT))?.equals(whole(parts))).toBe(true);
  });

  it('is taken by one of two processes that hear of the same Complete', async () => {
    const { folder, a, b } = await openTwo();
    const parts = [1, 2, 3].map(number => part(number, noise(6 * MIB, number)));
    await a.store.multipart.created(OBJECT, ID, CREATED);
    for (const sent of parts) await putPart(a.store, OBJECT, ID, sent);
    await Promise.all([complete(a.store, OBJECT, ID, parts), complete(b.store, OBJECT, ID, parts)]);
    expect((await give(await another(folder), OBJECT))?.equals(whole(parts))).toBe(true);
    await Promise.all([a, b].map(({ store }) => store.multipart.settled()));
    expect(stagedIn(folder)).toEqual([]);
    await until(() => halfWrittenIn(folder).length === 0);
  });

  it('stays below uploads/ whatever bytes the id has', async () => {
    const { folder, a } = await openTwo();
    // Those of instances come and go.
    const kept = () => filesIn(folder).filter(name => !name.includes('/instances/'));
    const before = kept().length;
    const ids = ['..', '../../../etc/x', '/', 'a/b', '.', '', 'x\0y', '%2e%2e', randomBytes(600).toString('latin1')];
    for (const id of ids) await a.store.multipart.created(OBJECT, id, CREATED);
    expect(stagedIn(folder)).toHaveLength(ids.length);
    for (const name of stagedIn(folder)) expect(name).toMatch(/^[0-9a-f]{64}$/);
    expect(kept()).toHaveLength(before + ids.length);
    for (const id of ids) await a.store.multipart.abort(OBJECT, id);
    expect(stagedIn(folder)).toEqual([]);
  });

  it('names no key, id or ETag in a file’s name', async () => {
    const { folder, a } = await openTwo();
    await a.store.multipart.created(address('secret'), ID, CREATED);
    await putPart(a.store, address('secret'), ID, { ...part(1, noise(9)), etag: '"tag"' });
    for (const path of stagedFilesIn(folder)) expect(path.slice(folder.length)).not.toMatch(/secret|upload\.id|tag/);
  });

  it('lets a team in where the volume is shared', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder, { shared: true });
    await store.multipart.created(OBJECT, ID, CREATED);
    await putPart(store, OBJECT, ID, part(1, noise(9 * MIB)));
    const stage = join(folder, 'uploads');
    const upload = join(stage, readdirSync(stage)[0]!);
    for (const path of [stage, upload]) expect(statSync(path).mode & 0o7777).toBe(0o2770);
    for (const path of stagedFilesIn(folder)) expect(statSync(path).mode & 0o7777).toBe(0o660);
  });

  it('counts in the cache’s size, and no longer when its files have their place or are gone', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder, { uploadPercent: 100 });
    await store.capacity.settled();
    const parts = [part(1, noise(9 * MIB, 1)), part(2, noise(5 * MIB + 1, 2)), part(3, noise(7, 3))];
    await store.multipart.created(OBJECT, ID, CREATED);
    for (const sent of parts) await putPart(store, OBJECT, ID, sent);
    await putPart(store, OBJECT, ID, part(2, noise(6 * MIB, 9)));
    expect(Math.abs(store.capacity.bytes - taken(folder))).toBeLessThanOrEqual(16_384);
    expect(store.capacity.bytes).toBeGreaterThan(20 * MIB);
    await complete(store, OBJECT, ID, parts);
    await store.multipart.settled();
    expect(Math.abs(store.capacity.bytes - taken(folder))).toBeLessThanOrEqual(16_384);
    await store.multipart.created(OBJECT, 'two', CREATED);
    await putPart(store, OBJECT, 'two', part(1, noise(9 * MIB)));
    await store.multipart.abort(OBJECT, 'two');
    await store.multipart.settled();
    expect(Math.abs(store.capacity.bytes - taken(folder))).toBeLessThanOrEqual(16_384);
    expect(store.capacity.bytes).toBeLessThan(15 * MIB);
  });

  it('gives its room back when a part can’t be moved there', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder, { maxDiskBytes: 64 * MIB, uploadPercent: 100 });
    await store.capacity.settled();
    for (let i = 0; i < 20; i++) await putPart(store, OBJECT, 'unknown', part(1, noise(9 * MIB)));
    await until(() => halfWrittenIn(folder).length === 0);
    expect(store.capacity.bytes).toBeLessThan(MIB);
  });
});
