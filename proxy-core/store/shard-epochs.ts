import { join } from 'node:path';
import { readOrNone } from './disk/read-file.ts';
import type { Scratch } from './disk/scratch.ts';
import { isEpoch, newEpoch } from './epoch.ts';

const SHARDS = 256;
/** How long what was seen on the volume may be relied on without another look, ms: with an object's own look, less than two seconds. */
const LOOK_EVERY = 500;

/** The epoch that objects share whose hash begins with the same two digits; `''` where there is none. */
export class Shard {
  readonly path: string;
  epoch = '';
  /** Monotonic ms of the last look at the volume. */
  lookedAt = Number.NEGATIVE_INFINITY;
  /** Monotonic ms at which the latest look began whose finding was taken over. */
  lookBegan = Number.NEGATIVE_INFINITY;
  /** Counts what this process wrote, so that a look that began earlier does not undo it. */
  writes = 0;
  /** Counts what other processes have told of their writes. */
  told = 0;
  looking: Promise<void> | undefined;
  replacing: Promise<void> | undefined;
  /** Replaces it once more, for writes that came while it was being replaced. */
  next: Promise<void> | undefined;

  constructor(path: string) {
    this.path = path;
  }
}

export interface ShardEpochsOptions {
  readonly cacheDir: string;
  readonly scratch: Scratch;
  /** True when no other process uses the volume, so that what is in memory can't have been overtaken. */
  readonly alone: () => boolean;
  readonly onCorrupt: (path: string) => void;
}

/**
 * Where writes are recorded when there is no room for an epoch of each object: a new epoch for all that share a shard, in
 * `epochs/<first two digits of their hashes>`. What the others had been vouched for is asked about once again, which costs a
 * 304 each. All shards together are files of 1 MiB at the most, like `uses/` not part of what `max_cache_size` bounds.
 */
export class ShardEpochs {
  readonly #options: ShardEpochsOptions;
  readonly #shards: readonly Shard[];

  constructor(options: ShardEpochsOptions) {
    this.#options = options;
    const name = (i: number) => i.toString(16).padStart(2, '0');
    this.#shards = Array.from({ length: SHARDS }, (_, i) => new Shard(join(options.cacheDir, 'epochs', name(i))));
  }

  of(hash: string): Shard {
    return this.#shards[Number.parseInt(hash.slice(0, 2), 16)]!;
  }

  /** Looks at the volume where the last look is too old to be relied on; rejects when the volume can't be read. */
  async look(shard: Shard): Promise<void> {
    const age = performance.now() - shard.lookedAt;
    if (age < (this.#options.alone() ? Number.POSITIVE_INFINITY : LOOK_EVERY)) return;
    const looking =
      shard.looking ??
      this.#look(shard).finally(() => {
        if (shard.looking === looking) shard.looking = undefined;
      });
    shard.looking = looking;
    await looking;
  }

  /** Another process has written: who looks from now on does so at the volume, and not with those who do already. */
  lookAgain(shard: Shard): void {
    shard.lookedAt = Number.NEGATIVE_INFINITY;
    shard.looking = undefined;
    shard.told++;
  }

  /** Gives the shard a new epoch, on the volume, after this call: those who come while that is done share the next one. */
  replace(shard: Shard): Promise<void> {
    if (!shard.replacing) {
      shard.replacing = this.#replace(shard).finally(() => {
        shard.replacing = undefined;
      });
      return shard.replacing;
    }
    shard.next ??= shard.replacing
      .catch(() => {})
      .then(() => {
        shard.next = undefined;
        return this.replace(shard);
      });
    return shard.next;
  }

  async #replace(shard: Shard): Promise<void> {
    const epoch = newEpoch();
    const { path } = shard;
    await this.#options.scratch.replace(path, path.slice(0, path.lastIndexOf('/')), Buffer.from(epoch, 'latin1'));
    shard.epoch = epoch;
    shard.writes++;
  }

  async #look(shard: Shard): Promise<void> {
    const began = performance.now();
    const { writes, told } = shard;
    const found = (await readOrNone(this.#options.scratch.volume, shard.path))?.toString('latin1') ?? '';
    // What this process has written meanwhile is newer, and so is what was found by a look that began later.
    if (shard.writes !== writes || began < shard.lookBegan) return;
    shard.lookBegan = began;
    // One that is gone or damaged can't be told from none, which would bring back what was true before a write.
    const isSound = isEpoch(found) || (found === '' && shard.epoch === '');
    if (isSound) shard.epoch = found;
    else {
      this.#options.onCorrupt(shard.path);
      await this.replace(shard);
    }
    // Of a write that was told of meanwhile the next look knows.
    if (shard.told === told) shard.lookedAt = began;
  }
}
