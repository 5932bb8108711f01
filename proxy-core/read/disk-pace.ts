/** Taken for S3's rate before one is known, bytes a ms. */
const LIKELY_RATE = 20_000;
/** Transfers shorter than this tell nothing of a rate, bytes. */
const ENOUGH = 1 << 20;
/** How long a disk that was found slow is left out, ms. */
const REST = 5000;

/**
 * Whether the disk gives out what is cached faster than S3 would (design section 3, rule 5). A disk that answers within
 * its deadline each time may still be far slower than the network.
 */
export class DiskPace {
  readonly #patience: number;
  readonly #onSlow: () => void;
  #s3Rate = 0;
  #slowUntil = Number.NEGATIVE_INFINITY;

  /** @param patience ms that one answer may wait for the disk before the rates are compared */
  constructor(patience: number, onSlow: () => void) {
    this.#patience = patience;
    this.#onSlow = onSlow;
  }

  /** S3 brought so many bytes in so many ms without being held up here. */
  heard(bytes: number, ms: number): void {
    if (bytes < ENOUGH) return;
    const rate = bytes / Math.max(1, ms);
    this.#s3Rate = this.#s3Rate === 0 ? rate : 0.7 * this.#s3Rate + 0.3 * rate;
  }

  /** For one answer. */
  begin(): DiskTurn {
    return new DiskTurn((bytes, ms) => this.#isSlow(bytes, ms));
  }

  #isSlow(bytes: number, ms: number): boolean {
    const now = performance.now();
    if (now < this.#slowUntil) return true;
    if (ms < this.#patience || bytes / ms >= (this.#s3Rate || LIKELY_RATE)) return false;
    this.#slowUntil = now + REST;
    this.#onSlow();
    return true;
  }
}

/** What one answer has had from the disk. */
export class DiskTurn {
  readonly #isSlow: (bytes: number, ms: number) => boolean;
  #bytes = 0;
  #waited = 0;
  #useless = false;

  constructor(isSlow: (bytes: number, ms: number) => boolean) {
    this.#isSlow = isSlow;
  }

  waited(bytes: number, ms: number): void {
    this.#bytes += bytes;
    this.#waited += ms;
  }

  /** The rest is better had from S3. */
  get slow(): boolean {
    return !this.#useless && this.#isSlow(this.#bytes, this.#waited);
  }

  /** S3 can't be had: the disk is better than nothing. */
  endure(): void {
    this.#useless = true;
  }
}
