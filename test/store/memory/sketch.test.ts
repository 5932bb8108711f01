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
