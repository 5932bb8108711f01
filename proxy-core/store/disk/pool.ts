import type { Candidate, Ranking } from './ranking.ts';

/** Files that are remembered from one look to the next, the lowest of all that were seen. */
const SIZE = 32;
/** One of so many files that were looked at goes. */
const LOOKED_AT_FOR_ONE = 8;
/** More need not be compared with a newcomer that would take the place of many. */
const MOST_VICTIMS = 16;

interface Ranked {
  readonly candidate: Candidate;
  rank: number;
}

/**
 * The candidates that are known: what random looks have found, the lowest of it kept for the next time. So a few looks do for
 * what many would be needed for to come near to the lowest of all files.
 */
export class Pool {
  readonly #ranking: Ranking;
  /** The lowest first, as they were when it was ranked last. */
  #candidates: Ranked[] = [];

  constructor(ranking: Ranking) {
    this.#ranking = ranking;
  }

  get size(): number {
    return this.#candidates.length;
  }

  /** Adds what a look has found, in place of what was known of the same. Returns how many may go for it. */
  offer(sample: readonly Candidate[]): number {
    this.#ranking.seen?.(sample);
    const found = new Map(sample.map(candidate => [candidate.path, candidate]));
    for (const { candidate } of this.#candidates) if (!found.has(candidate.path)) found.set(candidate.path, candidate);
    this.#candidates = [...found.values()]
      .map(candidate => ({ candidate, rank: this.#rank(candidate) }))
      .sort((a, b) => a.rank - b.rank)
      .slice(0, SIZE + sample.length);
    return Math.ceil(sample.length / LOOKED_AT_FOR_ONE);
  }

  /** Takes the one that goes first. */
  take(): Candidate | undefined {
    for (let next = this.#candidates.shift(); next; next = this.#candidates.shift())
      if (next.candidate.worthless || !this.#ranking.spares?.(next.candidate)) return next.candidate;
    return undefined;
  }

  /** What would go first for so many bytes, as far as it counts. */
  victimsFor(bytes: number): readonly Candidate[] {
    for (const ranked of this.#candidates) ranked.rank = this.#rank(ranked.candidate);
    const victims: Candidate[] = [];
    let above = Number.NEGATIVE_INFINITY;
    for (let found = 0; found < bytes && victims.length < MOST_VICTIMS; ) {
      let lowest: Ranked | undefined;
      for (const ranked of this.#candidates)
        if (ranked.rank > above && (lowest === undefined || ranked.rank < lowest.rank)) lowest = ranked;
      if (!lowest) break;
      above = lowest.rank;
      for (const { rank, candidate } of this.#candidates) if (rank === above) found += candidate.bytes;
      if (!lowest.candidate.worthless) victims.push(lowest.candidate);
    }
    return victims;
  }

  #rank(candidate: Candidate): number {
    return candidate.worthless ? -1 : this.#ranking.rank(candidate);
  }
}
