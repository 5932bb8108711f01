import {
  Counters,
  type CounterValues,
  type Gauge,
  Latency,
  type LatencyCounts,
  LEVELS,
  type ProcessUsage,
} from '../observe/index.ts';
import type { CacheFacts } from './snapshot.ts';

/** What only grows while a process lives, and stays true of it afterwards. */
export interface Totals {
  readonly counters: CounterValues;
  readonly latency: LatencyCounts;
  readonly cpu_seconds: number;
}

/** All that a core tells of itself in figures: plain data, which may go to another process. */
export interface Figures {
  readonly counters: CounterValues;
  readonly latency: LatencyCounts;
  readonly gauges: readonly Gauge[];
  readonly usage: ProcessUsage;
  readonly cache: CacheFacts;
  /** Sentences for a person. */
  readonly problems: readonly string[];
}

export const NO_TOTALS: Totals = {
  counters: new Counters().values(),
  latency: new Latency().counts(),
  cpu_seconds: 0,
};

export function addTotals(a: Totals, b: Totals): Totals {
  return { ...added([a, b]), cpu_seconds: a.cpu_seconds + b.cpu_seconds };
}

/** What of a process that has ended is to be added to the figures of those that go on: else totals would go back with it. */
export function pastOf({ counters, latency, usage }: Figures): Totals {
  const levels = Object.fromEntries(LEVELS.map(name => [name, 0]));
  return { counters: { ...counters, ...levels }, latency, cpu_seconds: usage.cpu_seconds };
}

/** Several processes on one cache folder as if they were one. */
export function figuresTogether(all: readonly [Figures, ...Figures[]]): Figures {
  return {
    ...added(all),
    gauges: gaugesTogether(all.flatMap(({ gauges }) => gauges)),
    usage: {
      resident_bytes: sum(all, ({ usage }) => usage.resident_bytes),
      cpu_seconds: sum(all, ({ usage }) => usage.cpu_seconds),
    },
    cache: cachesTogether(all.map(({ cache }) => cache)),
    problems: [...new Set(all.flatMap(({ problems }) => problems))],
  };
}

function added(all: readonly Pick<Figures, 'counters' | 'latency'>[]): Pick<Figures, 'counters' | 'latency'> {
  const counters = new Counters();
  const latency = new Latency();
  for (const one of all) {
    counters.add(one.counters);
    latency.add(one.latency);
  }
  return { counters: counters.values(), latency: latency.counts() };
}

/** Each has its own memory. The folder is the same: of its bytes, each knows what it counted last and what it changed since; the smallest limit holds. */
function cachesTogether(caches: readonly CacheFacts[]): CacheFacts {
  const counted = caches.flatMap(({ disk_bytes }) => (disk_bytes === undefined ? [] : [disk_bytes]));
  const volume = caches.find(cache => cache.volume)?.volume;
  return {
    dir: caches[0]!.dir,
    ram_bytes: sum(caches, ({ ram_bytes }) => ram_bytes),
    ram_limit: sum(caches, ({ ram_limit }) => ram_limit),
    ...(counted.length > 0 ? { disk_bytes: Math.max(...counted) } : {}),
    disk_limit: Math.min(...caches.map(({ disk_limit }) => disk_limit)),
    ...(volume ? { volume } : {}),
  };
}

function gaugesTogether(gauges: readonly Gauge[]): Gauge[] {
  const together = new Map<string, Gauge>();
  for (const gauge of gauges) {
    const key = JSON.stringify([gauge.name, Object.entries(gauge.labels ?? {}).sort()]);
    const value = together.get(key)?.value ?? 0;
    together.set(key, { ...gauge, value: gauge.shared ? Math.max(value, gauge.value) : value + gauge.value });
  }
  return [...together.values()];
}

function sum<T>(all: readonly T[], of: (one: T) => number): number {
  return all.reduce((total, one) => total + of(one), 0);
}
