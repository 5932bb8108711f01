import { describe, expect, it } from 'vitest';
import { createWeightedCache, type WeightedCache } from '../../../proxy-core/store/memory/index.ts';

const BLOCK = 64 * 1024;
const BLOCKS = 1000;

/** A cache full of blocks that were each read three times. */
function warm(evicted?: string[]): WeightedCache<number> {
  const cache = createWeightedCache<number>('tinylfu', {
    maxWeight: BLOCKS * BLOCK,
    onEvict: key => evicted?.push(key),
  });
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < BLOCKS; i++) if (cache.get(`hot${i}`) === undefined) cache.set(`hot${i}`, i, BLOCK);
  }
  return cache;
}

function hot(cache: WeightedCache<number>): number {
  let count = 0;
  for (let i = 0; i < BLOCKS; i++) if (cache.peek(`hot${i}`) !== undefined) count++;
  return count;
}

describe('tinylfu and a long sequential read', () => {
  it('loses no block when the read is marked as a scan, and refuses each of its blocks before a copy is made', () => {
    const cache = warm();
    for (let i = 0; i < 10 * BLOCKS; i++) {
      expect(cache.admits(`scan${i}`, BLOCK, { scan: true })).toBe(false);
      expect(cache.set(`scan${i}`, i, BLOCK, { scan: true })).toBe(false);
    }
    expect(hot(cache)).toBe(BLOCKS);
  });

  it('loses less than a twentieth to a read of ten times its size that is not marked', () => {
    const cache = warm();
    for (let i = 0; i < 10 * BLOCKS; i++) if (cache.get(`scan${i}`) === undefined) cache.set(`scan${i}`, i, BLOCK);
    expect(hot(cache)).toBeGreaterThan(BLOCKS * 0.95);
  });

  it('lets lru lose everything to the same read, so that the test above means something', () => {
    const cache = createWeightedCache<number>('lru', { maxWeight: BLOCKS * BLOCK });
    for (let i = 0; i < BLOCKS; i++) cache.set(`hot${i}`, i, BLOCK);
    for (let i = 0; i < 10 * BLOCKS; i++) cache.set(`scan${i}`, i, BLOCK);
    expect(hot(cache)).toBe(0);
  });

  it('admits a scan freely while there is room', () => {
    const cache = createWeightedCache<number>('tinylfu', { maxWeight: 10 * BLOCK });
    for (let i = 0; i < 10; i++) expect(cache.set(`scan${i}`, i, BLOCK, { scan: true })).toBe(true);
    expect(cache.set('scan10', 10, BLOCK, { scan: true })).toBe(false);
  });
});

describe('tinylfu and a change of what is read', () => {
  it('gives the room to new blocks once they are read more often than the old', () => {
    const cache = warm();
    for (let round = 0; round < 12; round++) {
      for (let i = 0; i < BLOCKS / 2; i++) if (cache.get(`new${i}`) === undefined) cache.set(`new${i}`, i, BLOCK);
    }
    let fresh = 0;
    for (let i = 0; i < BLOCKS / 2; i++) if (cache.peek(`new${i}`) !== undefined) fresh++;
    expect(fresh).toBeGreaterThan(BLOCKS * 0.45);
  });

  it('counts a refused newcomer each time it is asked for, so that it comes in once it is wanted', () => {
    const cache = warm();
    const answers = Array.from({ length: 6 }, () => cache.admits('wanted', BLOCK, { scan: true }));
    expect(answers[0]).toBe(false);
    expect(answers.at(-1)).toBe(true);
  });

  it('counts admits and the set that follows as one use', () => {
    const [asked, plain] = [warm(), warm()];
    for (let i = 0; i < 3; i++) {
      asked.admits('wanted', BLOCK, { scan: true });
      expect(asked.set('wanted', 1, BLOCK, { scan: true })).toBe(plain.set('wanted', 1, BLOCK, { scan: true }));
    }
  });

  it('takes many small blocks for a large one only if the large one is better known than all of them together', () => {
    const evicted: string[] = [];
    const cache = warm(evicted);
    evicted.length = 0;
    // Three uses each: six blocks together count eighteen, more than any one block can (15).
    for (let i = 0; i < 20; i++) expect(cache.admits('large', 6 * BLOCK, { scan: true })).toBe(false);
    expect(evicted).toEqual([]);
    for (let i = 0; i < 10; i++) cache.admits('middle', 2 * BLOCK, { scan: true });
    expect(cache.set('middle', 1, 2 * BLOCK, { scan: true })).toBe(true);
    expect(evicted).toHaveLength(2);
  });
});

describe('tinylfu with small entries', () => {
  it('keeps telling thousands of entries apart: the sketch grows with their number', () => {
    const entries = 50_000;
    const cache = createWeightedCache<number>('tinylfu', { maxWeight: entries });
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < entries; i++) if (cache.get(`hot${i}`) === undefined) cache.set(`hot${i}`, i, 1);
    }
    for (let i = 0; i < entries; i++) if (cache.get(`scan${i}`) === undefined) cache.set(`scan${i}`, i, 1);
    let kept = 0;
    for (let i = 0; i < entries; i++) if (cache.peek(`hot${i}`) !== undefined) kept++;
    expect(kept).toBeGreaterThan(entries * 0.97);
  });
});
