/** How a request was answered, as counted and timed. */
export const OUTCOMES = ['hit', 'revalidated', 'partial', 'miss', 'bypass'] as const;
export type Outcome = (typeof OUTCOMES)[number];

export interface LatencySummary {
  readonly count: number;
  /** Sum of all times, ms */
  readonly sum: number;
  /** ms; null before the first request. True to within a bucket, a ninth either way. */
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
}

/** By outcome, how many requests there were in each bucket, and the sum of their times in ms: plain data, to be added up. */
export type LatencyCounts = Readonly<Record<Outcome, { readonly buckets: readonly number[]; readonly sum: number }>>;

/** Upper bounds are 1/16 ms × 2^(n/4): four buckets to a doubling, up to 131 s, and one for what is slower. */
const FIRST_BOUND = 1 / 16;
const PER_DOUBLING = 4;
const DOUBLINGS = 21;
const BUCKETS = DOUBLINGS * PER_DOUBLING + 1;

/** Times from a request's head being read to its answer's first byte, by outcome. Recording costs a logarithm and three additions. */
export class Latency {
  readonly #histograms = new Map<Outcome, Histogram>(OUTCOMES.map(outcome => [outcome, new Histogram()]));

  record(outcome: Outcome, milliseconds: number): void {
    this.#histograms.get(outcome)!.record(milliseconds);
  }

  counts(): LatencyCounts {
    return byOutcome(outcome => this.#histograms.get(outcome)!.counts());
  }

  /** Adds what another process has timed. */
  add(counts: LatencyCounts): void {
    for (const outcome of OUTCOMES) this.#histograms.get(outcome)!.add(counts[outcome]);
  }

  /** Summaries by outcome, for status and dashboard. */
  read(): Readonly<Record<Outcome, LatencySummary>> {
    return byOutcome(outcome => this.#histograms.get(outcome)!.summary());
  }

  /** How many requests took at most each bound (ms), for exposition. The count of all is in {@link read}. */
  cumulative(outcome: Outcome): readonly { readonly bound: number; readonly count: number }[] {
    return this.#histograms.get(outcome)!.cumulative();
  }
}

class Histogram {
  /** Doubles, so that no count ever wraps. */
  readonly #counts = new Float64Array(BUCKETS);
  #count = 0;
  #sum = 0;

  record(milliseconds: number): void {
    this.#counts[bucketOf(milliseconds)]!++;
    this.#count++;
    this.#sum += milliseconds;
  }

  counts(): LatencyCounts[Outcome] {
    return { buckets: [...this.#counts], sum: this.#sum };
  }

  add({ buckets, sum }: LatencyCounts[Outcome]): void {
    for (const [bucket, count] of buckets.entries()) {
      this.#counts[bucket]! += count;
      this.#count += count;
    }
    this.#sum += sum;
  }

  summary(): LatencySummary {
    return {
      count: this.#count,
      sum: this.#sum,
      p50: this.#percentile(0.5),
      p95: this.#percentile(0.95),
      p99: this.#percentile(0.99),
    };
  }

  /** At whole doublings only: a scrape needs no finer grain. */
  cumulative(): { bound: number; count: number }[] {
    const result: { bound: number; count: number }[] = [];
    let count = 0;
    for (let bucket = 0; bucket < BUCKETS - 1; bucket++) {
      count += this.#counts[bucket]!;
      if (bucket % PER_DOUBLING === 0) result.push({ bound: boundOf(bucket), count });
    }
    return result;
  }

  #percentile(share: number): number | null {
    if (this.#count === 0) return null;
    const rank = Math.ceil(this.#count * share);
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS - 1; bucket++) {
      seen += this.#counts[bucket]!;
      // The middle of the bucket on the scale it is cut on.
      if (seen >= rank) return boundOf(bucket - 0.5);
    }
    return boundOf(BUCKETS - 2);
  }
}

function byOutcome<T>(of: (outcome: Outcome) => T): Record<Outcome, T> {
  return Object.fromEntries(OUTCOMES.map(outcome => [outcome, of(outcome)])) as Record<Outcome, T>;
}

function bucketOf(milliseconds: number): number {
  // A value equal to a bound belongs under it (Prometheus: le), hence ceil; a clock that stood still gives 0.
  if (!(milliseconds > FIRST_BOUND)) return 0;
  return Math.min(BUCKETS - 1, Math.ceil(Math.log2(milliseconds / FIRST_BOUND) * PER_DOUBLING));
}

function boundOf(bucket: number): number {
  return FIRST_BOUND * 2 ** (bucket / PER_DOUBLING);
}
