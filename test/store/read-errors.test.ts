import { constants } from 'node:os';
import { describe, expect, it, vi } from 'vitest';
import { DiskUnavailable } from '../../proxy-core/store/disk/operations.ts';
import { EXTENT, type Head, type ObjectEntry, type Store } from '../../proxy-core/store/index.ts';
import {
  address,
  afterTest,
  headOf,
  keepLarge,
  noise,
  openStore,
  readBack,
  type TestStore,
  tempFolder,
} from './helpers.ts';

const LENGTH = EXTENT + 1000;
const CONTENT = noise(LENGTH);

interface Kept extends TestStore {
  readonly entry: ObjectEntry;
  readonly head: Head;
}

/** A store with a large object on disk, whose first extent is open. */
async function kept(): Promise<Kept> {
  const opened = await openStore(tempFolder());
  const { store } = opened;
  const head = headOf(LENGTH);
  const entry = await store.catalog.look(address('key'));
  await keepLarge(store, entry, head, CONTENT);
  await readBack(store, entry, head, 0, 10);
  return { ...opened, entry, head };
}

/** The operation fails with this for every file of the bucket, until `restore` or as often as said. */
function fail(store: Store, operation: 'open' | 'read' | 'readFile' | 'readdir', error: () => Error, times = Infinity) {
  const real = store.volume[operation].bind(store.volume) as (...args: unknown[]) => Promise<unknown>;
  const spy = vi.spyOn(store.volume, operation).mockImplementation((async (...args: unknown[]) => {
    if (typeof args[0] === 'string' && !args[0].includes('/buckets/')) return real(...args);
    if (times-- > 0) throw error();
    return real(...args);
  }) as never);
  afterTest(() => spy.mockRestore());
  return { restore: () => spy.mockRestore() };
}

let files = 0;
const io = () =>
  Object.assign(new Error(`EIO: i/o error, open '/cache/buckets/${files++}'`), {
    code: 'EIO',
    errno: -5,
    syscall: 'open',
  });
const stale = () =>
  Object.assign(new Error(`Unknown system error -116: Unknown system error -116, open '/cache/${files++}'`), {
    code: 'Unknown system error -116',
    errno: -constants.errno.ESTALE,
    syscall: 'open',
  });
const late = () => new DiskUnavailable('the cache volume did not answer within 500 ms');

const all = { start: 0, end: LENGTH - 1 };
const far = { start: EXTENT, end: LENGTH - 1 };

/** What a read does that needs the volume, each in its own way. */
const WAYS: Readonly<Record<string, (kept: Kept) => Promise<unknown>>> = {
  async head({ store, entry }) {
    entry.lookedAt = Number.NEGATIVE_INFINITY;
    await store.catalog.look(entry.address);
    expect(entry.headEpoch).toBe('!');
  },
  async directory({ store, entry }) {
    entry.index(0).listedAt = Number.NEGATIVE_INFINITY;
    await store.list(entry, all);
  },
  async extent({ store, entry, head }) {
    expect(await store.read(entry, head, far, { ram: false })).toBeUndefined();
  },
  async part({ store, entry }) {
    expect(await store.catalog.parts.look(entry, 1)).toBeUndefined();
  },
};
const OPERATIONS = { head: 'readFile', directory: 'readdir', extent: 'open', part: 'readFile' } as const;

describe.each(Object.keys(WAYS) as (keyof typeof OPERATIONS)[])('a %s that the volume does not give out', way => {
  it.each([
    ['an I/O error', io, /could not be read.* S3: the cache volume failed \(EIO.*Check/],
    ['a handle the server no longer knows', stale, /\(ESTALE, stale file handle\)\. Mount it again/],
    ['no answer in time', late, /cache volume did not answer in time/],
  ])('for %s is counted, and told once in words for all files, until it does', async (_, error, words) => {
    const place = await kept();
    const before = place.counters.disk_errors;
    const failing = fail(place.store, OPERATIONS[way], error);
    const told: string[] = [];
    for (let i = 0; i < 3; i++) {
      await WAYS[way]!(place);
      if (way === 'extent') place.entry.index(EXTENT).listedAt = Number.NEGATIVE_INFINITY;
      told.push(...place.problems.values());
    }
    expect(place.counters.disk_errors).toBeGreaterThan(before);
    expect(new Set(told).size).toBe(1);
    expect(told[0]).toMatch(words);
    failing.restore();
    place.entry.index(0).listedAt = Number.NEGATIVE_INFINITY;
    await place.store.list(place.entry, all);
    const back = await readBack(place.store, place.entry, place.head, 0, LENGTH - 1);
    expect(back.equals(CONTENT)).toBe(true);
  });
});

describe('a file that another process has replaced or removed at the file server', () => {
  it('is looked up once more when it is an extent that was open', async () => {
    const { store, entry, head, problems, counters } = await kept();
    fail(store, 'read', stale, 1);
    const back = await readBack(store, entry, head, 0, LENGTH - 1);
    expect(back.equals(CONTENT)).toBe(true);
    expect([problems.size, counters.disk_errors]).toEqual([0, 0]);
  });

  it('is looked up once more when it is a head or an epoch', async () => {
    const { store, entry, problems, counters } = await kept();
    fail(store, 'readFile', stale, 2);
    entry.lookedAt = Number.NEGATIVE_INFINITY;
    await store.catalog.look(entry.address);
    expect(entry.headEpoch).toBe('');
    expect([problems.size, counters.disk_errors]).toEqual([0, 0]);
  });

  it('is a miss, and nobody’s trouble, when there is none any more', async () => {
    const { store, entry, head, problems, counters } = await kept();
    fail(store, 'open', () => Object.assign(new Error('ENOENT: no such file'), { code: 'ENOENT', errno: -2 }));
    expect(await store.read(entry, head, far, { ram: false })).toBeUndefined();
    expect([problems.size, counters.disk_errors]).toEqual([0, 0]);
  });
});
