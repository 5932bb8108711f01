import { beforeAll, describe, expect, it } from 'vitest';
import { createWeightedCache, type EvictionAlgorithm } from '../../../proxy-core/store/memory/index.ts';
import { isTraceThere, MIB, PUBLISHED, readTrace, SIZES, TRACE, type TraceRequest } from './trace.ts';

/** Hits in percent of another W-TinyLFU, where published. */
const TINYLFU_HITS = new Map([
  [128, 21.8],
  [256, 26.1],
  [512, 35.0],
  [1024, 40.9],
]);

describe.skipIf(!isTraceThere)('on the CloudPhysics trace (../shared/data/cloudPhysicsIO.oracleGeneral.bin)', () => {
  let requests: TraceRequest[] = [];

  beforeAll(() => {
    requests = readTrace();
  });

  function misses(algorithm: EvictionAlgorithm, maxWeight: number): number {
    const cache = createWeightedCache<true>(algorithm, { maxWeight });
    let count = 0;
    for (const { key, size } of requests) {
      if (cache.get(key) !== undefined) continue;
      count++;
      cache.set(key, true, size);
    }
    return count;
  }

  it('has the requests it is published with', () => {
    expect(requests).toHaveLength(113_872);
    expect(new Set(requests.map(r => r.key)).size).toBe(48_974);
  });

  it.each(SIZES.map((size, i) => [size, PUBLISHED.lru[i]!]))(
    'lru misses exactly as published at %i MiB',
    (size, published) => {
      expect(misses('lru', size * MIB)).toBe(published);
    },
  );

  it.each(SIZES.map((size, i) => [size, PUBLISHED.s3fifo[i]!]))(
    's3fifo misses exactly as published at %i MiB',
    (size, published) => {
      expect(misses('s3fifo', size * MIB)).toBe(published);
    },
  );

  it.each(SIZES.map((size, i) => [size, PUBLISHED.lru[i]!]))('tinylfu misses less than lru at %i MiB', (size, lru) => {
    const missed = misses('tinylfu', size * MIB);
    expect(missed).toBeLessThan(lru);
    const other = TINYLFU_HITS.get(size);
    if (other !== undefined) expect(100 * (1 - missed / requests.length)).toBeGreaterThan(other);
  });
});

if (!isTraceThere) it.skip(`the published miss counts were not checked: ${TRACE} is absent`, () => {});
