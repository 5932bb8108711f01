import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { encodeExtent } from '../../proxy-core/store/disk/extent-writer.ts';
import { objectHash } from '../../proxy-core/store/disk/paths.ts';
import type { Store } from '../../proxy-core/store/index.ts';
import { noVersion } from '../../proxy-core/store/uploads/aside.ts';
import {
  contentName,
  encodeCreated,
  encodeRecord,
  recordName,
  uploadHash,
} from '../../proxy-core/store/uploads/multipart-files.ts';
import { address, halfWrittenIn, noise, openStore, tempFolder, until, when } from './helpers.ts';
import {
  CREATED,
  complete,
  etagOf,
  give,
  givenRightly,
  part,
  putPart,
  type SentPart,
  stagedIn,
  writtenHead,
} from './multipart.ts';

const OBJECT = address('key');
const ID = 'id';

/** Links into place that wait until the test says so. */
function holdLinks({ volume }: Store) {
  const waiting: (() => void)[] = [];
  const real = volume.link.bind(volume);
  let held = true;
  vi.spyOn(volume, 'link').mockImplementation((from, to) => {
    if (!held) return real(from, to);
    return new Promise((resolve, reject) => waiting.push(() => real(from, to).then(resolve, reject)));
  });
  return {
    waiting,
    go(count: number) {
      for (const one of waiting.splice(0, count)) one();
    },
    end() {
      held = false;
      for (const one of waiting.splice(0)) one();
    },
  };
}

describe('an upload of many parts', () => {
  it('answers within the disk’s deadline and goes on; meanwhile each byte comes from what has its place, or from S3', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder, { diskTimeout: 1500, uploadPercent: 100 });
    const parts = Array.from({ length: 30 }, (_, i) => part(i + 1, noise(200_000 + i, i)));
    const content = Buffer.concat(parts.map(sent => sent.content));
    await store.multipart.created(OBJECT, ID, CREATED);
    for (const sent of parts) await putPart(store, OBJECT, ID, sent);
    const links = holdLinks(store);
    const completing = complete(store, OBJECT, ID, parts);
    // So many at once, and no more before these are through.
    for (let round = 0; round < 2; round++) {
      await when(() => links.waiting.length === 8);
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
      expect(links.waiting).toHaveLength(8);
      links.go(8);
    }
    await when(() => links.waiting.length === 8);
    await completing;
    // A reader whom S3 has told the version.
    const entry = await store.catalog.look(OBJECT);
    const { written: _, ...told } = writtenHead(parts, content.length);
    const stamp = { validatedAt: store.now(), epoch: entry.epoch };
    store.adopt(entry, told, stamp);
    await store.keepHead(entry, told, stamp);
    const before = await givenRightly(store, OBJECT, content);
    expect(before).toBeGreaterThan(0);
    expect(before).toBeLessThan(content.length);
    links.end();
    await store.multipart.settled();
    expect((await give(store, OBJECT))?.equals(content)).toBe(true);
    expect(entry.headEpoch).toBe(entry.epoch);
    expect(await store.catalog.parts.look(entry, 30)).toMatchObject({ end: content.length - 1 });
    expect(stagedIn(folder)).toEqual([]);
  });

  it('that are 10,000 has each of them in its place', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder, { maxDiskBytes: 2 ** 40, uploadPercent: 100 });
    const upload = join(folder, 'uploads', uploadHash(OBJECT, ID));
    mkdirSync(upload, { recursive: true });
    writeFileSync(join(upload, 'create.json'), encodeCreated(OBJECT.storeKey, CREATED));
    // Each is of one byte all the way, so that the object takes little room: 20 GiB.
    const span = { start: 0, end: (2 << 20) - 1 };
    const binding = noVersion(objectHash(OBJECT));
    const bodies = Array.from({ length: 251 }, (_, i) => Buffer.alloc(span.end + 1, i));
    const files = await Promise.all(bodies.map(body => encodeExtent(binding, span, body, true)));
    const parts: SentPart[] = [];
    for (let number = 1; number <= 10_000; number++) {
      const file = files[number % 251]!;
      const sent = { number, etag: `"${number.toString(16).padStart(32, '0')}"`, content: bodies[number % 251]! };
      const name = `${number}-0`;
      writeFileSync(join(upload, contentName(name, span)), file);
      const record = { ...sent, checksums: [], length: span.end + 1, files: [{ span, size: file.length }] };
      writeFileSync(join(upload, recordName(name)), encodeRecord(uploadHash(OBJECT, ID), record));
      parts.push(sent);
    }
    await store.capacity.settled();
    await complete(store, OBJECT, ID, parts);
    await store.multipart.settled();
    const entry = await store.catalog.look(OBJECT);
    expect(entry.head?.etag).toBe(etagOf(parts));
    expect(entry.head?.length).toBe(10_000 * (span.end + 1));
    for (const number of [
      1,
      2,
      5_000,
      9_999,
      10_000,
      ...Array.from({ length: 50 }, () => 1 + Math.floor(Math.random() * 10_000)),
    ]) {
      const known = await store.catalog.parts.look(entry, number);
      expect(known).toMatchObject({ start: (number - 1) * (span.end + 1), end: number * (span.end + 1) - 1 });
      const given = await give(store, OBJECT, known!.start, known!.end);
      expect(given?.equals(bodies[number % 251]!), `part ${number}`).toBe(true);
    }
    await store.list(entry, { start: 0, end: entry.head!.length - 1 });
    expect(store.firstGap(entry, entry.head!, { start: 0, end: entry.head!.length - 1 })).toBeUndefined();
    await until(() => stagedIn(folder).length === 0 && halfWrittenIn(folder).length === 0);
  }, 120_000);
});
