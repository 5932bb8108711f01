import { performance } from 'node:perf_hooks';

/** Bytes a second by source: now, and over the last two minutes (oldest first), for a chart that is full at once. */
export interface Throughput {
  readonly from_cache: number;
  readonly from_s3: number;
  readonly history: {
    readonly interval_s: number;
    readonly from_cache: readonly number[];
    readonly from_s3: readonly number[];
  };
}

interface ByteCounts {
  readonly bytes_from_cache: number;
  readonly bytes_from_s3: number;
}

const INTERVAL_MS = 1000;
const KEPT = 120;

/** Samples the byte counters once a second. */
export class ThroughputMeter {
  readonly #counts: ByteCounts;
  readonly #now: () => number;
  readonly #fromCache: number[] = [];
  readonly #fromS3: number[] = [];
  #last: ByteCounts & { at: number };
  #timer: NodeJS.Timeout | undefined;

  /** `now` is a monotonic clock in ms. */
  constructor(counts: ByteCounts, now: () => number = () => performance.now()) {
    this.#counts = counts;
    this.#now = now;
    this.#last = this.#read();
  }

  start(): void {
    this.#last = this.#read();
    this.#timer ??= setInterval(() => this.sample(), INTERVAL_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  sample(): void {
    const next = this.#read();
    // A late timer covers a longer time; dividing by what really passed keeps the rate true.
    const seconds = (next.at - this.#last.at) / 1000;
    if (seconds <= 0) return;
    keep(this.#fromCache, (next.bytes_from_cache - this.#last.bytes_from_cache) / seconds);
    keep(this.#fromS3, (next.bytes_from_s3 - this.#last.bytes_from_s3) / seconds);
    this.#last = next;
  }

  read(): Throughput {
    return {
      from_cache: this.#fromCache.at(-1) ?? 0,
      from_s3: this.#fromS3.at(-1) ?? 0,
      history: { interval_s: INTERVAL_MS / 1000, from_cache: [...this.#fromCache], from_s3: [...this.#fromS3] },
    };
  }

  #read(): ByteCounts & { at: number } {
    const { bytes_from_cache, bytes_from_s3 } = this.#counts;
    return { bytes_from_cache, bytes_from_s3, at: this.#now() };
  }
}

function keep(series: number[], rate: number): void {
  series.push(Math.round(rate));
  if (series.length > KEPT) series.shift();
}
