import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EXTENT, PIECE, type Piece, type Store } from '../../proxy-core/store/index.ts';
import {
  beginObject,
  extentsIn,
  type FillingOptions,
  headOf,
  holdWrites,
  noise,
  openStore,
  startFill,
  stopClock,
  tempFolder,
  when,
} from './helpers.ts';

const content = noise(6 * EXTENT);
const head = headOf(content.length);
const piecesOf = (from: number, to: number) => content.subarray(from * PIECE, to * PIECE);
const named = (...numbers: number[]) => numbers.map(number => `${number * EXTENT}-${(number + 1) * EXTENT - 1}`);

/** How long a reader may be held up, ms, and what it may be more by the time at which that is looked at. */
const PATIENCE = 250;
const LOOSELY = 150;
/** How long the disk is left out after trouble, ms: at first, and at most. */
const REST = { first: 100, longest: 10_000 };

async function setUp(options: FillingOptions & { memoryBudget?: number } = {}) {
  const folder = tempFolder();
  const { memoryBudget = 64 * PIECE, ...about } = options;
  const opened = await openStore(folder, { memoryBudget });
  const { store } = opened;
  await store.capacity.settled();
  const entry = await beginObject(store, head);
  stopClock();
  return { ...opened, ...startFill(store, entry, head, { compression: 'off', ...about }), folder, entry };
}

/** Moves the clock on until it holds, at most so far; returns by how much, ms. */
async function advanceUntil(holds: () => boolean, most: number): Promise<number> {
  const start = performance.now();
  while (!holds() && performance.now() - start < most) {
    vi.advanceTimersByTime(10);
    await new Promise(setImmediate);
  }
  return performance.now() - start;
}

/** All of the memory budget that is left is somebody else's, until this is called. */
function starve({ pool }: Store): () => void {
  const taken: Piece[] = [];
  for (let piece = pool.take(); piece; piece = pool.take()) taken.push(piece);
  return () => {
    for (const piece of taken) piece.release();
  };
}

describe('a fill whose disk takes nothing for a while', () => {
  it('holds its source up for as long as that takes, where nobody waits for its bytes', async () => {
    const { store, counters, fill, send, end, folder } = await setUp();
    const writes = holdWrites(store);
    const sending = send(content, PIECE);
    await when(() => fill.busy && writes.waiting.length > 0);
    expect(await advanceUntil(() => !fill.busy, 60_000)).toBeGreaterThanOrEqual(60_000);
    writes.end();
    await sending;
    await end();
    expect([fill.healthy, counters.disk_skipped, store.pool.bytesOut]).toEqual([true, 0, 0]);
    expect(extentsIn(folder)).toEqual(named(0, 1, 2, 3, 4, 5));
  });

  it('lets its source go on soon where somebody does, and leaves out the last of what waits', async () => {
    let changes = 0;
    const { store, counters, problems, fill, send, end, folder } = await setUp({
      urgent: () => true,
      onChange: () => {
        changes++;
      },
    });
    const writes = holdWrites(store);
    let sent = false;
    const sending = send(content, PIECE).then(() => {
      sent = true;
    });
    await when(() => fill.busy);
    const waited = await advanceUntil(() => sent, 5000);
    await sending;
    expect(waited).toBeGreaterThanOrEqual(PATIENCE);
    expect(waited).toBeLessThanOrEqual(PATIENCE + LOOSELY);
    expect(changes).toBeGreaterThan(0);
    const kept = [0, 1, 2, 3, 4, 5].filter(extent => fill.keeps(extent * EXTENT));
    expect(kept.length).toBeGreaterThan(0);
    expect(kept.length).toBeLessThan(6);
    expect(kept).toEqual(kept.map((_, i) => i));
    // What waits for the disk, and what arrived last.
    expect(store.pool.bytesOut).toBe(kept.length * EXTENT + PIECE);
    expect(problems.get('fill')).toBe('the disk is slower than S3');
    writes.end();
    await end();
    expect(extentsIn(folder)).toEqual(named(...kept));
    expect([counters.disk_skipped, store.pool.bytesOut]).toEqual([1, 0]);
  });

  it('lets its source go on where memory is short, too, whatever of which extent waits', async () => {
    const span = { start: 6 * PIECE, end: content.length - 1 };
    const { store, fill, send, end, folder } = await setUp({ urgent: () => true, span, memoryBudget: 8 * PIECE });
    const others = [store.pool.take()!, store.pool.take()!, store.pool.take()!];
    const writes = holdWrites(store);
    const sending = send(piecesOf(6, 9), 3 * PIECE);
    await when(() => fill.busy);
    expect(store.pool.tight).toBe(true);
    expect(await advanceUntil(() => !fill.busy, 5000)).toBeLessThanOrEqual(PATIENCE + LOOSELY);
    await sending;
    for (const piece of others) piece.release();
    writes.end();
    await end();
    expect([extentsIn(folder), store.pool.bytesOut]).toEqual([[], 0]);
  });

  it('takes what comes after the rest, once the disk is back', async () => {
    let urgent = true;
    const { store, fill, send, end, folder } = await setUp({ urgent: () => urgent });
    const writes = holdWrites(store);
    const sending = send(piecesOf(0, 32), PIECE);
    await when(() => fill.busy);
    await advanceUntil(() => !fill.healthy, 5000);
    await sending;
    writes.end();
    urgent = false;
    vi.advanceTimersByTime(REST.first);
    await send(piecesOf(32, 48), PIECE);
    expect(fill.healthy).toBe(true);
    await end();
    expect(extentsIn(folder).slice(-2)).toEqual(named(4, 5));
    expect(extentsIn(folder)).not.toContain(named(3)[0]);
  });
});

