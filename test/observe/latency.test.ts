import { describe, expect, it } from 'vitest';
import { Latency, OUTCOMES } from '../../proxy-core/observe/index.ts';

describe('latency by outcome', () => {
  it('has no percentiles before the first request', () => {
    expect(new Latency().read().hit).toEqual({ count: 0, sum: 0, p50: null, p95: null, p99: null });
  });

  it('gives percentiles true to a ninth, each outcome by itself', () => {
    const latency = new Latency();
    for (let i = 1; i <= 1000; i++) latency.record('hit', i / 10);
    latency.record('miss', 250);
    const { hit, miss, bypass } = latency.read();
    expect(hit.count).toBe(1000);
    expect(hit.sum).toBeCloseTo(50_050);
    for (const [found, real] of [
      [hit.p50, 50],
      [hit.p95, 95],
      [hit.p99, 99],
      [miss.p50, 250],
      [miss.p99, 250],
    ]) {
      expect(found! / real!).toBeGreaterThan(8 / 9);
      expect(found! / real!).toBeLessThan(9 / 8);
    }
    expect(bypass.count).toBe(0);
  });

  it('keeps one slow request in a thousand out of p99 and two in a hundred in it', () => {
    const latency = new Latency();
    for (let i = 0; i < 999; i++) latency.record('hit', 1);
    latency.record('hit', 5000);
    expect(latency.read().hit.p99).toBeLessThan(2);
    for (let i = 0; i < 20; i++) latency.record('hit', 5000);
    expect(latency.read().hit.p99).toBeGreaterThan(4000);
  });

  it('counts a time equal to a bound under that bound, as Prometheus defines le', () => {
    const latency = new Latency();
    for (const time of [1, 1.0001, 2]) latency.record('miss', time);
    const upTo = (bound: number) => latency.cumulative('miss').find(b => b.bound === bound)!.count;
    expect([upTo(0.5), upTo(1), upTo(2)]).toEqual([0, 1, 3]);
  });

  it.each([
    ['nothing', 0, 0.0625],
    ['a clock that went backwards', -5, 0.0625],
    ['an hour', 3_600_000, 131_072],
  ])('takes %s', (_, time, p50) => {
    const latency = new Latency();
    latency.record('bypass', time);
    const found = latency.read().bypass;
    expect(found.count).toBe(1);
    expect(found.p50).toBeLessThanOrEqual(p50);
    expect(found.p50).toBeGreaterThan(p50 / 2);
  });

  it('has a histogram for every outcome', () => {
    const latency = new Latency();
    for (const outcome of OUTCOMES) latency.record(outcome, 1);
    for (const summary of Object.values(latency.read())) expect(summary.count).toBe(1);
  });
});
