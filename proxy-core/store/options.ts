import type { FreeSpaceFloor } from './disk/free-space.ts';
import type { VolumeReport } from './disk/probe.ts';

/** What may change while it runs. */
export interface StoreLimits {
  readonly maxDiskBytes: number;
  readonly minFreeSpace: FreeSpaceFloor;
  /** Share of the disk cache, in percent, of uploads that nobody has read, or that still run. */
  readonly uploadPercent: number;
  /** Share of the disk cache, in percent, that may be pinned against eviction. */
  readonly pinPercent: number;
  readonly ramEnabled: boolean;
  /** Most memory that the RAM tier costs, bytes. */
  readonly maxRamBytes: number;
}

export interface StoreOptions extends StoreLimits {
  readonly cacheDir: string;
  /** How long parts stay of a multipart upload that is neither completed nor aborted, ms. */
  readonly incompleteUploadTtl: number;
  /** How long an upload may wait for its first reader, ms; by folder of the bucket and key. */
  readonly putTtl: (folder: string, key: string) => number;
  /** Where buckets may live beside AWS: S3-compatible stores, in their canonical spelling. */
  readonly stores: ReadonlySet<string>;
  readonly maxHeads: number;
  readonly algorithm: 'tinylfu' | 'lru' | 's3fifo';
  /** Bytes that in-flight reads and fills may hold. */
  readonly memoryBudget: number;
  /** Held bytes between two gaps that are rather fetched again than asked for around. */
  readonly mergeGap: number;
  /** Deadline of a disk operation, ms. */
  readonly diskTimeout: number;
  readonly shared: boolean;
  /** Extents kept open between reads; 256 where not given. */
  readonly maxOpenFiles?: number;
  readonly onProblem: (key: string, message: string | undefined) => void;
  /** Something that happened and is over. */
  readonly onEvent: (key: string, message: string) => void;
  /** What the volume of the cache is and can do, seconds after the start and each time it has come back. */
  readonly onVolume: (report: VolumeReport) => void;
  readonly counters: StoreCounters;
}

/** The integers the store bumps. */
export interface StoreCounters {
  disk_errors: number;
  disk_corrupt: number;
  disk_skipped: number;
  epochs_moved: number;
}
