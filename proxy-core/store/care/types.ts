/** What of the cache is meant: a bucket, and in it the objects whose keys begin with a prefix. */
export interface Target {
  readonly bucket: string;
  /** Bytes of the key's beginning, as latin1; `''` for the whole bucket. */
  readonly prefix: string;
  /** Where the bucket lives; without it, wherever a bucket of this name is cached from. */
  readonly origin?: string | undefined;
}

/** One object of which something is on the disk. These are lines of the control interface, hence the snake_case. */
export interface CachedObject {
  readonly type: 'object';
  readonly origin: string;
  readonly bucket: string;
  /** As UTF-8; bytes that are none are replaced, and then `key_base64` has all of them. */
  readonly key: string;
  readonly key_base64?: string;
  readonly etag: string;
  /** Bytes of the whole object, and those of them that are on the disk. */
  readonly length: number;
  readonly cached: number;
  /** Allocated on the volume. */
  readonly disk_bytes: number;
  /** ISO 8601, UTC. */
  readonly last_used: string;
  /** When S3 last vouched for it; absent for an upload that nobody has read yet. */
  readonly validated?: string;
  /** Eviction leaves it alone. */
  readonly pinned?: true;
}

/** A bucket of which something is on the disk. */
export interface CachedBucket {
  readonly type: 'bucket';
  readonly origin: string;
  readonly bucket: string;
  readonly objects: number;
  readonly cached: number;
  readonly disk_bytes: number;
  /** ISO 8601, UTC; absent where there is no object. */
  readonly last_used?: string;
}

/** Tells once a second how far it is. */
export interface ListProgress {
  readonly type: 'progress';
  /** Objects looked at, whether they are meant or not. */
  readonly looked: number;
}

export interface ListEnd {
  readonly type: 'end';
  readonly objects: number;
  readonly cached: number;
  readonly disk_bytes: number;
}

export type ListEvent = CachedObject | CachedBucket | ListProgress | ListEnd;

export interface PurgeProgress {
  readonly type: 'progress';
  /** Objects looked at, whether they are meant or not. */
  readonly looked: number;
  readonly objects: number;
  readonly disk_bytes: number;
}

export interface PurgeEnd {
  readonly type: 'end';
  /** Objects that were removed, or would be. */
  readonly objects: number;
  /** Allocated bytes that were set free, or would be. */
  readonly disk_bytes: number;
  readonly dry_run: boolean;
  /** Files that could not be removed, and why the first of them could not. */
  readonly left: number;
  readonly problem?: string;
}

export type PurgeEvent = PurgeProgress | PurgeEnd;

/** Something that was not as it should be. */
export interface Fault {
  readonly type: 'fault';
  /**
   * `damaged`: its content is not what was stored, so it was removed. `leftover`: nobody would look for it any more, so it was
   * removed. `unreadable`: the volume does not give it out; it stays. `unknown`: no file of the store's; it stays.
   */
  readonly what: 'damaged' | 'leftover' | 'unreadable' | 'unknown';
  /** Below the cache folder. */
  readonly path: string;
  readonly bucket?: string;
  readonly key?: string;
  readonly detail: string;
}

export interface VerifyCounts {
  readonly objects: number;
  readonly files: number;
  /** Allocated bytes of the files that were looked at. */
  readonly disk_bytes: number;
  readonly damaged: number;
  readonly leftover: number;
  readonly unreadable: number;
  readonly unknown: number;
}

export interface VerifyProgress extends VerifyCounts {
  readonly type: 'progress';
  /** Allocated bytes of all that there is, as far as known. */
  readonly total?: number;
  /** It goes through the files, or counts again what they take. */
  readonly stage: 'files' | 'accounting';
}

export interface VerifyEnd extends VerifyCounts {
  readonly type: 'end';
  /** ISO 8601, UTC: when it was begun, perhaps by an earlier process. */
  readonly began: string;
  /** By how many bytes the accounting was off and has been put right; absent where that could not be found out. */
  readonly correction?: number;
}

export type VerifyEvent = Fault | VerifyProgress | VerifyEnd;

export interface PinProgress {
  readonly type: 'progress';
  /** Objects looked at. */
  readonly looked: number;
}

export interface PinEnd {
  readonly type: 'end';
  /** Allocated bytes of all that is pinned now, and the most that may be. */
  readonly disk_bytes: number;
  readonly limit: number;
}

export type PinEvent = PinProgress | PinEnd;

export interface PinList extends Omit<PinEnd, 'type'> {
  readonly pins: readonly { readonly bucket: string; readonly origin: string; readonly prefix: string }[];
}
