import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { DiskUnavailable } from '../../proxy-core/store/disk/operations.ts';
import { EXTENT, PIECE, type Store } from '../../proxy-core/store/index.ts';
import {
  beginObject,
  extentsIn,
  halfWrittenIn,
  headOf,
  holdWrites,
  noise,
  openStore,
  readBack,
  startFill,
  stopClock,
  tempFolder,
  when,
} from './helpers.ts';

const content = noise(4 * EXTENT);
const head = headOf(content.length);
/** The extent with this number, and its name on disk. */
const extent = (number: number) => content.subarray(number * EXTENT, (number + 1) * EXTENT);
const named = (...numbers: number[]) => numbers.map(number => `${number * EXTENT}-${(number + 1) * EXTENT - 1}`);

/** How long the disk is left out first, ms. */
const REST = 100;

/** A fill and a clock that stands still unless the test moves it. */
async function setUp() {
  const folder = tempFolder();
  const opened = await openStore(folder);
  const { store } = opened;
  await store.capacity.settled();
  const entry = await beginObject(store, head);
  stopClock();
  return { ...opened, ...startFill(store, entry, head, { compression: 'off' }), folder, entry };
}

const fails = (code: string) => vi.fn(() => Promise.reject(Object.assign(new Error(code), { code })));

describe('a fill whose disk fails in the middle of an extent', () => {
  const troubles: Record<string, (store: Store, folder: string) => void> = {
    'an error of writev': store => vi.spyOn(store.volume, 'writev').mockImplementation(fails('EIO') as never),
    'an error of write': store => vi.spyOn(store.volume, 'write').mockImplementation(fails('ENOSPC') as never),
    'an error of close': store => vi.spyOn(store.volume, 'close').mockImplementation(fails('EIO') as never),
    'an error of link': store => vi.spyOn(store.volume, 'link').mockImplementation(fails('ENOSPC') as never),
    'a short write': store => {
      const real = store.volume.writev.bind(store.volume);
      vi.spyOn(store.volume, 'writev').mockImplementation(async (...args) => (await real(...args)) - 1);
    },
    'the half-written file gone': (_, folder) => rmSync(join(folder, 'tmp'), { recursive: true }),
  };

  it.each(Object.keys(troubles))('(%s) leaves that one out, then the disk, and then tries again', async name => {
    const { store, counters, fill, send, end, folder, entry } = await setUp();
    await send(extent(0), PIECE);
    await when(() => extentsIn(folder).length === 1 && halfWrittenIn(folder).length === 0);
    await send(extent(1).subarray(0, PIECE), PIECE);
    await when(() => halfWrittenIn(folder).length === 1);
    troubles[name]!(store, folder);
    await send(extent(1).subarray(PIECE), PIECE);
    await when(() => !fill.healthy);
    vi.restoreAllMocks();
    vi.advanceTimersByTime(REST - 1);
    await send(extent(2), PIECE);
    expect([fill.healthy, fill.busy]).toEqual([false, false]);
    vi.advanceTimersByTime(1);
    await send(extent(3), PIECE);
    expect(fill.healthy).toBe(true);
    await end();
    expect(counters.disk_skipped).toBe(1);
    expect(store.pool.bytesOut).toBe(0);
    expect(extentsIn(folder)).toEqual(named(0, 3));
    expect((await readBack(store, entry, head, 0, EXTENT - 1)).equals(extent(0))).toBe(true);
    expect((await readBack(store, entry, head, 3 * EXTENT, head.length - 1)).equals(extent(3))).toBe(true);
    expect(store.firstGap(entry, head, { start: 0, end: head.length - 1 })).toBe(EXTENT);
    expect(store.gapEnd(entry, head, EXTENT, head.length - 1)).toBe(3 * EXTENT - 1);
    await when(() => halfWrittenIn(folder).length === 0);
    // All the room that was taken for extents has been given back, but for what they take.
    const room = Array.from({ length: 100 }, () => store.capacity.reserve((1 << 30) / 100 - 200_000));
    expect(await Promise.all(room)).not.toContain(false);
  });

  it('leaves the next one out, too, where that had begun', async () => {
    const { store, counters, fill, send, end, folder } = await setUp();
    const writes = holdWrites(store);
    await send(extent(0), PIECE);
    await send(extent(1).subarray(0, 2 * PIECE), PIECE);
    await when(() => writes.waiting.length === 1);
    expect([fill.keeps(0), fill.keeps(EXTENT), fill.keeps(EXTENT + 2 * PIECE)]).toEqual([true, true, false]);
    writes.waiting.shift()!.fail('EIO');
    await when(() => !fill.healthy);
    expect([fill.keeps(0), fill.keeps(EXTENT)]).toEqual([false, false]);
    writes.end();
    await send(extent(1).subarray(2 * PIECE), PIECE);
    expect(fill.keeps(EXTENT + 3 * PIECE)).toBe(false);
    vi.advanceTimersByTime(REST);
    await send(extent(2), PIECE);
    await send(extent(3), PIECE);
    await end();
    expect(extentsIn(folder)).toEqual(named(2, 3));
    expect([counters.disk_skipped, store.pool.bytesOut]).toEqual([1, 0]);
    await when(() => halfWrittenIn(folder).length === 0);
  });

  it('finishes the next one where all of that has come', async () => {
    const { store, send, end, fill, folder } = await setUp();
    const writes = holdWrites(store);
    await send(extent(0), PIECE);
    await send(extent(1), PIECE);
    await when(() => writes.waiting.length === 1);
    writes.waiting.shift()!.fail('EIO');
    await when(() => !fill.healthy);
    writes.end();
    await send(extent(2), PIECE);
    await end();
    expect(extentsIn(folder)).toEqual(named(1));
  });

  it('closes its file once, also where closing fails', async () => {
    const { store, send, end, fill, folder } = await setUp();
    const real = store.volume.close.bind(store.volume);
    const close = vi.spyOn(store.volume, 'close').mockImplementation(async fd => {
      await real(fd);
      throw Object.assign(new Error('EIO'), { code: 'EIO' });
    });
    await send(extent(0), PIECE);
    await when(() => !fill.healthy);
    await end();
    expect(close).toHaveBeenCalledTimes(1);
    await when(() => halfWrittenIn(folder).length === 0);
  });

  it('(a file in the place of its folder) keeps nothing, and nothing half-written', async () => {
    const { store, counters, fill, send, end, folder } = await setUp();
    writeFileSync(join(folder, 'buckets'), 'in the way');
    await send(extent(0), PIECE);
    await when(() => !fill.healthy);
    await end();
    expect([counters.disk_skipped, store.pool.bytesOut]).toEqual([1, 0]);
    await when(() => halfWrittenIn(folder).length === 0);
  });

  it('(a hung write) gives each buffer back when its write comes back, once', async () => {
    const { store, fill, send, end } = await setUp();
    const lates: (() => void)[] = [];
    vi.spyOn(store.volume, 'writev').mockImplementation((_fd, _buffers, _at, late) => {
      lates.push(() => late?.());
      return Promise.reject(new DiskUnavailable('did not answer'));
    });
    await send(extent(0), PIECE);
    await end();
    expect([fill.healthy, lates.length, store.pool.bytesOut]).toEqual([false, 1, PIECE]);
    lates[0]?.();
    expect(store.pool.bytesOut).toBe(0);
  });
});
