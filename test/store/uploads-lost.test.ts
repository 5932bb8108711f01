import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { DiskUnavailable } from '../../proxy-core/store/disk/operations.ts';
import { EXTENT, PIECE, type Piece, SMALL, type Store } from '../../proxy-core/store/index.ts';
import {
  afterTest,
  filesIn,
  halfWrittenIn,
  holdWrites,
  noise,
  openStore,
  stopClock,
  tempFolder,
  when,
} from './helpers.ts';
import { OBJECT, send, startCopy, upload, writtenHead } from './uploads.ts';

const LIMIT = 256 << 20;
const content = noise(20 << 20);

async function setUp(options: { memoryBudget?: number } = {}) {
  const folder = tempFolder();
  const opened = await openStore(folder, { maxDiskBytes: LIMIT, uploadPercent: 100, ...options });
  await opened.store.capacity.settled();
  return { ...opened, folder };
}

/** Nothing is in memory, on the disk, or reserved on it. */
async function nothingLeft(store: Store, folder: string): Promise<void> {
  await when(() => store.pool.bytesOut === 0);
  await when(() => halfWrittenIn(folder).length === 0);
  expect(filesIn(join(folder, 'buckets'))).toEqual([]);
  const room = await store.capacity.uploads.reserve(LIMIT - PIECE);
  expect(room).toBe(true);
  store.capacity.uploads.release(LIMIT - PIECE);
}

afterEach(() => vi.restoreAllMocks());

