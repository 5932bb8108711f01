import { CisternError } from '../../errors.ts';
import type { BufferPool } from '../buffer-pool.ts';
import type { Catalog } from '../catalog.ts';
import type { Disk } from '../disk/disk.ts';
import { inWords } from '../disk/disk-error.ts';
import { DiskUnavailable } from '../disk/operations.ts';
import type { Extents } from '../extents.ts';
import { listBuckets, listObjects } from './list.ts';
import { Pace } from './pace.ts';
import { listPins, type PinChangeOptions, pin, unpin } from './pin-changes.ts';
import { isIn, purge } from './purge.ts';
import type { ListEvent, PinEvent, PinList, PurgeEvent, Target, VerifyEvent } from './types.ts';
import { verify } from './verify.ts';
import { Walk } from './walk.ts';

export interface CareOptions {
  readonly cacheDir: string;
  readonly disk: Disk;
  readonly catalog: Catalog;
  readonly extents: Extents;
  readonly pool: BufferPool;
  readonly onCorrupt: () => void;
  readonly pinPercent: () => number;
  /** S3-compatible stores, in their canonical spelling. */
  readonly stores: ReadonlySet<string>;
}

/**
 * What a person asks of the cache as a whole. Everything goes through it in small steps, with rests, while it serves; all of it
 * ends when `signal` says so. What the volume refuses is a {@link CisternError}.
 */
export class Care {
  readonly #options: CareOptions & { readonly walk: Walk };
  #verifying = false;

  constructor(options: CareOptions) {
    this.#options = { ...options, walk: new Walk({ volume: options.disk.volume, cacheDir: options.cacheDir }) };
  }

  /** Everything that is cached of a target, in no order that means something; without one, all buckets. */
  list(signal: AbortSignal, target?: Target): AsyncIterable<ListEvent> {
    const { disk, walk } = this.#options;
    const options = { volume: disk.volume, walk, pins: disk.pins };
    const pace = new Pace(signal);
    return inWordsOf(target ? listObjects(options, pace, target) : listBuckets(options, pace));
  }

  /** Removes what is cached of a target; `dryRun`: only counts it. */
  purge(signal: AbortSignal, target: Target, dryRun: boolean): AsyncIterable<PurgeEvent> {
    return inWordsOf(purge(this.#options, new Pace(signal), target, dryRun));
  }

  /** What is in memory of a target is of the past: another process has removed it. */
  forget(target: Target): void {
    this.#options.catalog.forgetThose(isIn(target));
  }

  /** Checks everything that is there, one at a time; goes on where an earlier one was stopped, unless `fromStart`. */
  async *verify(signal: AbortSignal, options: { readonly fromStart: boolean }): AsyncIterable<VerifyEvent> {
    if (this.#verifying) throw new CisternError('VerifyRunning');
    this.#verifying = true;
    try {
      yield* inWordsOf(verify(this.#options, new Pace(signal), options));
    } finally {
      this.#verifying = false;
    }
  }

  pins(signal: AbortSignal): Promise<PinList> {
    return listPins(this.#options.disk, new Pace(signal));
  }

  /** Pins a target against eviction; refused where that would be more than `cache.pin_percent` allows. */
  pin(signal: AbortSignal, target: Target): AsyncIterable<PinEvent> {
    return inWordsOf(pin(this.#pinOptions, new Pace(signal), target));
  }

  unpin(signal: AbortSignal, target: Target): AsyncIterable<PinEvent> {
    return inWordsOf(unpin(this.#pinOptions, new Pace(signal), target));
  }

  get #pinOptions(): PinChangeOptions {
    const { disk, pinPercent, stores } = this.#options;
    return { volume: disk.volume, scratch: disk.scratch, pins: disk.pins, percent: pinPercent, stores };
  }
}

async function* inWordsOf<T>(events: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* events;
  } catch (error) {
    const isVolumes = error instanceof DiskUnavailable || (error as NodeJS.ErrnoException).syscall !== undefined;
    if (!isVolumes) throw error;
    throw new CisternError('CacheUnavailable', inWords(error), { cause: error });
  }
}
