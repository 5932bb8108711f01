import { randomBytes } from 'node:crypto';
import { inWords } from './disk/disk-error.ts';
import type { Scratch } from './disk/scratch.ts';
import type { ObjectEntry } from './entry.ts';

const RETRY = 1000;

interface Dirty {
  readonly entry: ObjectEntry;
  readonly epoch: string;
  /** The first try to record it, which never rejects. */
  readonly recording: Promise<void>;
}

/**
 * Objects whose new epoch the disk has not taken yet: S3 is asked about them each time. An epoch on disk is how a write
 * through one process is seen by all: it is replaced after S3's answer and before the writer's client hears of it
 * (design section 5).
 */
export class DirtyEpochs {
  readonly #scratch: Scratch;
  readonly #onProblem: (message: string | undefined) => void;
  readonly #dirty = new Map<string, Dirty>();
  #timer: NodeJS.Timeout | undefined;

  /** @param options.onProblem a state: undefined when the volume has taken what it refused */
  constructor(options: { scratch: Scratch; onProblem: (message: string | undefined) => void }) {
    this.#scratch = options.scratch;
    this.#onProblem = options.onProblem;
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
    const epoch = newEpoch();
    entry.epoch = newEpoch();
    entry.revision++;
    const recording = this.#record(entry, epoch).catch(error => {
      this.#onProblem(
        `a write could not be recorded in the cache, so S3 is asked about its object each time: ${inWords(error)}`,
      );
      this.#retry();
    });
    this.#dirty.set(entry.address.storeKey, { entry, epoch, recording });
    await recording;
  }

  /** Resolves when the object's latest epoch is on the volume, or the volume has refused it. */
  async recorded(entry: ObjectEntry): Promise<void> {
    await this.#dirty.get(entry.address.storeKey)?.recording;
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  async #record(entry: ObjectEntry, epoch: string): Promise<void> {
    const { paths, address } = entry;
    await this.#scratch.publish(paths.epoch, paths.leaf, Buffer.from(epoch, 'latin1'));
    // Overtaken by a later write, whose epoch is still on its way.
    if (this.#dirty.get(address.storeKey)?.epoch !== epoch) return;
    this.#dirty.delete(address.storeKey);
    entry.epoch = epoch;
    entry.revision++;
  }

  #retry(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const waiting = [...this.#dirty.values()];
      void Promise.all(
        waiting.map(async ({ entry, epoch }) => {
          // Where it fails it stays dirty; the next round tries again.
          await this.#record(entry, epoch).catch(() => {});
        }),
      ).then(() => {
        if (this.#dirty.size > 0) this.#retry();
        else this.#onProblem(undefined);
      });
    }, RETRY).unref();
  }
}

function newEpoch(): string {
  return randomBytes(16).toString('hex');
}
