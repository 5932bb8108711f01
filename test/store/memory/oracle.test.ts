import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { createWeightedCache, type EvictionAlgorithm } from '../../../proxy-core/store/memory/index.ts';

/**
 * A public block trace (CloudPhysics, shipped with libCacheSim) and the object misses of libCacheSim's own tests
 * (`test/test_evictionAlgo.c`: LRU; S3-FIFO is its `S3FIFOv0`). It lies beside the project, not in it.
 */
const TRACE = fileURLToPath(new URL('../../../../shared/data/cloudPhysicsIO.oracleGeneral.bin', import.meta.url));
const present = existsSync(TRACE);
const MIB = 1024 * 1024;
const SIZES = [128, 256, 384, 512, 640, 768, 896, 1024];
const PUBLISHED = {
  lru: [93374, 89783, 83572, 81722, 72494, 72104, 71972, 71704],
  s3fifo: [89307, 82387, 77041, 76791, 71300, 70343, 70455, 70355],
};
/** Hits in percent of another W-TinyLFU, where published. */
const TINYLFU_HITS = new Map([
  [128, 21.8],
  [256, 26.1],
  [512, 35.0],
  [1024, 40.9],
]);

describe.skipIf(!present)('on the CloudPhysics trace (../shared/data/cloudPhysicsIO.oracleGeneral.bin)', () => {
  const requests: { key: string; size: number }[] = [];

  beforeAll(() => {
    const bytes = readFileSync(TRACE);
    for (let at = 0; at < bytes.length; at += 24) {
      requests.push({ key: String(bytes.readBigUInt64LE(at + 4)), size: bytes.readUInt32LE(at + 12) });
    }
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

if (!present) it.skip(`the published miss counts were not checked: ${TRACE} is absent`, () => {});
