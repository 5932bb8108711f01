import { FrequencySketch } from '../memory/sketch.ts';

/** Most entries that the memory of uses is sized for: with them it takes 29 MiB. */
const MOST_ENTRIES = 1 << 20;
const LEAST_ENTRIES = 256;
const MOST_PLACES = 1 << 20;
const PLACES_PER_ENTRY = 2;
/** Places that a key may have. */
const WAYS = 4;
/** Uses of the same within so many seconds are one: the requests of one download, a storm of HEADs. */
const SAME_USE = 10;
/** How often the use of a file is written down on the volume, seconds. */
const NOTE_EVERY = 3600;
/** Most uses that a place remembers since a file came to it (S3-FIFO's two bits). */
const MOST_CREDIT = 3;
const CREDIT = 3;
const FAVOURED = 4;

export interface UsesOptions {
  /** Now on the volume's clock, s. */
  readonly seconds: () => number;
  /** Entries to begin with. */
  readonly entries: number;
  /** Whether uses are written down on the volume; else a file keeps its place in the queue when it is used. */
  readonly noted?: boolean;
}

/**
 * How often and when the files of the cache were used, whichever tier the bytes came from: a sketch of frequencies, which
 * knows what is not there (any more), too, and a table of last uses. Both have a fixed size, whatever the cache holds; where the
 * table has no place for a file, the last use is what the file itself tells.
 */
export class Uses {
  readonly #seconds: () => number;
  readonly #noted: boolean;
  readonly #sketch: FrequencySketch;
  #keys!: Int32Array;
  /** Seconds on the volume's clock; 0 is an empty place. */
  #usedAt!: Uint32Array;
  /** When that was written down on the volume, or the file took its place in the queue. */
  #queuedAt!: Uint32Array;
  /** Uses since it came, less those that were spent; and whether it came as one that was known. */
  #marks!: Uint8Array;
  /** Keys that the sketch did not know, since it has grown. */
  #unknown = 0;
  #most = MOST_ENTRIES;
  #counted = 0;

  constructor({ seconds, entries, noted = true }: UsesOptions) {
    this.#seconds = seconds;
    this.#noted = noted;
    this.#sketch = new FrequencySketch(Math.min(entries, MOST_ENTRIES));
    this.#makeTable();
  }

  get sketch(): FrequencySketch {
    return this.#sketch;
  }

  /** Uses counted in all. */
  get counted(): number {
    return this.#counted;
  }

  /** Now on the volume's clock, s. */
  get now(): number {
    return this.#seconds();
  }

  /** Counts a use. True when it is time to write it down on the volume. */
  count(key: number): boolean {
    const now = this.#seconds();
    const known = this.#find(key);
    if (known >= 0 && now - this.#usedAt[known]! < SAME_USE) return false;
    this.#counted++;
    if (this.#sketch.estimate(key) === 0 && ++this.#unknown > this.#sketch.entries) this.ensure(this.#unknown);
    this.#sketch.increment(key);
    const at = this.#placeOf(key);
    if (known >= 0 && (this.#marks[at]! & CREDIT) < MOST_CREDIT) this.#marks[at]!++;
    this.#usedAt[at] = now;
    return this.#noted && now - this.#queuedAt[at]! >= NOTE_EVERY;
  }

  /** It is being written down. */
  noted(key: number): void {
    this.#queuedAt[this.#placeOf(key)] = this.#seconds();
  }

  /** A file has come to its place: that is no use. @param favoured the sketch knew it, though it was not there */
  arrived(key: number, favoured: boolean): void {
    const at = this.#placeOf(key);
    this.#usedAt[at] = this.#queuedAt[at] = this.#seconds();
    this.#marks[at] = favoured ? FAVOURED : 0;
  }

  /** How often it was used lately, 0 to 15. */
  frequency(key: number): number {
    return this.#sketch.estimate(key);
  }

  /** When it was used last, s on the volume's clock, as far as this process knows. */
  usedAt(key: number): number {
    const at = this.#find(key);
    return at >= 0 ? this.#usedAt[at]! : 0;
  }

  /** When it took its place in the queue, s on the volume's clock, as far as this process knows. */
  queuedAt(key: number): number {
    const at = this.#find(key);
    return at >= 0 ? this.#queuedAt[at]! : 0;
  }

  /** Uses since it came or, where that is not known, as many as the sketch has counted since. */
  credit(key: number): number {
    const at = this.#find(key);
    if (at >= 0) return this.#marks[at]! & CREDIT;
    return Math.min(MOST_CREDIT, Math.max(0, this.#sketch.estimate(key) - 1));
  }

  isFavoured(key: number): boolean {
    const at = this.#find(key);
    return at >= 0 && (this.#marks[at]! & FAVOURED) !== 0;
  }

  /** One of its uses has kept it from being evicted, and it has gone to the end of the queue. */
  spend(key: number): void {
    const credit = this.credit(key);
    const at = this.#placeOf(key);
    this.#queuedAt[at] = this.#seconds();
    this.#marks[at] = FAVOURED | Math.max(0, credit - 1);
  }

  /** The cache holds so many files: what is remembered of uses is sized for them, and ages by them. */
  ensure(files: number): void {
    const entries = Math.min(files, this.#most);
    if (entries <= this.#sketch.entries) return;
    this.#sketch.ensure(entries);
    this.#unknown = 0;
    const [keys, usedAt, queuedAt, marks] = [this.#keys, this.#usedAt, this.#queuedAt, this.#marks];
    this.#makeTable();
    for (let i = 0; i < keys.length; i++) {
      if (usedAt[i] === 0) continue;
      const at = this.#place(keys[i]!);
      this.#usedAt[at] = usedAt[i]!;
      this.#queuedAt[at] = queuedAt[i]!;
      this.#marks[at] = marks[i]!;
    }
  }

  /** The cache is full and holds so many files: more than is sized for them is not asked for by what passes through. */
  limit(files: number): void {
    this.#most = Math.min(MOST_ENTRIES, Math.max(files, LEAST_ENTRIES));
    this.ensure(files);
  }

  /** Where a key is; negative where it is not. */
  #find(key: number): number {
    const first = key & (this.#keys.length - WAYS);
    for (let at = first; at < first + WAYS; at++) if (this.#keys[at] === key && this.#usedAt[at] !== 0) return at;
    return -1;
  }

  /** A place for a key that has none: that of the one that was not used for longest, of those it may have. */
  #place(key: number): number {
    const first = key & (this.#keys.length - WAYS);
    let oldest = first;
    for (let at = first + 1; at < first + WAYS; at++) if (this.#usedAt[at]! < this.#usedAt[oldest]!) oldest = at;
    this.#keys[oldest] = key;
    this.#usedAt[oldest] = 1;
    this.#queuedAt[oldest] = 0;
    this.#marks[oldest] = 0;
    return oldest;
  }

  #placeOf(key: number): number {
    const known = this.#find(key);
    return known >= 0 ? known : this.#place(key);
  }

  #makeTable(): void {
    const places = Math.min(MOST_PLACES, this.#sketch.entries * PLACES_PER_ENTRY);
    this.#keys = new Int32Array(places);
    this.#usedAt = new Uint32Array(places);
    this.#queuedAt = new Uint32Array(places);
    this.#marks = new Uint8Array(places);
  }
}
