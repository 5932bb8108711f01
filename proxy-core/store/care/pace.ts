import { setTimeout as sleep } from 'node:timers/promises';
import { DiskUnavailable } from '../disk/operations.ts';

/** Rests after so much time, for as long: reads hardly notice, and a volume or process that is busy is asked less, ms. */
const WORK = 10;
const LONGEST_REST = 200;
/** A volume that does not answer is asked again after so long, so often, ms. */
const RETRY = 1000;
const RETRIES = 60;

/** Lets a long piece of work on the volume take its steps, and rests half of the time. */
export class Pace {
  readonly signal: AbortSignal;
  #since = performance.now();
  #resting: Promise<void> | undefined;

  constructor(signal: AbortSignal) {
    this.signal = signal;
  }

  /** Rejects with the signal's reason, the step's error, or when the volume has not answered for a minute. */
  async step<T>(take: () => Promise<T>): Promise<T> {
    for (let tries = 0; ; tries++) {
      await this.#rest();
      try {
        return await take();
      } catch (error) {
        if (!(error instanceof DiskUnavailable) || tries === RETRIES) throw error;
        await sleep(RETRY, undefined, { signal: this.signal });
      }
    }
  }

  async #rest(): Promise<void> {
    this.signal.throwIfAborted();
    const worked = performance.now() - this.#since;
    if (worked >= WORK)
      this.#resting ??= sleep(Math.min(worked, LONGEST_REST), undefined, { signal: this.signal }).finally(() => {
        this.#resting = undefined;
        this.#since = performance.now();
      });
    await this.#resting;
  }
}

/** So many at once hide what each has to wait for the volume. */
const AT_ONCE = 4;

/** What `work` makes of each item, in their order, of which a few are in hand at a time. */
export async function* inHand<S, T>(
  items: AsyncIterable<S>,
  work: (item: S) => Promise<T>,
  atOnce = AT_ONCE,
): AsyncGenerator<T> {
  const running: Promise<T>[] = [];
  try {
    for await (const item of items) {
      const next = work(item);
      // Told when it is its turn.
      next.catch(() => {});
      running.push(next);
      if (running.length === atOnce) yield await (running.shift() as Promise<T>);
    }
    for (let next = running.shift(); next; next = running.shift()) yield await next;
  } finally {
    // Nothing goes on behind the back of whoever asked.
    await Promise.allSettled(running);
  }
}