describe('the rest after trouble', () => {
  const LONG = headOf(60 * EXTENT);
  let piece: Piece;
  let scene: Awaited<ReturnType<typeof open>>;

  async function open() {
    const opened = await openStore(tempFolder());
    const { store } = opened;
    await store.capacity.settled();
    const entry = await beginObject(store, LONG);
    stopClock();
    const fill = store.fill(
      entry,
      LONG,
      { start: 0, end: LONG.length - 1 },
      {
        ram: false,
        compression: 'off',
        shared: () => false,
        urgent: () => false,
        onChange: () => {},
      },
    );
    return { ...opened, entry, fill, create: vi.spyOn(store.volume, 'open') };
  }

  beforeEach(async () => {
    scene = await open();
    piece = scene.store.pool.take()!;
    noise(PIECE).copy(piece.bytes);
  });

  afterEach(() => piece.release());

  /** The first MiB of an extent comes: whether it was tried to write it, which fails. */
  async function fails(extent: number): Promise<boolean> {
    const { fill, create } = scene;
    create.mockRejectedValue(Object.assign(new Error('EIO'), { code: 'EIO' })).mockClear();
    fill.write(piece, extent * EXTENT, PIECE);
    const tried = fill.healthy;
    await when(() => !fill.healthy);
    expect(create).toHaveBeenCalledTimes(tried ? 1 : 0);
    create.mockRestore();
    scene.create = vi.spyOn(scene.store.volume, 'open');
    return tried;
  }

  /** A whole extent comes, and is kept. */
  async function succeeds(extent: number): Promise<void> {
    const { fill, entry, store } = scene;
    for (let at = extent * EXTENT; at < (extent + 1) * EXTENT; at += PIECE) fill.write(piece, at, PIECE);
    await when(
      () => store.firstGap(entry, LONG, { start: extent * EXTENT, end: (extent + 1) * EXTENT - 1 }) === undefined,
    );
  }

  it('doubles each time, up to ten seconds, and is short again when all has been well for as long', async () => {
    let extent = 0;
    expect(await fails(extent++)).toBe(true);
    for (const rest of [100, 200, 400, 800, 1600, 3200, 6400, REST.longest, REST.longest]) {
      vi.advanceTimersByTime(rest - 1);
      expect(await fails(extent++)).toBe(false);
      vi.advanceTimersByTime(1);
      expect(await fails(extent++)).toBe(true);
    }
    vi.advanceTimersByTime(REST.longest);
    await succeeds(extent++);
    expect(await fails(extent++)).toBe(true);
    vi.advanceTimersByTime(REST.longest - 1);
    expect(await fails(extent++)).toBe(false);
    vi.advanceTimersByTime(2);
    await succeeds(extent++);
    expect(await fails(extent++)).toBe(true);
    vi.advanceTimersByTime(REST.first);
    await succeeds(extent++);
    await scene.fill.end();
    expect(scene.counters.disk_skipped).toBe(1);
  });

  it('goes on while the store takes no fills', async () => {
    const takes = vi.spyOn(scene.store, 'takesFills', 'get').mockReturnValue(true);
    expect(await fails(0)).toBe(true);
    takes.mockReturnValue(false);
    vi.advanceTimersByTime(REST.longest);
    expect(await fails(1)).toBe(false);
    takes.mockReturnValue(true);
    await succeeds(2);
    await scene.fill.end();
  });

  it('begins with an extent for which the store takes no fills', async () => {
    await succeeds(0);
    const takes = vi.spyOn(scene.store, 'takesFills', 'get').mockReturnValue(false);
    scene.create.mockClear();
    scene.fill.write(piece, EXTENT, PIECE);
    expect([scene.fill.healthy, scene.fill.keeps(EXTENT)]).toEqual([false, false]);
    takes.mockReturnValue(true);
    vi.advanceTimersByTime(REST.first);
    await succeeds(2);
    await scene.fill.end();
    expect(scene.store.firstGap(scene.entry, LONG, { start: 0, end: 3 * EXTENT - 1 })).toBe(EXTENT);
  });
});

