import { describe, expect, it } from 'vitest';
import { ThroughputMeter, takeSnapshot } from '../../proxy-core/admin/index.ts';
import { Counters } from '../../proxy-core/observe/index.ts';
import { snapshotOf } from './fixtures.ts';

describe('a status snapshot', () => {
  it('carries every counter and survives JSON unchanged', () => {
    const counters = new Counters();
    counters.hits = 3;
    counters.bytes_from_cache = 300;
    counters.bypass('subresource');
    const snapshot = snapshotOf(counters, ['The disk is full.']);
    expect(JSON.parse(JSON.stringify(snapshot))).toEqual(snapshot);
    for (const name of Object.keys(counters)) expect(snapshot.counters).toHaveProperty(name);
    expect(snapshot.counters.bypass_reasons).toEqual({ subresource: 1 });
    expect(snapshot.problems).toEqual(['The disk is full.']);
  });

  it('tells the share from cache by bytes, and null before the first byte', () => {
    const counters = new Counters();
    expect(snapshotOf(counters).share_from_cache).toBeNull();
    counters.bytes_from_cache = 930;
    counters.bytes_from_s3 = 70;
    expect(snapshotOf(counters).share_from_cache).toBe(0.93);
  });

  it('counts uptime in whole seconds since the start', () => {
    const startedAt = Date.UTC(2026, 0, 1);
    const snapshot = takeSnapshot(
      {
        version: '1',
        startedAt,
        addresses: { proxy: 'x:1' },
        counters: new Counters(),
        throughput: () => new ThroughputMeter(new Counters()).read(),
        cache: () => ({ dir: '/c', ram_bytes: 0, ram_limit: 0, disk_limit: 0 }),
        problems: () => [],
      },
      startedAt + 61_900,
    );
    expect(snapshot.uptime_s).toBe(61);
    expect(snapshot.started_at).toBe('2026-01-01T00:00:00.000Z');
  });
});

describe('the throughput meter', () => {
  it('divides by the time that really passed, so a late sample tells no lie', () => {
    const counters = new Counters();
    let now = 0;
    const meter = new ThroughputMeter(counters, () => now);
    counters.bytes_from_cache += 4000;
    now += 2000;
    meter.sample();
    expect(meter.read().from_cache).toBe(2000);
  });

  it('keeps the last 120 samples, oldest first, and falls to zero when nothing moves', () => {
    const counters = new Counters();
    let now = 0;
    const meter = new ThroughputMeter(counters, () => now);
    for (let second = 1; second <= 125; second++) {
      counters.bytes_from_s3 += second;
      now += 1000;
      meter.sample();
    }
    const { history } = meter.read();
    expect(history.from_s3).toHaveLength(120);
    expect(history.from_s3[0]).toBe(6);
    expect(history.from_s3.at(-1)).toBe(125);
    now += 1000;
    meter.sample();
    expect(meter.read().from_s3).toBe(0);
  });
});
