import { setTimeout as sleep } from 'node:timers/promises';
import { DiskUnavailable } from '../disk/volume.ts';

/** Rests after so much work, for as long as it took, ms: reads hardly notice, and what is slow is asked less. */
const WORK = 10;
const LONGEST_REST = 1000;
/** A volume that does not answer is asked again after so long, so often, ms. */
const RETRY = 1000;
const RETRIES = 60;

/**
 * Takes the steps of a long piece of work on the volume one after the other, and rests half of the time. Waiting for a turn of
 * a busy process counts as work, so that it rests the longer the more there is to serve.
 */
export class Pace {
  readonly #signal: AbortSignal;
  readonly #retry: number;
  #worked = 0;

  constructor(signal: AbortSignal, retry = RETRY) {
    this.#signal = signal;
    this.#retry = retry;
  }

  get signal(): AbortSignal {
    return this.#signal;
  }

  /** Rejects with the signal's reason, the step's error, or when the volume has not answered for a minute. */
  async step<T>(take: () => Promise<T>): Promise<T> {
    for (let tries = 0; ; tries++) {
      await this.#rest();
      const began = performance.now();
      try {
        return await take();
      } catch (error) {
        if (!(error instanceof DiskUnavailable) || tries === RETRIES) throw error;
        await sleep(this.#retry, undefined, { signal: this.#signal });
      } finally {
        this.#worked += performance.now() - began;
      }
    }
  }

  async #rest(): Promise<void> {
    this.#signal.throwIfAborted();
    if (this.#worked < WORK) return;
    await sleep(Math.min(this.#worked, LONGEST_REST), undefined, { signal: this.#signal });
    this.#worked = 0;
  }
}
