import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import type { Span } from '../../proxy-core/request/index.ts';
import { EXTENT, PIECE, type Store, UNIT } from '../../proxy-core/store/index.ts';
import {
  afterTest,
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

const LENGTH = 2 * EXTENT + 300_000;
const contents = { noise: noise(LENGTH), prose: prose(LENGTH) };
const head = headOf(LENGTH);

/** Near a boundary as a rule. */
const place = fc
  .oneof(
    fc
      .tuple(fc.constantFrom(0, UNIT, PIECE, 3 * PIECE, EXTENT, 2 * EXTENT), fc.integer({ min: -2, max: 2 }))
      .map(([base, by]) => base + by),
    fc.nat(LENGTH - 1),
  )
  .map(at => Math.max(0, Math.min(LENGTH - 1, at)));
const span = fc.tuple(place, place).map(([a, b]): Span => ({ start: Math.min(a, b), end: Math.max(a, b) }));
/** A fetch of a span, of which so much arrives. */
const fetched = fc.record({ span, share: fc.oneof(fc.constant(1), fc.double({ min: 0.01, max: 1, noNaN: true })) });

function spansIn(folder: string): Span[] {
  return extentsIn(folder).map(name => {
    const [start, end] = name.split('-').map(Number);
    return { start: start!, end: end! };
  });
}

function merged(spans: readonly Span[]): Span[] {
  const out: { start: number; end: number }[] = [];
  for (const { start, end } of [...spans].sort((a, b) => a.start - b.start)) {
    const last = out.at(-1);
    if (last && start <= last.end + 1) last.end = Math.max(last.end, end);
    else out.push({ start, end });
  }
  return out;
}

it('any order and overlap of fetches ends in the same bytes on disk, each stored once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fetched, { minLength: 1, maxLength: 6 }),
      fc.constantFrom('noise' as const, 'prose' as const),
      fc.integer({ min: 20_000, max: 2 * PIECE }),
      async (fetches, kind, chunk) => {
        const content = contents[kind];
        const folder = tempFolder();
        const { store, counters, close } = await openStore(folder);
        const entry = await beginObject(store, head);
        const come: Span[] = [];
        const whole = { span: { start: 0, end: LENGTH - 1 }, share: 1 };
        for (const { span, share } of [...fetches, whole]) {
          const arrives = Math.max(1, Math.floor((span.end - span.start + 1) * share));
          const filling = startFill(store, entry, head, { span });
          await filling.send(content.subarray(span.start, span.start + arrives), chunk);
          await filling.end();
          come.push({ start: span.start, end: span.start + arrives - 1 });
          const spans = spansIn(folder);
          for (const [i, { start, end }] of spans.entries()) {
            expect(start).toBeLessThanOrEqual(end);
            expect(Math.floor(start / EXTENT)).toBe(Math.floor(end / EXTENT));
            expect(start).toBeGreaterThan(spans[i - 1]?.end ?? -1);
          }
          expect(merged(spans)).toEqual(merged(come));
        }
        expect((await readBack(store, entry, head, 0, LENGTH - 1)).equals(content)).toBe(true);
        expect([counters.disk_skipped, store.pool.bytesOut]).toEqual([0, 0]);
        await until(() => halfWrittenIn(folder).length === 0);
        await close();
        rmSync(folder, { recursive: true });
      },
    ),
    { numRuns: 20 },
  );
}, 60_000);

it('a fetch of what is on disk already writes nothing', async () => {
  const folder = tempFolder();
  const { store } = await openStore(folder);
  const entry = await beginObject(store, head);
  const write = vi.spyOn(store.volume, 'writev');
  const create = vi.spyOn(store.volume, 'open');
  afterTest(() => vi.restoreAllMocks());
  for (const calls of [true, false]) {
    const { send, end } = startFill(store, entry, head);
    await send(contents.noise);
    await end();
    expect([write.mock.calls.length > 0, create.mock.calls.length > 0]).toEqual([calls, calls]);
    write.mockClear();
    create.mockClear();
  }
});

const other = headOf(LENGTH, '"other"');
const whole = { start: 0, end: LENGTH - 1 };
/** Begins where no extent of `whole` does. */
const shifted = { start: 3 * UNIT, end: LENGTH - 1 };
const stampOf = (store: Store) => ({ validatedAt: store.now(), epoch: '' });

function expectStoredOnce(folder: string): void {
  const spans = spansIn(folder);
  for (const [i, { start }] of spans.entries()) expect(start).toBeGreaterThan(spans[i - 1]?.end ?? -1);
}

it('what is being written when another version comes is not written again when the first one is back', async () => {
  const folder = tempFolder();
  const { store } = await openStore(folder);
  const entry = await beginObject(store, head);
  const writes = holdWrites(store);
  const first = startFill(store, entry, head, { span: whole });
  await first.send(contents.noise.subarray(0, 3 * PIECE));
  await until(() => writes.waiting.length > 0);
  store.adopt(entry, other, stampOf(store));
  store.adopt(entry, head, stampOf(store));
  const second = startFill(store, entry, head, { span: shifted });
  await second.send(contents.noise.subarray(shifted.start, shifted.start + 3 * PIECE));
  writes.end();
  await first.send(contents.noise.subarray(3 * PIECE));
  await second.send(contents.noise.subarray(shifted.start + 3 * PIECE));
  await Promise.all([first.end(), second.end()]);
  expect(merged(spansIn(folder))).toEqual([whole]);
  expectStoredOnce(folder);
  expect((await readBack(store, entry, head, 0, LENGTH - 1)).equals(contents.noise)).toBe(true);
});

