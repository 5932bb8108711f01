import type { Counted } from './census.ts';

export interface EvictingOptions {
  /** Removes something; false where it found nothing. */
  readonly step: (enough: () => boolean) => Promise<boolean>;
  /** Whether it has to begin, and whether it may rest again. */
  readonly tooMuch: () => boolean;
  readonly enough: () => boolean;
  /** A search was in vain: a census has to say why. */
  readonly onBarren: () => void;
  /** There is room enough. */
  readonly onDone: () => void;
  readonly onFailed: (error: unknown) => void;
}

/** Steps that find nothing after which a census has to say why. */
const BARREN = 20;
/** After a search in vain, and after a census has said that there is nothing to remove, ms. */
const REST = { first: 2000, long: 60_000 };

/** Makes room, one search at a time, for as long as there is too much. */
export class Evicting {
  readonly #options: EvictingOptions;
  #running: Promise<void> | undefined;
  #stopped = false;
  #restUntil = Number.NEGATIVE_INFINITY;

  constructor(options: EvictingOptions) {
    this.#options = options;
  }

  get running(): Promise<void> | undefined {
    return this.#running;
  }

  /** A while ago nothing to remove was found. */
  get isInVain(): boolean {
    return performance.now() < this.#restUntil;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** The limit is another one: what was in vain may not be now. */
  tryAgain(): void {
    this.#restUntil = Number.NEGATIVE_INFINITY;
  }

  start(): void {
    if (this.#stopped || this.isInVain) return;
    this.#running ??= this.#run()
      .then(made => {
        if (made) this.#options.onDone();
      })
      // Tried again at the next look at the volume, not at once: it would fail at once, too.
      .catch(error => this.#options.onFailed(error))
      .finally(() => {
        this.#running = undefined;
      });
  }

  /**
   * After a census that was to say why a search was in vain. True where there is too much, and nothing to remove, or too little
   * of it among records to be found: without it there would still be more than `most`.
   */
  judge({ total, removable, records }: Counted, most: number): boolean {
    const isBuried = records > 0 && total - removable > most;
    if ((removable > 0 && !isBuried) || !this.#options.tooMuch()) return false;
    this.#restUntil = performance.now() + REST.long;
    return true;
  }

  /** False when nothing to remove was found. */
  async #run(): Promise<boolean> {
    const { step, tooMuch, onBarren } = this.#options;
    const enough = () => this.#stopped || this.#options.enough();
    // A file that has just come to its place is counted twice until its reservation is released, in the same turn.
    await new Promise(setImmediate);
    if (!tooMuch()) return true;
    for (let barren = 0; !enough(); ) {
      barren = (await step(enough)) ? 0 : barren + 1;
      if (barren < BARREN) continue;
      this.#restUntil = performance.now() + REST.first;
      onBarren();
      return false;
    }
    return true;
  }
}
