import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DiskTier } from '../../../bench/simulated/disk-tier.ts';
import { hashOf, seeded } from '../../../bench/simulated/random.ts';
import { EVICTION_ALGORITHMS, type EvictionAlgorithm } from '../../../proxy-core/store/memory/index.ts';
import { isTraceThere, MIB, PUBLISHED, readTrace, SIZES, TRACE, type TraceRequest } from '../memory/trace.ts';

const KIB = 1024;
/** Of the sizes: 128, 384 and 1,024 MiB. */
const SOME = [0, 2, 7];

function tierOf(algorithm: EvictionAlgorithm, maxBytes: number): DiskTier {
  return new DiskTier({ algorithm, maxBytes, random: seeded(1) });
}

/** Reads an object of one file. */
function read(tier: DiskTier, object: number, bytes = 64 * KIB): boolean {
  tier.tick();
  return tier.read(String(object), hashOf(object), bytes);
}

function held(tier: DiskTier, objects: Iterable<number>): number {
  let count = 0;
  for (const object of objects) if (tier.has(String(object))) count++;
  return count;
}

const from = (first: number, count: number) => Array.from({ length: count }, (_, i) => first + i);

describe.skipIf(!isTraceThere)('the sampled disk tier, on the CloudPhysics trace', () => {
  let requests: (TraceRequest & { readonly hash: number })[] = [];

  beforeAll(() => {
    requests = readTrace().map(request => ({ ...request, hash: hashOf(Number(BigInt(request.key) % 4_294_967_291n)) }));
  });

  // Each takes a second or more, in which nothing else is heard.
  beforeEach(() => new Promise(resolve => setTimeout(resolve, 1)));

  function misses(algorithm: EvictionAlgorithm, maxBytes: number): number {
    const tier = tierOf(algorithm, maxBytes);
    let count = 0;
    for (const { key, hash, size } of requests) {
      tier.tick();
      if (!tier.read(key, hash, size)) count++;
    }
    return count;
  }

  it.each(SOME.map(i => [SIZES[i]!, PUBLISHED.lru[i]!]))(
    'lru misses within 2 percent of what exact lru does at %i MiB',
    (size, exact) => {
      expect(Math.abs(misses('lru', size * MIB) / exact - 1)).toBeLessThan(0.02);
    },
  );

  it.each(SOME.map(i => [SIZES[i]!, PUBLISHED.s3fifo[i]!]))(
    's3fifo misses within 8 percent of what exact s3fifo does at %i MiB',
    (size, exact) => {
      expect(Math.abs(misses('s3fifo', size * MIB) / exact - 1)).toBeLessThan(0.08);
    },
  );

  it.each(SIZES.map((size, i) => [size, PUBLISHED.lru[i]!]))('tinylfu misses less than lru at %i MiB', (size, lru) => {
    expect(misses('tinylfu', size * MIB)).toBeLessThan(lru);
  });
});

if (!isTraceThere) it.skip(`the sampled disk tier was not measured by a trace: ${TRACE} is absent`, () => {});

describe('tinylfu on the disk', () => {
  const FILES = 400;
  const SIZE = FILES * 64 * KIB;

  it('takes everything while there is room', () => {
    const tier = tierOf('tinylfu', SIZE);
    for (const object of from(0, FILES)) read(tier, object);
    expect(held(tier, from(0, FILES))).toBe(FILES);
  });

  it('keeps what was read some times through a scan of ten times the cache, of which it writes little', () => {
    const tier = tierOf('tinylfu', SIZE);
    const hot = from(0, FILES / 2);
    for (let round = 0; round < 4; round++) for (const object of hot) read(tier, object);
    for (const object of from(1000, FILES * 10)) read(tier, object);
    expect(held(tier, hot)).toBe(hot.length);
  });

  it('finds nearly all that fits of what is read in turn, though all of it is twice the cache', () => {
    const tier = tierOf('tinylfu', SIZE);
    let hits = 0;
    for (let round = 0; round < 10; round++)
      for (const object of from(0, FILES * 2)) if (read(tier, object) && round >= 2) hits++;
    expect(hits / (FILES * 2 * 8)).toBeGreaterThan(0.4);
  });

  it('follows a hot set that changes, however well the old one is known, within twenty reads for each file', () => {
    const tier = tierOf('tinylfu', SIZE);
    for (let round = 0; round < 40; round++) for (const object of from(0, FILES)) read(tier, object);
    let reads = 0;
    for (let hits = 0; hits < FILES * 0.9; ) {
      hits = 0;
      for (const object of from(1000, FILES)) if (read(tier, object)) hits++;
      reads += FILES;
      expect(reads).toBeLessThanOrEqual(FILES * 20);
    }
  });
});

describe.each(EVICTION_ALGORITHMS)('%s on the disk', algorithm => {
  it('never holds more than its limit, and nothing that is larger than that', () => {
    const tier = tierOf(algorithm, 10 * 64 * KIB);
    const random = seeded(7);
    for (let i = 0; i < 2000; i++) {
      read(tier, Math.floor(random() ** 2 * 100), 1 + Math.floor(random() * 200 * KIB));
      expect(tier.bytes).toBeLessThanOrEqual(10 * 64 * KIB);
    }
    expect(read(tier, 5000, 11 * 64 * KIB)).toBe(false);
    expect(tier.has('5000')).toBe(false);
  });
});