it('a fill of a version that is no longer the object’s begins no extent', async () => {
  const { store, send, end, folder, entry } = await setUp();
  await send(piecesOf(0, 8), PIECE);
  await when(() => extentsIn(folder).length === 1);
  store.adopt(entry, headOf(content.length, '"two"'), { validatedAt: store.now(), epoch: '' });
  await send(piecesOf(8, 48), PIECE);
  await end();
  // What is left of the old one goes with it.
  await when(() => extentsIn(folder).length === 0);
});

describe('a fill some of whose bytes came while memory was short', () => {
  /** All that comes, but for a hole that begins within the MiB `from` and ends at the beginning of the MiB `to`. */
  async function withHole(from: number, to: number) {
    const scene = await setUp();
    const { store, send, end } = scene;
    await send(piecesOf(0, from), PIECE);
    // All but what arrived last is the disk's by now.
    await when(() => store.pool.bytesOut <= PIECE);
    const feed = starve(store);
    await send(piecesOf(from, to).subarray(0, (to - from) * PIECE - 1000), 100_000);
    feed();
    await send(piecesOf(from, to).subarray((to - from) * PIECE - 1000), 1000);
    await send(piecesOf(to, 48), PIECE);
    await end();
    return scene;
  }

  it.each([
    ['in the middle of an extent', 10, 12, [0, 2, 3, 4, 5]],
    ['at the end of an extent', 14, 16, [0, 2, 3, 4, 5]],
    ['at the beginning of an extent', 8, 9, [0, 2, 3, 4, 5]],
    ['of one extent and the beginning of the next', 14, 18, [0, 3, 4, 5]],
    ['of whole extents', 8, 24, [0, 3, 4, 5]],
    ['at the beginning', 0, 3, [1, 2, 3, 4, 5]],
  ])('(%s) leaves out those extents, and no other', async (_, from, to, kept) => {
    const { store, counters, folder } = await withHole(from, to);
    expect(extentsIn(folder)).toEqual(named(...kept));
    expect(store.pool.bytesOut).toBe(0);
    expect(counters.disk_skipped).toBeLessThanOrEqual(1);
  });

  it('promises nothing more of an extent as soon as bytes of it pass by, whatever comes after them', async () => {
    const { store, fill, send } = await setUp();
    await send(piecesOf(0, 10), PIECE);
    await when(() => store.pool.bytesOut <= PIECE);
    expect([fill.keeps(8 * PIECE), fill.keeps(10 * PIECE)]).toEqual([true, false]);
    const feed = starve(store);
    await send(piecesOf(10, 11), 100_000);
    expect([fill.keeps(8 * PIECE), fill.keeps(9 * PIECE)]).toEqual([false, false]);
    feed();
  });
});
