import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { PIECE } from '../../proxy-core/store/buffer-pool.ts';
import { DiskUnavailable } from '../../proxy-core/store/disk/volume.ts';
import { EXTENT, type Fill, type Head, type ObjectEntry, type Store, UNIT } from '../../proxy-core/store/index.ts';
import { address, afterTest, filesIn, headOf, noise, openStore, prose, tempFolder, until } from './helpers.ts';

const OBJECT = address('key');

async function begin(store: Store, head: Head): Promise<ObjectEntry> {
  const entry = await store.catalog.look(OBJECT);
  store.adopt(entry, head, { validatedAt: store.now(), epoch: '' });
  return entry;
}

/** A fill whose source waits when it is asked to. */
function start(store: Store, entry: ObjectEntry, head: Head, span = { start: 0, end: head.length - 1 }, ram = false) {
  let drained: (() => void) | undefined;
  const fill: Fill = store.fill(entry, head, span, {
    ram,
    compression: 'try',
    onDrain: () => drained?.(),
    onChange: () => {},
  });
  const send = async (content: Buffer, chunk: number) => {
    for (let at = 0; at < content.length; at += chunk) {
      if (!fill.write(content.subarray(at, at + chunk)))
        await new Promise<void>(resolve => {
          drained = resolve;
        });
    }
  };
  return { fill, send };
}

async function readBack(store: Store, entry: ObjectEntry, head: Head, from: number, to: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let at = from; at <= to; ) {
    const content = await store.read(entry, head, { start: at, end: to }, { ram: false });
    if (!content) throw new Error(`nothing at ${at}`);
    pieces.push(...content.pieces.map(piece => Buffer.from(piece)));
    at += content.length;
    content.release(true);
  }
  return Buffer.concat(pieces);
}

const extentsOf = (folder: string) =>
  filesIn(join(folder, 'buckets'))
    .map(path => basename(path).replace(/^.*\./, ''))
    .filter(name => /^\d+-\d+$/.test(name))
    .sort((a, b) => Number(a.split('-')[0]) - Number(b.split('-')[0]));

const halfWritten = (folder: string) => filesIn(join(folder, 'tmp'));

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
          const entry = await begin(store, head);
          const { fill, send } = start(store, entry, head, span);
          await send(content, chunk);
          expect(fill.position).toBe(span.start + arrives);
          await fill.end();
          const last = span.start + arrives - 1;
          const expected: string[] = [];
          for (let at = span.start; at <= last; at = (Math.floor(at / EXTENT) + 1) * EXTENT)
            expected.push(`${at}-${Math.min(last, (Math.floor(at / EXTENT) + 1) * EXTENT - 1)}`);
          expect(extentsOf(folder)).toEqual(expected);
          expect(store.firstGap(entry, head, span)).toBe(last < span.end ? last + 1 : undefined);
          expect((await readBack(store, entry, head, span.start, last)).equals(content)).toBe(true);
          expect(store.pool.bytesOut).toBe(0);
          await until(() => halfWritten(folder).length === 0);
          await close();
          rmSync(folder, { recursive: true });
        },
      ),
      { numRuns: 25 },
    );
  }, 60_000);

  it('that got nothing leaves nothing', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const head = headOf(EXTENT);
    const { fill } = start(store, await begin(store, head), head);
    await fill.end();
    expect([fill.abandoned, store.pool.bytesOut, halfWritten(folder)]).toEqual([false, 0, []]);
    expect(existsSync(join(folder, 'buckets'))).toBe(false);
  });

  it('asks its source to pause when the disk is behind, and to go on when it is not', async () => {
    const { store } = await openStore(tempFolder());
    const head = headOf(2 * EXTENT);
    const { fill, send } = start(store, await begin(store, head), head);
    let paused = false;
    const write = fill.write.bind(fill);
    fill.write = chunk => {
      const goOn = write(chunk);
      paused ||= !goOn;
      return goOn;
    };
    await send(noise(2 * EXTENT), 2 * PIECE);
    await fill.end();
    expect([paused, fill.abandoned]).toEqual([true, false]);
  });

  it('finds the place taken by another, and both read the same file', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const head = headOf(3 * PIECE);
    const content = noise(3 * PIECE);
    const entry = await begin(store, head);
    const [one, two] = [start(store, entry, head), start(store, entry, head)];
    await Promise.all([one.send(content, 50_000), two.send(content, 70_000)]);
    await Promise.all([one.fill.end(), two.fill.end()]);
    expect([one.fill.abandoned, two.fill.abandoned]).toEqual([false, false]);
    expect(extentsOf(folder)).toHaveLength(1);
    expect((await readBack(store, entry, head, 0, content.length - 1)).equals(content)).toBe(true);
    await until(() => halfWritten(folder).length === 0);
  });

  it('goes on when its folders are deleted under it', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const head = headOf(3 * EXTENT);
    const content = noise(3 * EXTENT);
    const entry = await begin(store, head);
    const { fill, send } = start(store, entry, head);
    await send(content.subarray(0, EXTENT), PIECE);
    await until(() => extentsOf(folder).length === 1);
    rmSync(join(folder, 'buckets'), { recursive: true });
    await send(content.subarray(EXTENT), PIECE);
    await fill.end();
    expect(fill.abandoned).toBe(false);
    expect(extentsOf(folder)).toHaveLength(2);
  });
});

