import { rmSync } from 'node:fs';
import fc from 'fast-check';
import { expect, it, vi } from 'vitest';
import type { Span } from '../../proxy-core/request/index.ts';
import { EXTENT, PIECE, UNIT } from '../../proxy-core/store/index.ts';
import {
  afterTest,
  beginObject,
  extentsIn,
  halfWrittenIn,
  headOf,
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
