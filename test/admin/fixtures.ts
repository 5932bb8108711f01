import { type StatusSnapshot, ThroughputMeter, takeSnapshot } from '../../proxy-core/admin/index.ts';
import { Counters } from '../../proxy-core/observe/index.ts';

/** A snapshot taken the way the core takes one, over counters that the test may set. */
export function snapshotOf(counters: Counters = new Counters(), problems: string[] = []): StatusSnapshot {
  const meter = new ThroughputMeter(counters);
  return takeSnapshot({
    version: '0.1.0',
    startedAt: Date.now(),
    addresses: { proxy: '127.0.0.1:3128' },
    counters,
    throughput: () => meter.read(),
    cache: () => ({ dir: '/cache', ram_bytes: 0, ram_limit: 512 * 1024 * 1024, disk_limit: 10 * 1024 ** 3 }),
    problems: () => problems,
  });
}
