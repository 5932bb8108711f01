import { describe, expect, it, vi } from 'vitest';
import type { Span } from '../../proxy-core/request/index.ts';
import type { Scratch } from '../../proxy-core/store/disk/scratch.ts';
import { ObjectEntry } from '../../proxy-core/store/entry.ts';
import { Extents } from '../../proxy-core/store/extents.ts';
import { EXTENT, type Store } from '../../proxy-core/store/index.ts';
import {
  address,
  beginObject,
  diskUsage,
  extentsIn,
  fillWhole,
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

const LENGTH = EXTENT + 3_000_000;
const contents = { noise: noise(LENGTH), prose: prose(LENGTH) };
const head = headOf(LENGTH);

async function fetch(store: Store, entry: ObjectEntry, { start, end }: Span, content: Buffer): Promise<void> {
  const filling = startFill(store, entry, head, { span: { start, end } });
  await filling.send(content.subarray(start, end + 1));
  await filling.end();
}

const PIECES: Span[] = [
  { start: 0, end: 1_000_000 },
  { start: 5_000_000, end: EXTENT + 10 },
  { start: 1_000_001, end: 4_999_999 },
];

describe('a stretch of 8 MiB that has become whole in many pieces is rewritten as one extent', () => {
  it.each(Object.entries(contents))('of %s', async (_, content) => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const entry = await beginObject(store, head);
    for (const piece of PIECES) await fetch(store, entry, piece, content);
    expect(extentsIn(folder)).toHaveLength(4);
    const read = readBack(store, entry, head, 0, EXTENT - 1);
    await store.merge();
    expect((await read).equals(content.subarray(0, EXTENT))).toBe(true);
    const merged = [`0-${EXTENT - 1}`, `${EXTENT}-${EXTENT + 10}`];
    await until(() => extentsIn(folder).length === 2);
    expect(extentsIn(folder)).toEqual(merged);
    expect((await readBack(store, entry, head, 0, EXTENT + 10)).equals(content.subarray(0, EXTENT + 11))).toBe(true);
    expect([store.pool.bytesOut, halfWrittenIn(folder)]).toEqual([0, []]);
    await store.capacity.settled();
    await store.capacity.recount();
    expect(store.capacity.bytes).toBe(diskUsage(`${folder}/buckets`));
  });

  it('at the end of the object, which is shorter', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const entry = await beginObject(store, head);
    await fetch(store, entry, { start: EXTENT, end: EXTENT + 100 }, contents.noise);
    await fetch(store, entry, { start: EXTENT + 101, end: LENGTH - 1 }, contents.noise);
    await store.merge();
    await until(() => extentsIn(folder).length === 1);
    expect(extentsIn(folder)).toEqual([`${EXTENT}-${LENGTH - 1}`]);
  });

  it('also what two processes have stored twice', async () => {
    const folder = tempFolder();
    const [one, other] = [await openStore(folder), await openStore(folder)];
    const entries = [await beginObject(one.store, head), await beginObject(other.store, head)];
    const fillings = [
      startFill(one.store, entries[0]!, head, { span: { start: 0, end: 6_000_000 } }),
      startFill(other.store, entries[1]!, head, { span: { start: 3_000_000, end: EXTENT - 1 } }),
    ];
    await fillings[0]!.send(contents.noise.subarray(0, 3_500_000));
    await fillings[1]!.send(contents.noise.subarray(3_000_000, EXTENT));
    await fillings[0]!.send(contents.noise.subarray(3_500_000, 6_000_001));
    await Promise.all(fillings.map(filling => filling.end()));
    expect(extentsIn(folder)).toEqual(['0-6000000', `3000000-${EXTENT - 1}`]);
    for (const entry of entries) entry.index(0).listedAt = Number.NEGATIVE_INFINITY;
    // Both find out at their next look, and do it at the same time.
    await one.store.list(entries[0]!, { start: 0, end: 0 });
    await other.store.list(entries[1]!, { start: 0, end: 0 });
    await Promise.all([one.store.merge(), other.store.merge()]);
    await until(() => extentsIn(folder).length === 1);
    expect(extentsIn(folder)).toEqual([`0-${EXTENT - 1}`]);
    expect(
      (await readBack(one.store, entries[0]!, head, 0, EXTENT - 1)).equals(contents.noise.subarray(0, EXTENT)),
    ).toBe(true);
  });
});

it('thousands of small pieces cost no more time each than some', () => {
  const entry = new ObjectEntry('/nowhere', address('key'));
  entry.setHead(head, 0, '', false);
  const extents = new Extents({ scratch: {} as Scratch, alone: () => true });
  const add = (from: number, to: number) => {
    const begun = performance.now();
    for (let i = from; i < to; i++) {
      const extent = { start: i * 1024, end: i * 1024 + 1023, path: `${i}` };
      extents.add(entry, head, extent);
    }
    return performance.now() - begun;
  };
  add(0, 3000);
  // A quadratic cost would be some 20 ms for each of them.
  expect(add(3000, 3100)).toBeLessThan(1000);
  expect(entry.index(0).all).toHaveLength(3100);
});

describe('a stretch stays as it is', () => {
  it('while it is not whole', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const entry = await beginObject(store, head);
    for (const piece of PIECES.slice(0, 2)) await fetch(store, entry, piece, contents.noise);
    const before = extentsIn(folder);
    await store.merge();
    expect(extentsIn(folder)).toEqual(before);
  });

  it('where it is one extent already', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const entry = await beginObject(store, head);
    await fillWhole(store, entry, head, contents.noise);
    const create = vi.spyOn(store.volume, 'open');
    await store.merge();
    expect(create).not.toHaveBeenCalled();
    create.mockRestore();
  });

  it.each<[string, (store: Store) => void]>([
    ['when there is no room', store => void vi.spyOn(store.capacity, 'reserve').mockResolvedValue(false)],
    [
      'when the disk fails',
      store =>
        void vi.spyOn(store.volume, 'writev').mockRejectedValue(Object.assign(new Error('EIO'), { code: 'EIO' })),
    ],
    ['when memory is short', store => void vi.spyOn(store.pool, 'tight', 'get').mockReturnValue(true)],
  ])('%s, and nothing is left of the trial', async (_, harm) => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const entry = await beginObject(store, head);
    for (const piece of PIECES) await fetch(store, entry, piece, contents.noise);
    const before = extentsIn(folder);
    harm(store);
    await store.merge();
    vi.restoreAllMocks();
    await until(() => halfWrittenIn(folder).length === 0);
    expect([extentsIn(folder), store.pool.bytesOut, entry.claims.none]).toEqual([before, 0, true]);
    expect((await readBack(store, entry, head, 0, EXTENT - 1)).equals(contents.noise.subarray(0, EXTENT))).toBe(true);
  });

  it('of a version that is overwritten meanwhile', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const entry = await beginObject(store, head);
    for (const piece of PIECES) await fetch(store, entry, piece, contents.noise);
    const real = store.volume.writev.bind(store.volume);
    const write = vi.spyOn(store.volume, 'writev').mockImplementation(async (...args) => {
      store.adopt(entry, headOf(10, '"two"'), { validatedAt: store.now(), epoch: '' });
      return real(...args);
    });
    await store.merge();
    expect(write).toHaveBeenCalled();
    write.mockRestore();
    await until(() => extentsIn(folder).length === 0 && halfWrittenIn(folder).length === 0);
  });
});