it.each([
  ['another one', other],
  ['none', undefined],
])('an extent that is finished when the version is no longer the object’s, but %s, goes', async (_, next) => {
  const folder = tempFolder();
  const { store } = await openStore(folder);
  const entry = await beginObject(store, head);
  const writes = holdWrites(store);
  const filling = startFill(store, entry, head);
  await filling.send(contents.noise.subarray(0, EXTENT));
  await until(() => writes.waiting.length > 0);
  if (next) store.adopt(entry, next, stampOf(store));
  else await store.catalog.drop(entry);
  const placed = vi.spyOn(store.volume, 'link');
  afterTest(() => vi.restoreAllMocks());
  writes.end();
  await filling.end();
  expect(placed).toHaveBeenCalled();
  await until(() => extentsIn(folder).length === 0 && halfWrittenIn(folder).length === 0);
});

it('a fill looks at what the disk has before it writes, where nobody has looked', async () => {
  const folder = tempFolder();
  const before = await openStore(folder);
  const early = startFill(before.store, await beginObject(before.store, head), head, { span: shifted });
  await early.send(contents.noise.subarray(shifted.start, EXTENT + UNIT));
  await early.end();
  await before.close();
  const { store } = await openStore(folder);
  const entry = await beginObject(store, head);
  const filling = startFill(store, entry, head, { span: whole });
  await filling.send(contents.noise);
  await filling.end();
  expect(merged(spansIn(folder))).toEqual([whole]);
  expectStoredOnce(folder);
});

it('a fill that can not see what the disk has writes nothing', async () => {
  const folder = tempFolder();
  const { store, problems } = await openStore(folder);
  const entry = await beginObject(store, head);
  const denied = Object.assign(new Error('EACCES: permission denied, scandir'), { code: 'EACCES', errno: -13 });
  vi.spyOn(store.volume, 'readdir').mockRejectedValue(denied);
  afterTest(() => vi.restoreAllMocks());
  const filling = startFill(store, entry, head);
  await filling.send(contents.noise.subarray(0, EXTENT));
  await filling.end();
  expect([extentsIn(folder), problems.get('fill')]).toEqual([[], expect.stringContaining('EACCES')]);
});

describe('a small object', () => {
  const small = headOf(50_000);
  const body = noise(small.length);
  const range = { start: 100, end: 19_999 };
  const keepWhole = (store: Store, entry: Awaited<ReturnType<typeof beginObject>>) =>
    store.keepSmall(entry, small, stampOf(store), body, { ram: false, compress: false });

  it('is in its head’s file alone once it is whole: ranges that were kept before go', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const entry = await beginObject(store, small);
    const filling = startFill(store, entry, small, { span: range });
    await filling.send(body.subarray(range.start, range.end + 1));
    await filling.end();
    expect(spansIn(folder)).toEqual([range]);
    await keepWhole(store, entry);
    await until(() => extentsIn(folder).length === 0);
    expect((await readBack(store, entry, small, 0, small.length - 1)).equals(body)).toBe(true);
  });

  it('is in its head’s file alone, also where a range of it arrives while that is written, or after', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const entry = await beginObject(store, small);
    const writes = holdWrites(store);
    const during = startFill(store, entry, small, { span: range });
    await during.send(body.subarray(range.start, range.end + 1));
    const ended = during.end();
    await until(() => writes.waiting.length > 0);
    await keepWhole(store, entry);
    writes.end();
    await ended;
    const after = startFill(store, entry, small, { span: range });
    await after.send(body.subarray(range.start, range.end + 1));
    await after.end();
    await until(() => extentsIn(folder).length === 0 && halfWrittenIn(folder).length === 0);
    expect((await readBack(store, entry, small, 0, small.length - 1)).equals(body)).toBe(true);
  });
});

it('a reader that finds out late that an extent is damaged leaves the new one in its place', async () => {
  const folder = tempFolder();
  const { store, counters } = await openStore(folder);
  const entry = await beginObject(store, head);
  const fill = async () => {
    const filling = startFill(store, entry, head);
    await filling.send(contents.noise);
    await filling.end();
  };
  await fill();
  await readBack(store, entry, head, EXTENT, EXTENT);
  const [path] = filesIn(folder).filter(name => name.endsWith(`${EXTENT}-${2 * EXTENT - 1}`));
  const content = readFileSync(path!);
  content[5 * UNIT]! ^= 1;
  writeFileSync(path!, content);
  const span = { start: EXTENT, end: EXTENT + 9 * UNIT };
  const read = () => store.read(entry, head, span, { ram: false });
  const real = store.volume.read.bind(store.volume);
  let late: () => void = () => {};
  const hold = vi.spyOn(store.volume, 'read').mockImplementationOnce(async (...args) => {
    const got = await real(...args);
    await new Promise<void>(resolve => {
      late = resolve;
    });
    return got;
  });
  afterTest(() => hold.mockRestore());
  const first = read();
  await until(() => hold.mock.calls.length > 0);
  expect(await read()).toBeUndefined();
  await until(() => !extentsIn(folder).includes(`${EXTENT}-${2 * EXTENT - 1}`));
  await fill();
  late();
  expect(await first).toBeUndefined();
  expect(counters.disk_corrupt).toBe(1);
  expect((await readBack(store, entry, head, 0, LENGTH - 1)).equals(contents.noise)).toBe(true);
});
