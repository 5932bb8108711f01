import type { EvictionAlgorithm } from '../memory/index.ts';
import type { Uses } from './uses.ts';

/** A file that may go. */
export interface Candidate {
  readonly path: string;
  /** Allocated. */
  readonly bytes: number;
  /** What its uses are counted by; see `use-keys.ts`. */
  readonly keys: readonly [number, number];
  /** When it came to its place, s on the volume's clock, as the file tells. */
  readonly madeAt: number;
  /** When it was used last, s on the volume's clock, as the file tells. */
  readonly usedAt: number;
  /** Of no use to anybody, such as an epoch that no head needs. */
  readonly worthless?: boolean;
  /** Names in its folder when it was seen, its own included. */
  readonly beside?: number;
}

/**
 * Which of the files that were sampled goes first, and whether what arrives is worth their going: `cache.eviction_algorithm`
 * for the disk, where there is no order of all files to take the last of. No I/O; what was used is asked of {@link Uses}.
 */
export interface Ranking {
  /** The lowest goes first. */
  rank(candidate: Candidate): number;
  /** Whether a newcomer, whose use has been counted, is worth that these go for it. */
  admits(key: number, victims: () => readonly Candidate[]): boolean;
  /** Told of what was found wherever one looked. */
  seen?(sample: readonly Candidate[]): void;
  /** Asked before the lowest goes: true where it stays for a further round. */
  spares?(candidate: Candidate): boolean;
}

export function createRanking(algorithm: EvictionAlgorithm, uses: Uses): Ranking {
  return new RANKINGS[algorithm](uses);
}

/** More than any time in seconds. */
const CLASS = 2 ** 33;

/** Least recently used first; every newcomer is kept. */
class Lru implements Ranking {
  readonly #uses: Uses;

  constructor(uses: Uses) {
    this.#uses = uses;
  }

  rank(candidate: Candidate): number {
    return usedAt(this.#uses, candidate);
  }

  admits(): boolean {
    return true;
  }
}

/** Least frequently used first, of those the least recently used; a newcomer must be better known than what goes for it. */
class TinyLfu implements Ranking {
  readonly #uses: Uses;

  constructor(uses: Uses) {
    this.#uses = uses;
  }

  rank(candidate: Candidate): number {
    return frequency(this.#uses, candidate) * CLASS + usedAt(this.#uses, candidate);
  }

  admits(key: number, victims: () => readonly Candidate[]): boolean {
    const known = this.#uses.frequency(key);
    return victims().every(victim => known > frequency(this.#uses, victim));
  }
}

/** Share of the bytes that the small queue has. */
const SMALL = 0.1;
/** Uses in the small queue that earn a place in the main one. */
const USES_TO_MOVE = 2;
/** How little each file that is seen forgets of those before, by which one tells how much is in which queue. */
const REMEMBERED = 1 - 1 / 512;

/**
 * S3-FIFO without its queues: what was used twice since it came is in the main queue, all else in the small one, where its age is
 * its place. As long as the small queue has more than a tenth of the bytes, its oldest goes; else the oldest of the main queue,
 * unless it was used since its last round. The sketch is the ghost queue: what it knows comes to the main queue at once.
 */
class S3Fifo implements Ranking {
  readonly #uses: Uses;
  /** Bytes of the files that were seen lately, and of those in the small queue. */
  #seenBytes = 0;
  #smallBytes = 0;

  constructor(uses: Uses) {
    this.#uses = uses;
  }

  seen(sample: readonly Candidate[]): void {
    for (const candidate of sample) {
      this.#seenBytes = this.#seenBytes * REMEMBERED + candidate.bytes;
      this.#smallBytes = this.#smallBytes * REMEMBERED + (this.#isMain(candidate) ? 0 : candidate.bytes);
    }
  }

  rank(candidate: Candidate): number {
    const isSmallFull = this.#smallBytes > SMALL * this.#seenBytes;
    const queue = this.#isMain(candidate) ? 1 : isSmallFull ? 0 : 2;
    return queue * CLASS + (this.#uses.queuedAt(candidate.keys[0]) || candidate.madeAt);
  }

  spares(candidate: Candidate): boolean {
    const [key] = candidate.keys;
    if (!this.#isMain(candidate) || this.#uses.credit(key) === 0) return false;
    this.#uses.spend(key);
    return true;
  }

  admits(key: number): boolean {
    this.#uses.arrived(key, this.#uses.credit(key) > 0);
    return true;
  }

  #isMain({ keys: [key] }: Candidate): boolean {
    return this.#uses.isFavoured(key) || this.#uses.credit(key) >= USES_TO_MOVE;
  }
}

const RANKINGS = { tinylfu: TinyLfu, lru: Lru, s3fifo: S3Fifo } as const;

function usedAt(uses: Uses, { keys: [first, last], usedAt }: Candidate): number {
  return Math.max(uses.usedAt(first), uses.usedAt(last), usedAt);
}

/** An extent that lies in two stretches is as well known as the better known one. */
function frequency(uses: Uses, { keys: [first, last] }: Candidate): number {
  const known = uses.frequency(first);
  return first === last ? known : Math.max(known, uses.frequency(last));
}