describe('a fill that can’t go on', () => {
  type Store_ = Awaited<ReturnType<typeof openStore>>;
  async function broken(breakIt: (store: Store, folder: string) => void, options = {}) {
    const folder = tempFolder();
    const opened: Store_ = await openStore(folder, options);
    const { store } = opened;
    const head = headOf(3 * EXTENT);
    const content = noise(3 * EXTENT);
    const entry = await begin(store, head);
    const { fill, send } = start(store, entry, head);
    await send(content.subarray(0, EXTENT + PIECE), PIECE);
    await until(() => extentsOf(folder).length === 1);
    breakIt(store, folder);
    await send(content.subarray(EXTENT + PIECE), PIECE);
    await fill.end();
    return { ...opened, folder, entry, head, content, fill };
  }

  async function expectGivenUp({
    store,
    counters,
    fill,
    entry,
    head,
    content,
    folder,
  }: Awaited<ReturnType<typeof broken>>) {
    expect(fill.abandoned).toBe(true);
    expect(counters.disk_skipped).toBe(1);
    expect(store.pool.bytesOut).toBe(0);
    vi.restoreAllMocks();
    await until(() => halfWritten(folder).length === 0);
    expect(extentsOf(folder)[0]).toBe(`0-${EXTENT - 1}`);
    expect((await readBack(store, entry, head, 0, EXTENT - 1)).equals(content.subarray(0, EXTENT))).toBe(true);
    const room = Array.from({ length: 100 }, () => store.capacity.reserve((1 << 30) / 100 - 200_000));
    expect(await Promise.all(room)).not.toContain(false);
  }

  const fails = (code: string) => vi.fn(() => Promise.reject(Object.assign(new Error(code), { code })));

  it.each(['writev', 'write', 'close', 'link'] as const)(
    'because of an error of %s keeps what it has finished',
    async operation => {
      await expectGivenUp(
        await broken(store => {
          vi.spyOn(store.volume, operation).mockImplementation(fails('ENOSPC') as never);
        }),
      );
    },
  );

  it('because a write came out short keeps what it has finished', async () => {
    await expectGivenUp(
      await broken(store => {
        const real = store.volume.writev.bind(store.volume);
        vi.spyOn(store.volume, 'writev').mockImplementation(async (...args) => (await real(...args)) - 1);
      }),
    );
  });

  it('because its half-written file is gone keeps what it has finished', async () => {
    await expectGivenUp(await broken((_, folder) => rmSync(join(folder, 'tmp'), { recursive: true })));
  });

  it('because a file is in the place of its folder keeps nothing more, and nothing half-written', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    writeFileSync(join(folder, 'buckets'), 'in the way');
    const head = headOf(EXTENT);
    const { fill, send } = start(store, await begin(store, head), head);
    await send(noise(EXTENT), PIECE);
    await fill.end();
    expect([fill.abandoned, store.pool.bytesOut]).toEqual([true, 0]);
    await until(() => halfWritten(folder).length === 0);
  });

  it('because its source says so forgets the unfinished extent', async () => {
    const folder = tempFolder();
    const { store, counters } = await openStore(folder);
    const head = headOf(3 * EXTENT);
    const { fill, send } = start(store, await begin(store, head), head);
    await send(noise(EXTENT + 5 * PIECE), PIECE);
    await until(() => extentsOf(folder).length === 1);
    fill.abandon('no more');
    await fill.end();
    expect([counters.disk_skipped, store.pool.bytesOut, extentsOf(folder).length]).toEqual([1, 0, 1]);
    await until(() => halfWritten(folder).length === 0);
  });

  it('because the memory budget is used up lets the stream go on alone', async () => {
    const folder = tempFolder();
    const { store, counters } = await openStore(folder, { memoryBudget: 4 * PIECE });
    const head = headOf(2 * EXTENT);
    const others = Array.from({ length: 4 }, () => store.pool.take()!);
    const { fill } = start(store, await begin(store, head), head);
    expect(fill.write(noise(PIECE))).toBe(true);
    expect([fill.abandoned, counters.disk_skipped]).toEqual([true, 1]);
    await fill.end();
    for (const buffer of others) store.pool.give(buffer);
    expect(store.pool.bytesOut).toBe(0);
    expect(halfWritten(folder)).toEqual([]);
  });

  it('because its writes hang gives each buffer back when its write comes back, once', async () => {
    const { store } = await openStore(tempFolder(), { diskTimeout: 100 });
    const head = headOf(EXTENT);
    const lates: (() => void)[] = [];
    vi.spyOn(store.volume, 'writev').mockImplementation((_fd, _buffers, _at, late) => {
      lates.push(() => late?.());
      return Promise.reject(new DiskUnavailable('did not answer'));
    });
    afterTest(() => vi.restoreAllMocks());
    const { fill, send } = start(store, await begin(store, head), head);
    await send(noise(EXTENT), PIECE);
    await fill.end();
    expect([fill.abandoned, lates.length, store.pool.bytesOut]).toEqual([true, 1, PIECE]);
    lates[0]?.();
    expect(store.pool.bytesOut).toBe(0);
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
    const entry = await begin(store, head);
    const { fill, send } = start(store, entry, head, undefined, true);
    await send(content, 100_000);
    await fill.end();
    vi.restoreAllMocks();
    const cells = Array.from({ length: (2 * EXTENT) / UNIT }, (_unused, cell) => store.cell(entry, head, cell));
    expect(cells.filter(cell => cell !== undefined).length).toBeGreaterThan(200);
    cells.forEach((cell, i) => {
      if (cell) expect(cell.equals(content.subarray(i * UNIT, i * UNIT + UNIT))).toBe(true);
    });
    expect(store.pool.bytesOut).toBe(0);
    expect(readdirSync(folder)).not.toContain('buckets');
  });
});

it('what a fill writes is what lz4 would read: the content is in the file', async () => {
  const folder = tempFolder();
  const { store } = await openStore(folder);
  const head = headOf(100_000);
  const entry = await begin(store, head);
  const { fill, send } = start(store, entry, head);
  const content = noise(100_000);
  await send(content, 9_999);
  await fill.end();
  const [extent] = filesIn(join(folder, 'buckets'));
  expect(readFileSync(extent!).includes(content.subarray(0, UNIT))).toBe(true);
});
