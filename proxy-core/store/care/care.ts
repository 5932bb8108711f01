import type { Disk } from '../disk/disk.ts';
import { listBuckets, listObjects } from './list.ts';
import { Pace } from './pace.ts';
import type { ListEvent, Target } from './types.ts';
import { Walk } from './walk.ts';

export interface CareOptions {
  readonly cacheDir: string;
  readonly disk: Disk;
}

/**
 * What a person asks of the cache as a whole. Everything goes through it in small steps, with rests, while it serves; all of it
 * ends when `signal` says so.
 */
export class Care {
  readonly #options: CareOptions;
  readonly #walk: Walk;

  constructor(options: CareOptions) {
    this.#options = options;
    this.#walk = new Walk({ volume: options.disk.volume, cacheDir: options.cacheDir });
  }

  /** Everything that is cached of a target, in no order that means something; without one, all buckets. */
  list(signal: AbortSignal, target?: Target): AsyncIterable<ListEvent> {
    const options = { volume: this.#options.disk.volume, walk: this.#walk };
    const pace = new Pace(signal);
    return target ? listObjects(options, pace, target) : listBuckets(options, pace);
  }
}