describe('a copy of an upload is lost', () => {
  it.each([
    ['more than announced', 100, 101],
    ['more than announced', EXTENT, EXTENT + 1],
    ['less than announced', 101, 100],
    ['less than announced', 10 << 20, (10 << 20) - 1],
    ['less than announced', 10 << 20, 0],
  ])('that brings %s (%i: %i), and leaves nothing behind', async (_, length, sent) => {
    const { store, folder, counters, problems } = await setUp();
    const copied = startCopy(store, { length })!;
    await send(copied, content.subarray(0, sent));
    expect(await copied.copy.end()).toBeUndefined();
    expect(copied.copy.lost).toMatch(/announced/);
    expect([counters.disk_skipped, problems.get('upload_copy')]).toEqual([1, expect.stringContaining('announced')]);
    await nothingLeft(store, folder);
  });

  it.each([0, 1, SMALL, SMALL + 1, 3 * PIECE, EXTENT, 10 << 20])(
    'when the upload fails after %i bytes, without a word',
    async sent => {
      const { store, folder, counters } = await setUp();
      const copied = startCopy(store, { length: content.length })!;
      await send(copied, content.subarray(0, sent));
      copied.copy.discard();
      copied.copy.push(content);
      expect(await copied.copy.end()).toBeUndefined();
      expect(counters.disk_skipped).toBe(0);
      await nothingLeft(store, folder);
    },
  );

  it('when the upload fails while the last of it is put aside', async () => {
    const { store, folder } = await setUp();
    const copied = startCopy(store)!;
    await send(copied, content.subarray(0, 10 << 20));
    const ending = copied.copy.end();
    copied.copy.discard();
    expect(await ending).toBeUndefined();
    await nothingLeft(store, folder);
  });

  it('when S3 refuses what is aside already', async () => {
    const { store, folder } = await setUp();
    for (const size of [100, 10 << 20]) {
      const copied = startCopy(store, { length: size })!;
      await send(copied, content.subarray(0, size));
      const kept = await copied.copy.end();
      expect(kept?.length).toBe(size);
      copied.copy.discard();
      kept!.discard();
      kept!.discard();
      await nothingLeft(store, folder);
    }
  });

  it('when there is no memory for it', async () => {
    const { store, folder } = await setUp();
    const taken: Piece[] = [];
    for (let piece = store.pool.take(); piece; piece = store.pool.take()) taken.push(piece);
    for (const length of [100, content.length]) {
      const { copy } = startCopy(store, { length })!;
      copy.push(content.subarray(0, 100));
      expect([copy.lost, copy.busy]).toEqual(['memory ran short', false]);
      expect(await copy.end()).toBeUndefined();
    }
    for (const piece of taken) piece.release();
    await nothingLeft(store, folder);
  });

  const troubles: Record<string, (store: Store, folder: string) => void> = {
    'an error of open': store => failing(store, 'open', 'EMFILE'),
    'an error of writev': store => failing(store, 'writev', 'EIO'),
    'an error of write': store => failing(store, 'write', 'ENOSPC'),
    'an error of close': store => failing(store, 'close', 'EIO'),
    'a short write': store => {
      const real = store.volume.writev.bind(store.volume);
      vi.spyOn(store.volume, 'writev').mockImplementation(async (...args) => (await real(...args)) - 1);
    },
    'no room': store => {
      vi.spyOn(store.capacity.uploads, 'reserve').mockResolvedValue(false);
    },
  };

  it.each(Object.keys(troubles).flatMap(trouble => [[trouble, true] as const, [trouble, false] as const]))(
    'by %s in the middle (length known: %s); the next one is kept',
    async (name, known) => {
      const { store, folder, counters } = await setUp();
      let rooms = 0;
      const options = { length: known ? content.length : undefined, onRoom: () => rooms++ };
      const copied = startCopy(store, options)!;
      await send(copied, content.subarray(0, 9 << 20));
      await when(() => halfWrittenIn(folder).length === 2);
      troubles[name]!(store, folder);
      const before = rooms;
      await send(copied, content.subarray(9 << 20));
      expect(await copied.copy.end()).toBeUndefined();
      expect([copied.copy.lost === undefined, copied.copy.busy]).toEqual([false, false]);
      expect(rooms).toBeGreaterThan(before);
      expect(counters.disk_skipped).toBe(1);
      vi.restoreAllMocks();
      await nothingLeft(store, folder);
      await upload(store, writtenHead(content.length), content);
      expect(filesIn(join(folder, 'buckets'))).toHaveLength(5);
    },
  );

  it('by a volume that hangs; what it has goes when it lets', async () => {
    stopClock();
    const { store, folder } = await setUp();
    const copied = startCopy(store, { length: content.length })!;
    await send(copied, content.subarray(0, 9 << 20));
    await when(() => halfWrittenIn(folder).length === 2);
    const late: (() => void)[] = [];
    vi.spyOn(store.volume, 'writev').mockImplementation((_fd, _buffers, _at, back) => {
      late.push(back!);
      return Promise.reject(new DiskUnavailable('late'));
    });
    const unlink = vi.spyOn(store.volume, 'unlink').mockRejectedValue(new DiskUnavailable('late'));
    await send(copied, content.subarray(9 << 20));
    expect(await copied.copy.end()).toBeUndefined();
    expect(copied.copy.lost).toMatch(/did not answer in time/);
    await when(() => late.length === 1);
    // The thread that is stuck may still read from it.
    expect(store.pool.bytesOut).toBe(PIECE);
    late[0]!();
    expect(store.pool.bytesOut).toBe(0);
    await when(() => unlink.mock.calls.length === 2);
    unlink.mockRestore();
    expect(halfWrittenIn(folder)).toHaveLength(2);
    vi.advanceTimersByTime(5000);
    await nothingLeft(store, folder);
  });

  it('with the folder of what is half-written', async () => {
    const { store, folder } = await setUp();
    const copied = startCopy(store, { length: content.length })!;
    await send(copied, content);
    const kept = (await copied.copy.end())!;
    rmSync(join(folder, 'tmp'), { recursive: true });
    await store.moveOn([OBJECT]);
    await store.publishUpload(OBJECT, writtenHead(content.length), kept, { ram: false, compress: false });
    expect((await store.catalog.look(OBJECT)).head).toBeUndefined();
  });
});

