import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createWeightedCache,
  EVICTION_ALGORITHMS,
  type WeightedCache,
} from '../../../proxy-core/store/memory/index.ts';

/** What every eviction algorithm promises, whatever it chooses to keep. */
describe.each(EVICTION_ALGORITHMS)('%s', algorithm => {
  const create = (maxWeight: number, evicted: string[] = []): WeightedCache<string> =>
    createWeightedCache<string>(algorithm, { maxWeight, onEvict: (key, value) => evicted.push(`${key}=${value}`) });

  it('gives back what it was given, and nothing for what it was not', () => {
    const cache = create(10);
    expect(cache.set('a', '1', 3)).toBe(true);
    expect(cache.get('a')).toBe('1');
    expect(cache.peek('a')).toBe('1');
    expect(cache.get('b')).toBeUndefined();
    expect(cache.peek('b')).toBeUndefined();
    expect([cache.size, cache.weight]).toEqual([1, 3]);
  });

  it('keeps one entry that weighs as much as the whole cache', () => {
    const cache = create(100);
    expect(cache.admits('a', 100)).toBe(true);
    expect(cache.set('a', '1', 100)).toBe(true);
    expect(cache.get('a')).toBe('1');
  });

  it('refuses what weighs more than the whole cache, and evicts nothing for it', () => {
    const evicted: string[] = [];
    const cache = create(10, evicted);
    cache.set('a', '1', 10);
    expect(cache.admits('b', 11)).toBe(false);
    expect(cache.set('b', '2', 11)).toBe(false);
    expect(cache.get('a')).toBe('1');
    expect(evicted).toEqual([]);
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses a weight of %s with an error', weight => {
    expect(() => create(10).set('a', '1', weight)).toThrow(RangeError);
  });

  it.each([-1, 1.5, Number.NaN])('refuses a limit of %s with an error', maxWeight => {
    expect(() => create(maxWeight)).toThrow(RangeError);
    expect(() => {
      create(1).maxWeight = maxWeight;
    }).toThrow(RangeError);
  });

  it('replaces a key, with its weight, without telling of an eviction', () => {
    const evicted: string[] = [];
    const cache = create(10, evicted);
    cache.set('a', '1', 3);
    expect(cache.set('a', '2', 9)).toBe(true);
    expect(cache.get('a')).toBe('2');
    expect([cache.size, cache.weight]).toEqual([1, 9]);
    expect(evicted).toEqual([]);
  });

  it('replaces a key in a full cache by one of any weight that fits', () => {
    const cache = create(100);
    for (let i = 0; i < 300; i++) cache.set(`k${i % 120}`, 'x', 1);
    const key = Array.from({ length: 120 }, (_, i) => `k${i}`).find(k => cache.peek(k) !== undefined)!;
    for (const weight of [1, 50, 100, 2]) {
      expect(cache.set(key, `w${weight}`, weight)).toBe(true);
      expect(cache.get(key)).toBe(`w${weight}`);
      expect(cache.weight).toBeLessThanOrEqual(100);
    }
  });

  it('does not keep the old value when its successor does not fit', () => {
    const cache = create(10);
    cache.set('a', '1', 3);
    expect(cache.set('a', '2', 11)).toBe(false);
    expect(cache.get('a')).toBeUndefined();
    expect([cache.size, cache.weight]).toEqual([0, 0]);
  });

  it('deletes a key wherever it is, and says whether it was there', () => {
    const evicted: string[] = [];
    const cache = create(1000, evicted);
    for (let i = 0; i < 100; i++) cache.set(`k${i}`, 'x', 5);
    for (let i = 0; i < 100; i += 2) cache.get(`k${i}`);
    for (let i = 0; i < 100; i++) expect(cache.delete(`k${i}`)).toBe(true);
    expect(cache.delete('k1')).toBe(false);
    expect([cache.size, cache.weight]).toEqual([0, 0]);
    expect(evicted).toEqual([]);
  });

  it('is empty after clear and works on', () => {
    const cache = create(100);
    for (let i = 0; i < 500; i++) cache.set(`k${i}`, 'x', 3);
    cache.clear();
    expect([cache.size, cache.weight]).toEqual([0, 0]);
    expect(cache.set('a', '1', 3)).toBe(true);
    expect(cache.get('a')).toBe('1');
  });

  it('evicts at once when the limit is lowered, and tells of each', () => {
    const evicted: string[] = [];
    const cache = create(100, evicted);
    for (let i = 0; i < 100; i++) cache.set(`k${i}`, 'x', 1);
    for (let i = 0; i < 100; i += 3) cache.get(`k${i}`);
    expect(cache.size).toBe(100);
    cache.maxWeight = 30;
    expect(cache.maxWeight).toBe(30);
    expect(cache.weight).toBeLessThanOrEqual(30);
    expect(cache.size).toBeGreaterThan(20);
    expect(evicted).toHaveLength(100 - cache.size);
  });

  it('keeps nothing while the limit is 0 and fills again when it is raised', () => {
    const cache = create(50);
    cache.set('a', '1', 5);
    cache.maxWeight = 0;
    expect([cache.size, cache.weight]).toEqual([0, 0]);
    expect(cache.admits('b', 1)).toBe(false);
    expect(cache.set('b', '1', 1)).toBe(false);
    cache.maxWeight = 50;
    for (let i = 0; i < 10; i++) expect(cache.set(`k${i}`, 'x', 5)).toBe(true);
    expect(cache.weight).toBe(50);
  });

  it('fills its whole limit before it evicts', () => {
    const evicted: string[] = [];
    const cache = create(1000, evicted);
    for (let i = 0; i < 200; i++) expect(cache.set(`k${i}`, 'x', 5)).toBe(true);
    expect([cache.size, cache.weight]).toEqual([200, 1000]);
    expect(evicted).toEqual([]);
  });

  it('keeps what is used again and again while others pass', () => {
    const cache = create(100);
    for (let round = 0; round < 50; round++) {
      for (let hot = 0; hot < 20; hot++) if (cache.get(`hot${hot}`) === undefined) cache.set(`hot${hot}`, 'x', 1);
      for (let i = 0; i < 10; i++) cache.set(`cold${round}-${i}`, 'x', 1);
    }
    const kept = Array.from({ length: 20 }, (_, i) => cache.peek(`hot${i}`)).filter(v => v !== undefined);
    expect(kept).toHaveLength(20);
  });

  it('treats an admitted newcomer as it said it would', () => {
    const cache = create(100);
    const random = lcg(7);
    for (let i = 0; i < 3000; i++) {
      const [key, weight, scan] = [`k${random() % 200}`, 1 + (random() % 30), random() % 3 === 0];
      if (cache.get(key) !== undefined) continue;
      const admitted = cache.admits(key, weight, { scan });
      expect(cache.set(key, 'x', weight, { scan })).toBe(admitted);
      expect(cache.peek(key) !== undefined).toBe(admitted);
    }
  });

  it('never exceeds its limit, never gives a wrong value, and accounts for every entry', () => {
    const key = fc.integer({ min: 0, max: 30 }).map(i => `k${i}`);
    const operation = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.tuple(fc.constant('set' as const), key, fc.integer({ min: 1, max: 40 }), fc.boolean()),
      },
      { weight: 6, arbitrary: fc.tuple(fc.constant('get' as const), key) },
      { weight: 1, arbitrary: fc.tuple(fc.constant('delete' as const), key) },
      { weight: 1, arbitrary: fc.tuple(fc.constant('limit' as const), key, fc.integer({ min: 0, max: 200 })) },
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 300 }), operations => {
        const truth = new Map<string, { value: string; weight: number }>();
        const cache = createWeightedCache<string>(algorithm, {
          maxWeight: 100,
          onEvict: (k, value) => {
            expect(truth.get(k)?.value).toBe(value);
            truth.delete(k);
          },
        });
        for (const [i, step] of operations.entries()) {
          if (step[0] === 'set') {
            const [, k, weight, scan] = step;
            const entry = { value: `v${i}`, weight };
            truth.delete(k);
            if (cache.set(k, entry.value, weight, { scan })) truth.set(k, entry);
          } else if (step[0] === 'get') {
            expect(cache.get(step[1])).toBe(truth.get(step[1])?.value);
          } else if (step[0] === 'delete') {
            expect(cache.delete(step[1])).toBe(truth.delete(step[1]));
          } else {
            cache.maxWeight = step[2];
          }
          expect(cache.weight).toBeLessThanOrEqual(cache.maxWeight);
          expect(cache.size).toBe(truth.size);
          expect(cache.weight).toBe([...truth.values()].reduce((sum, e) => sum + e.weight, 0));
        }
        for (const [k, { value }] of truth) expect(cache.peek(k)).toBe(value);
      }),
      { numRuns: 200 },
    );
  });
});

/** Numbers that look random and are the same in each run. */
function lcg(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 8;
  };
}
