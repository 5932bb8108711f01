import { describe, expect, it } from 'vitest';
import { FrequencySketch, hashKey } from '../../../proxy-core/store/memory/sketch.ts';

const hashes = (count: number, prefix: string): number[] =>
  Array.from({ length: count }, (_, i) => hashKey(prefix + i));

describe('the frequency sketch', () => {
  it('never counts less than there were uses, up to 15', () => {
    const sketch = new FrequencySketch(1024);
    const keys = hashes(300, 'key');
    for (const [i, hash] of keys.entries()) for (let use = 0; use < i % 20; use++) sketch.increment(hash);
    for (const [i, hash] of keys.entries()) expect(sketch.estimate(hash)).toBeGreaterThanOrEqual(Math.min(i % 20, 15));
  });

  it('seldom counts more than there were', () => {
    const sketch = new FrequencySketch(1024);
    for (const hash of hashes(1024, 'once')) sketch.increment(hash);
    const wrong = hashes(10_000, 'never').filter(hash => sketch.estimate(hash) > 0);
    expect(wrong.length).toBeLessThan(200);
  });

  it('halves all counts after ten uses for each entry it is sized for', () => {
    const sketch = new FrequencySketch(16);
    const [famous, ...others] = hashes(60, 'key');
    for (let i = 0; i < 12; i++) sketch.increment(famous!);
    expect(sketch.estimate(famous!)).toBe(12);
    for (let i = 0; i < 160 - 12; i++) sketch.increment(others[i % others.length]!);
    expect(sketch.estimate(famous!)).toBeLessThanOrEqual(8);
    expect(sketch.estimate(famous!)).toBeGreaterThanOrEqual(6);
  });

  it('keeps every count when it grows', () => {
    const sketch = new FrequencySketch(16);
    const keys = hashes(12, 'key');
    for (const [i, hash] of keys.entries()) for (let use = 0; use <= i; use++) sketch.increment(hash);
    const before = keys.map(hash => sketch.estimate(hash));
    sketch.ensure(1000);
    expect(sketch.entries).toBe(1024);
    expect(keys.map(hash => sketch.estimate(hash))).toEqual(before);
  });

  it('tells keys apart that differ in one character anywhere', () => {
    const keys = Array.from({ length: 100_000 }, (_, i) => `aws\0bucket\0a/b/${i}.parquet\0etag\0${i % 7}`);
    expect(new Set(keys.map(hashKey)).size).toBeGreaterThan(99_990);
  });
});

describe('merging', () => {
  const merge = (into: FrequencySketch, other: FrequencySketch) => {
    for (const _ of into.merge(other));
  };

  it('takes the higher count of each key, of sketches of any two sizes', () => {
    for (const [own, others] of [
      [100, 100],
      [100, 1000],
      [1000, 100],
    ] as const) {
      const [one, other] = [new FrequencySketch(own), new FrequencySketch(others)];
      for (let key = 0; key < 40; key++) {
        for (let i = 0; i < key % 16; i++) one.increment(key * 7919);
        for (let i = 0; i < (key * 7) % 16; i++) other.increment(key * 7919);
      }
      merge(one, other);
      for (let key = 0; key < 40; key++)
        expect(one.estimate(key * 7919)).toBeGreaterThanOrEqual(Math.max(key % 16, (key * 7) % 16));
      expect(one.entries).toBe(1024 * (own === others ? 1 / 8 : 1));
      expect(one.estimate(999_999)).toBe(0);
    }
  });

  it('goes on though it grows in between', () => {
    const [one, other] = [new FrequencySketch(1 << 15), new FrequencySketch(1 << 15)];
    for (let key = 0; key < 1000; key++) other.increment(key * 7919);
    const steps = one.merge(other);
    steps.next();
    one.ensure(1 << 16);
    for (const _ of steps);
    for (let key = 0; key < 1000; key++) expect(one.estimate(key * 7919)).toBeGreaterThanOrEqual(1);
  });
});
