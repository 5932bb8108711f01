import type { Counters, CounterValues } from '../observe/index.ts';
import type { VolumeReport } from '../store/index.ts';
import type { Throughput } from './throughput.ts';

/** Where the core listens, each as `host:port`; a listener that is off is absent. */
export interface Addresses {
  readonly proxy: string;
  readonly health?: string;
  readonly metrics?: string;
  readonly dashboard?: string;
}

export interface CacheFacts {
  readonly dir: string;
  /** Bytes of content held in memory, and the most that may be. */
  readonly ram_bytes: number;
  readonly ram_limit: number;
  /** Bytes allocated on disk; absent until they have been counted. */
  readonly disk_bytes?: number;
  readonly disk_limit: number;
  /** What its volume is and can do; absent until that has been tried. */
  readonly volume?: VolumeReport;
}

/** One of several processes that serve behind one port (`server.workers`). */
export interface WorkerFacts {
  readonly number: number;
  /** Absent while it is being started. */
  readonly pid?: number;
  readonly active_connections: number;
}

/** Everything that status, dashboard, tray and window show, as one JSON document. Counts are since `started_at`. */
export interface StatusSnapshot {
  readonly version: string;
  readonly pid: number;
  /** ISO 8601, UTC */
  readonly started_at: string;
  readonly uptime_s: number;
  readonly addresses: Addresses;
  /** Absent where one process does everything; else all figures are of these together. */
  readonly workers?: readonly WorkerFacts[];
  readonly cache: CacheFacts;
  readonly counters: CounterValues;
  /** Part of the object bytes sent to clients that came from the cache, 0 to 1; null before the first byte. */
  readonly share_from_cache: number | null;
  readonly throughput: Throughput;
  /** Sentences for a person: what is wrong and what to do. Empty when all is well. */
  readonly problems: readonly string[];
}

/** What a snapshot is taken from; the core owns these. */
export interface SnapshotSources {
  readonly version: string;
  /** ms since the epoch */
  readonly startedAt: number;
  readonly addresses: Addresses;
  readonly workers?: readonly WorkerFacts[];
  readonly counters: Counters;
  readonly throughput: () => Throughput;
  readonly cache: () => CacheFacts;
  readonly problems: () => readonly string[];
}

export function takeSnapshot(sources: SnapshotSources, now: number = Date.now()): StatusSnapshot {
  const counters = sources.counters.values();
  return {
    version: sources.version,
    pid: process.pid,
    started_at: new Date(sources.startedAt).toISOString(),
    uptime_s: Math.max(0, Math.floor((now - sources.startedAt) / 1000)),
    addresses: sources.addresses,
    ...(sources.workers ? { workers: sources.workers } : {}),
    cache: sources.cache(),
    counters,
    share_from_cache: share(counters.bytes_from_cache, counters.bytes_from_s3),
    throughput: sources.throughput(),
    problems: sources.problems(),
  };
}

function share(fromCache: number, fromS3: number): number | null {
  const total = fromCache + fromS3;
  return total > 0 ? fromCache / total : null;
}
