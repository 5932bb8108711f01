import type { Candidate, Ranking } from './ranking.ts';

/** Files that are remembered from one look to the next, the lowest of all that were seen. */
const SIZE = 128;
/** One of so many files that were looked at goes. */
const LOOKED_AT_FOR_ONE = 8;

/**
 * The candidates that are known: what random looks have found, the lowest of it kept for the next time. So a few looks do for
 * what many would be needed for to come near to the lowest of all files.
 */
export class Pool {
  readonly #ranking: Ranking;
  #candidates = new Map<string, Candidate>();

  constructor(ranking: Ranking) {
    this.#ranking = ranking;
  }

  get size(): number {
    return this.#candidates.size;
  }

  /** Adds what a look has found. Returns how many may go for it. */
  offer(sample: readonly Candidate[]): number {
    this.#ranking.seen?.(sample);
    for (const candidate of sample) this.#candidates.set(candidate.path, candidate);
    const ranked = this.#ranked();
    if (ranked.length > SIZE + sample.length) for (const { path } of ranked.slice(SIZE + sample.length)) this.#candidates.delete(path);
    return Math.ceil(sample.length / LOOKED_AT_FOR_ONE);
  }

  /** Takes the one that goes first. */
  take(): Candidate | undefined {
    for (const candidate of this.#ranked()) {
      if (!candidate.worthless && this.#ranking.spares?.(candidate)) continue;
      this.#candidates.delete(candidate.path);
      return candidate;
    }
    return undefined;
  }

  /** What would go first for so many bytes; all there is where that is less. */
  victimsFor(bytes: number): readonly Candidate[] {
    const victims: Candidate[] = [];
    let found = 0;
    for (const candidate of this.#ranked()) {
      if (found >= bytes) break;
      found += candidate.bytes;
      if (!candidate.worthless) victims.push(candidate);
    }
    return victims;
  }

  #ranked(): Candidate[] {
    return [...this.#candidates.values()]
      .map(candidate => ({ candidate, rank: candidate.worthless ? -1 : this.#ranking.rank(candidate) }))
      .sort((a, b) => a.rank - b.rank)
      .map(({ candidate }) => candidate);
  }
}
