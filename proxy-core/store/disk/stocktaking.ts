import type { Accounts } from './accounts.ts';
import type { Correction, Counting } from './counting.ts';

export interface StocktakingOptions {
  readonly counting: Pick<Counting, 'count' | 'stop'>;
  readonly accounts: Pick<Accounts, 'countedAt' | 'dead' | 'known' | 'othersCount' | 'sharers'>;
  /** Files and folders that the count under way has looked at. */
  readonly looked: () => number;
  /** Now on the volume's clock, ms. */
  readonly now: () => number;
  /** Bytes by which a count may be off before another one is due soon. */
  readonly tolerance: () => number;
  /** What is there has been counted. `asked`: by a count that began when somebody wanted to know. */
  readonly onCounted: (correction: Correction, asked: boolean) => void;
}

const COUNT_EVERY = 3_600_000;
/** A count that takes this long, and has come so far, is not waited for; and after so long others go without being counted. */
const SLOW = { ms: 250, looked: 500 };
const LONG = 5000;
/** Where so much came and went during a count that it is off by more than is tolerable, ms. */
const COUNT_AGAIN = 60_000;

/**
 * When what is there is counted: at the start, every hour, when a process has died, and when somebody asks. Of several processes
 * one does it for all; two at once are right, too.
 */
export class Stocktaking {
  readonly #options: StocktakingOptions;
  #running: Promise<number | undefined> | undefined;
  #countedAt: number | undefined;
  #begunAt = Number.POSITIVE_INFINITY;
  /** When the first of its counts began. */
  #firstAt = Number.POSITIVE_INFINITY;
  #nextAt = Number.NEGATIVE_INFINITY;
  /** Somebody wants to know, and a count that began before that doesn't tell. */
  #asked = false;
  #stopped = false;

  constructor(options: StocktakingOptions) {
    this.#options = options;
  }

  get running(): Promise<number | undefined> | undefined {
    return this.#running;
  }

  /** It is not worth anybody's while to wait for the count. */
  get isSlow(): boolean {
    return this.#runsFor(SLOW.ms) && this.#options.looked() > SLOW.looked;
  }

  /** There is much to count. */
  get takesLong(): boolean {
    return this.#runsFor(LONG);
  }

  /** What is there has not been counted yet, only told by one before, and will be soon. */
  get isFirst(): boolean {
    return this.#options.accounts.known && !this.counted && performance.now() - this.#firstAt < LONG;
  }

  /** What is there has been counted, by this process or another one that is there. */
  get counted(): boolean {
    const { accounts } = this.#options;
    return accounts.known && (this.#countedAt !== undefined || accounts.sharers > 1);
  }

  stop(): void {
    this.#stopped = true;
    this.#options.counting.stop();
  }

  /** Counts where it is time to. */
  look(): void {
    if (this.#isDue) void this.#take();
  }

  /** Counts now, or again as soon as a count that has begun before is over. */
  ask(): void {
    this.#asked = true;
    if (!this.#running) void this.#take();
  }

  /** By how many bytes the counters had been off; undefined where that could not be told. Never rejects. */
  async recount(): Promise<number | undefined> {
    await this.#running;
    return this.#take();
  }

  get #isDue(): boolean {
    const { accounts, now } = this.#options;
    if (this.#asked) return true;
    if (accounts.othersCount) return false;
    if (accounts.dead.length > 0) return true;
    if (accounts.sharers > 1 && accounts.known) return now() - accounts.countedAt > COUNT_EVERY;
    return performance.now() > this.#nextAt;
  }

  #runsFor(ms: number): boolean {
    return this.#running !== undefined && performance.now() - this.#begunAt > ms;
  }

  #take(): Promise<number | undefined> {
    const asked = this.#asked;
    this.#asked = false;
    this.#running ??= this.#count(asked)
      // The volume's own breaker reports it; the next look at the volume tries again.
      .catch(() => undefined)
      .finally(() => {
        this.#running = undefined;
        if (this.#asked && !this.#stopped) void this.#take();
      });
    return this.#running;
  }

  async #count(asked: boolean): Promise<number | undefined> {
    this.#begunAt = performance.now();
    this.#firstAt = Math.min(this.#firstAt, this.#begunAt);
    const correction = await this.#options.counting.count();
    if (!correction) return undefined;
    const isSure = correction.doubt <= this.#options.tolerance();
    this.#countedAt = performance.now();
    this.#nextAt = this.#countedAt + (isSure ? COUNT_EVERY : COUNT_AGAIN);
    this.#options.onCounted(correction, asked);
    return correction.bytes;
  }
}