describe('a disk that is slower than an upload', () => {
  /** How long it may hold the sender up, ms, and what it may be more by the time at which that is looked at. */
  const PATIENCE = 250;
  const LOOSELY = 150;

  async function advance(ms: number): Promise<void> {
    for (let i = 0; i < ms; i += 10) {
      vi.advanceTimersByTime(10);
      await new Promise(setImmediate);
    }
  }

  it('makes the sender wait when much waits for it, and costs the copy when that lasts', async () => {
    const { store, folder, counters } = await setUp({ memoryBudget: 256 * PIECE });
    stopClock();
    const writes = holdWrites(store);
    let rooms = 0;
    const { copy } = startCopy(store, { length: 128 << 20, onRoom: () => rooms++ })!;
    let sent = 0;
    for (; !copy.busy; sent++) copy.push(content.subarray(0, PIECE));
    expect(sent).toBe(64);
    await when(() => writes.waiting.length === 1);
    await advance(100);
    expect([copy.busy, rooms]).toEqual([true, 0]);
    writes.waiting.shift()!.go();
    await when(() => rooms === 1);
    expect(copy.busy).toBe(false);
    copy.push(content.subarray(0, PIECE));
    expect(copy.busy).toBe(true);
    await advance(PATIENCE - 100 - 50);
    expect(copy.lost).toBeUndefined();
    await advance(100 + LOOSELY);
    expect(copy.lost).toMatch(/slower than an upload/);
    expect([copy.busy, rooms, counters.disk_skipped]).toEqual([false, 2, 1]);
    writes.end();
    expect(await copy.end()).toBeUndefined();
    await nothingLeft(store, folder);
  });

  it('may be as slow as it likes while it holds nobody up', async () => {
    const { store } = await setUp();
    stopClock();
    const writes = holdWrites(store);
    const { copy } = startCopy(store, { length: 20 * PIECE })!;
    for (let i = 0; i < 20; i++) copy.push(content.subarray(0, PIECE));
    await advance(2000);
    expect([copy.busy, copy.lost]).toEqual([false, undefined]);
    const ending = copy.end();
    writes.end();
    const kept = await ending;
    expect(kept?.length).toBe(20 * PIECE);
    kept!.discard();
  });

  it('holds the end of an upload up until its deadline at most', async () => {
    const { store, folder } = await setUp();
    stopClock();
    const writes = holdWrites(store);
    for (const length of [3 * PIECE, undefined]) {
      const { copy } = startCopy(store, { length })!;
      for (let i = 0; i < 3; i++) copy.push(content.subarray(0, PIECE));
      let ended = false;
      const ending = copy.end().finally(() => {
        ended = true;
      });
      await advance(4990);
      expect(ended).toBe(false);
      await advance(20);
      expect(await ending).toBeUndefined();
      expect(copy.lost).toMatch(/slower than an upload/);
    }
    writes.end();
    await nothingLeft(store, folder);
  });

  it('does not hold the end of an upload up whose copy it has cost already', async () => {
    const { store, folder } = await setUp();
    stopClock();
    const writes = holdWrites(store);
    const { copy } = startCopy(store, { length: 64 << 20 })!;
    while (!copy.busy) copy.push(content.subarray(0, PIECE));
    await advance(PATIENCE + LOOSELY);
    expect(copy.lost).toMatch(/slower than an upload/);
    expect(await copy.end()).toBeUndefined();
    writes.end();
    await nothingLeft(store, folder);
  });

  it('has less to wait for it when memory is short', async () => {
    const { store } = await setUp({ memoryBudget: 8 * PIECE });
    const writes = holdWrites(store);
    const { copy } = startCopy(store, { length: 64 << 20 })!;
    let sent = 0;
    for (; !copy.busy && sent < 8; sent++) copy.push(content.subarray(0, PIECE));
    expect(sent).toBe(5);
    copy.discard();
    writes.end();
  });
});

describe('a copy is not begun', () => {
  it('where the disk takes nothing, or uploads have no room', async () => {
    const { store } = await setUp();
    expect(startCopy(store, { length: LIMIT })).toBeUndefined();
    expect(startCopy(store, { length: 100 })).toBeDefined();
    vi.spyOn(store.volume, 'available', 'get').mockReturnValue(false);
    expect(startCopy(store, { length: 100 })).toBeUndefined();
  });
});

function failing(store: Store, operation: 'open' | 'writev' | 'write' | 'close', code: string): void {
  const spy = vi
    .spyOn(store.volume, operation)
    .mockImplementation((() => Promise.reject(Object.assign(new Error(code), { code }))) as never);
  afterTest(() => spy.mockRestore());
}
