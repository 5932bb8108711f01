import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { EXTENT, PIECE, type Store, UNIT } from '../../proxy-core/store/index.ts';
import {
  beginObject,
  extentsIn,
  filesIn,
  halfWrittenIn,
  headOf,
  holdWrites,
  noise,
  openStore,
  prose,
  readBack,
  startFill,
  tempFolder,
  until,
} from './helpers.ts';

describe('a fill', () => {
  it('keeps any span that comes in chunks of any size, in extents cut at 8 MiB boundaries', async () => {
    const boundary = fc.tuple(fc.constantFrom(0, UNIT, PIECE, EXTENT, 2 * EXTENT), fc.integer({ min: -3, max: 3 }));
    const place = fc.oneof(
      boundary.map(([base, by]) => Math.max(0, base + by)),
      fc.nat(2 * EXTENT),
    );
    await fc.assert(
      fc.asyncProperty(
        place,
        place,
        fc.integer({ min: 1000, max: 3 * PIECE }),
        fc.boolean(),
        fc.nat(),
        async (a, b, chunk, shrinks, cut) => {
          const folder = tempFolder();
          const { store, close } = await openStore(folder);
          const span = { start: Math.min(a, b), end: Math.max(a, b) };
          const length = span.end - span.start + 1;
          const arrives = cut % 2 === 0 ? length : 1 + (cut % length);
          const content = (shrinks ? prose : noise)(arrives);
          const head = headOf(2 * EXTENT + 10);
          const entry = await beginObject(store, head);
          const filling = startFill(store, entry, head, { span });
          await filling.send(content, chunk);
          expect(filling.position).toBe(span.start + arrives);
          await filling.end();
          expect(filling.fill.healthy).toBe(true);
          const last = span.start + arrives - 1;
          const expected: string[] = [];
          for (let at = span.start; at <= last; at = (Math.floor(at / EXTENT) + 1) * EXTENT)
            expected.push(`${at}-${Math.min(last, (Math.floor(at / EXTENT) + 1) * EXTENT - 1)}`);
          expect(extentsIn(folder)).toEqual(expected);
          expect(store.firstGap(entry, head, span)).toBe(last < span.end ? last + 1 : undefined);
          expect((await readBack(store, entry, head, span.start, last)).equals(content)).toBe(true);
          expect(store.pool.bytesOut).toBe(0);
          await until(() => halfWrittenIn(folder).length === 0);
          await close();
          rmSync(folder, { recursive: true });
        },
      ),
      { numRuns: 25 },
    );
  }, 60_000);

  it('that got nothing leaves nothing', async () => {
    const folder = tempFolder();
    const { store, counters } = await openStore(folder);
    const head = headOf(EXTENT);
    const { fill, end } = startFill(store, await beginObject(store, head), head);
    await end();
    expect([fill.healthy, store.pool.bytesOut, halfWrittenIn(folder)]).toEqual([true, 0, []]);
    expect(counters.disk_skipped).toBe(0);
    expect(existsSync(join(folder, 'buckets'))).toBe(false);
  });

  it('asks its source to pause when the disk is behind, and to go on when it is not', async () => {
    const { store, counters } = await openStore(tempFolder());
    const head = headOf(6 * EXTENT);
    const content = noise(head.length);
    const entry = await beginObject(store, head);
    const writes = holdWrites(store);
    const { fill, send, end } = startFill(store, entry, head);
    let sent = false;
    const sending = send(content, PIECE).then(() => {
      sent = true;
    });
    await until(() => fill.busy);
    expect([sent, store.pool.bytesOut < content.length]).toEqual([false, true]);
    writes.end();
    await sending;
    expect(fill.busy).toBe(false);
    await end();
    expect([fill.healthy, counters.disk_skipped, store.pool.bytesOut]).toEqual([true, 0, 0]);
    expect(store.firstGap(entry, head, { start: 0, end: content.length - 1 })).toBeUndefined();
  });

  it('finds the place taken by another, and both read the same file', async () => {
    const folder = tempFolder();
    const { store, counters } = await openStore(folder);
    const head = headOf(3 * PIECE);
    const content = noise(3 * PIECE);
    const entry = await beginObject(store, head);
    const [one, two] = [startFill(store, entry, head), startFill(store, entry, head)];
    await Promise.all([one.send(content, 50_000), two.send(content, 70_000)]);
    await Promise.all([one.end(), two.end()]);
    expect([one.fill.healthy, two.fill.healthy, counters.disk_skipped]).toEqual([true, true, 0]);
    expect(extentsIn(folder)).toHaveLength(1);
    expect((await readBack(store, entry, head, 0, content.length - 1)).equals(content)).toBe(true);
    await until(() => halfWrittenIn(folder).length === 0);
  });

  it('goes on when its folders are deleted under it', async () => {
    const folder = tempFolder();
    const { store, counters } = await openStore(folder);
    const head = headOf(3 * EXTENT);
    const content = noise(3 * EXTENT);
    const { fill, send, end } = startFill(store, await beginObject(store, head), head);
    await send(content.subarray(0, EXTENT), PIECE);
    await until(() => extentsIn(folder).length === 1);
    rmSync(join(folder, 'buckets'), { recursive: true });
    await send(content.subarray(EXTENT), PIECE);
    await end();
    expect([fill.healthy, counters.disk_skipped]).toEqual([true, 0]);
    expect(extentsIn(folder)).toHaveLength(2);
  });
});

describe('content that goes by', () => {
  it.each([
    ['though the disk takes nothing', (store: Store) => vi.spyOn(store, 'takesFills', 'get').mockReturnValue(false)],
    [
      'though the disk fails',
      (store: Store) => vi.spyOn(store.volume, 'open').mockRejectedValue(new Error('read-only file system')),
    ],
  ])('is kept in memory %s', async (_, breakIt) => {
    const folder = tempFolder();
    const { store } = await openStore(folder, { ramEnabled: true });
    breakIt(store);
    const head = headOf(2 * EXTENT);
    const content = noise(2 * EXTENT);
    const entry = await beginObject(store, head);
    const { send, end } = startFill(store, entry, head, { ram: true });
    await send(content, 100_000);
    await end();
    vi.restoreAllMocks();
    const cells = Array.from({ length: (2 * EXTENT) / UNIT }, (_unused, cell) => store.cell(entry, head, cell));
    expect(cells.filter(cell => cell !== undefined).length).toBeGreaterThan(200);
    cells.forEach((cell, i) => {
      if (cell) expect(cell.bytes.equals(content.subarray(i * UNIT, i * UNIT + UNIT))).toBe(true);
    });
    expect(store.pool.bytesOut).toBe(0);
    expect(readdirSync(folder)).not.toContain('buckets');
  });
});

it('what a fill writes is what lz4 would read: the content is in the file', async () => {
  const folder = tempFolder();
  const { store } = await openStore(folder);
  const head = headOf(100_000);
  const { send, end } = startFill(store, await beginObject(store, head), head);
  const content = noise(100_000);
  await send(content, 9_999);
  await end();
  const [extent] = filesIn(join(folder, 'buckets'));
  expect(readFileSync(extent!).includes(content.subarray(0, UNIT))).toBe(true);
});
