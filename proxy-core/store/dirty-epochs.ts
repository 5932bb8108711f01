import { inWords, isMissing } from './disk/disk-error.ts';
import type { Scratch } from './disk/scratch.ts';
import type { ObjectEntry } from './entry.ts';
import { newEpoch } from './epoch.ts';
import type { ShardEpochs } from './shard-epochs.ts';

const RETRY = 1000;

/** Room for epochs of objects that had none. */
export interface EpochRoom {
  /** Resolves with false where there is none, or not soon. To be released when the epoch has its place. */
  reserve(): Promise<boolean>;
  release(): void;
}

interface Dirty {
  readonly entry: ObjectEntry;
  readonly epoch: string;
  /** What the object's own file has, as far as is known. */
  readonly before: string;
  /** The first try to record it, which never rejects. */
  readonly recording: Promise<void>;
}

export interface DirtyEpochsOptions {
  readonly scratch: Scratch;
  readonly shards: ShardEpochs;
  readonly room: EpochRoom;
  /** A state: undefined when the volume has taken what it refused. */
  readonly onProblem: (message: string | undefined) => void;
}

/**
 * Objects whose new epoch the disk has not taken yet: S3 is asked about them each time. An epoch on disk is how a write
 * through one process is seen by all: it is replaced after S3's answer and before the writer's client hears of it
 * (design section 5).
 */
export class DirtyEpochs {
  readonly #options: DirtyEpochsOptions;
  readonly #dirty = new Map<string, Dirty>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: DirtyEpochsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#dirty.size;
  }

  has(entry: ObjectEntry): boolean {
    return this.#dirty.size > 0 && this.#dirty.has(entry.address.storeKey);
  }

  /** The entry of an object that is dirty. */
  entry(storeKey: string): ObjectEntry | undefined {
    return this.#dirty.get(storeKey)?.entry;
  }

  /**
   * Gives the object a new epoch; never rejects. It is used only once it is on the volume: whoever learns something under it
   * began after the write, and a write that another process records later replaces it. Until then what is learnt belongs to
   * an epoch of nobody's.
   */
  async moveOn(entry: ObjectEntry): Promise<void> {
    const { storeKey } = entry.address;
    const epoch = newEpoch();
    const before = this.#dirty.get(storeKey)?.before ?? entry.ownEpoch;
    entry.ownEpoch = newEpoch();
    entry.revision++;
    entry.writes++;
    const recording = this.#record(entry, epoch, before).catch(error => {
      this.#options.onProblem(
        `a write could not be recorded in the cache, so S3 is asked about its object each time: ${inWords(error)}`,
      );
      this.#retry();
    });
    this.#dirty.set(storeKey, { entry, epoch, before, recording });
    await recording;
  }

  /** Resolves when the object's latest epoch is on the volume, or the volume has refused it. */
  async recorded(entry: ObjectEntry): Promise<void> {
    await this.#dirty.get(entry.address.storeKey)?.recording;
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  async #record(entry: ObjectEntry, epoch: string, before: string): Promise<void> {
    const { shards } = this.#options;
    const replaced = before === '' || (await this.#isGone(entry)) ? '' : before;
    const isOwn = await this.#recordOwn(entry, epoch, replaced);
    if (!isOwn) await shards.replace(shards.of(entry.paths.hash));
    // Overtaken by a later write, whose epoch is still on its way.
    const { storeKey } = entry.address;
    if (this.#dirty.get(storeKey)?.epoch !== epoch) return;
    this.#dirty.delete(storeKey);
    entry.ownEpoch = isOwn ? epoch : replaced;
    entry.revision++;
    entry.writes++;
  }

  /** Eviction has removed it since it was seen: another one needs room as the first one did. */
  #isGone({ paths }: ObjectEntry): Promise<boolean> {
    return this.#options.scratch.volume.stat(paths.epoch).then(() => false, isMissing);
  }

  /** False where there is no room for it. What replaces another one needs none. */
  async #recordOwn(entry: ObjectEntry, epoch: string, replaced: string): Promise<boolean> {
    const { scratch, room } = this.#options;
    const { paths } = entry;
    if (replaced === '' && !(await room.reserve())) return false;
    try {
      return await scratch.publish(paths.epoch, paths.leaf, Buffer.from(epoch, 'latin1'));
    } finally {
      if (replaced === '') room.release();
    }
  }

  #retry(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const waiting = [...this.#dirty.values()];
      void Promise.all(
        waiting.map(async ({ entry, epoch, before }) => {
          // Where it fails it stays dirty; the next round tries again.
          await this.#record(entry, epoch, before).catch(() => {});
        }),
      ).then(() => {
        if (this.#dirty.size > 0) this.#retry();
        else this.#options.onProblem(undefined);
      });
    }, RETRY).unref();
  }
}
