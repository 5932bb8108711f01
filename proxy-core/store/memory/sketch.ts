/** Counters per expected entry and row: sixteen bytes an entry in all, next to nothing beside a block. */
const COUNTERS_PER_ENTRY = 8;
const ROWS = 4;
const COUNTERS_PER_WORD = 8;
/** Uses per expected entry after which all counts are halved, so that old fame fades (TinyLFU, section 3.3). */
const SAMPLE_PER_ENTRY = 10;
const MOST = 15;
const MERGED_AT_ONCE = 1 << 16;

/**
 * How often was a key used lately? A count-min sketch of four rows of 4-bit counters, eight to a word. Counts are never
 * too low but for the ceiling of 15 and the ageing. It grows by doubling, and keeps what it counted: a row is repeated,
 * so that a hash finds the same count under its longer index.
 */
export class FrequencySketch {
  #words: Uint32Array;
  /** Counters in a row less one; a row's length is a power of two. */
  #mask: number;
  #entries: number;
  #uses = 0;

  constructor(entries: number) {
    this.#entries = 2 ** Math.ceil(Math.log2(Math.max(entries, 16)));
    this.#mask = this.#entries * COUNTERS_PER_ENTRY - 1;
    this.#words = new Uint32Array((ROWS * (this.#mask + 1)) / COUNTERS_PER_WORD);
  }

  /** Entries the sketch is sized for. */
  get entries(): number {
    return this.#entries;
  }

  ensure(entries: number): void {
    while (entries > this.#entries) this.#double();
  }

  increment(hash: number): void {
    const least = this.estimate(hash);
    if (least === MOST) return;
    const step = stepOf(hash);
    const wordsPerRow = (this.#mask + 1) >>> 3;
    // Only the lowest of its four counters tell how often this key was used; raising the others would only blur other keys.
    for (let row = 0, at = hash, base = 0; row < ROWS; row++, at = (at + step) | 0, base += wordsPerRow) {
      const counter = at & this.#mask;
      const word = base + (counter >>> 3);
      const shift = (counter & 7) << 2;
      const value = this.#words[word]!;
      if (((value >>> shift) & MOST) === least) this.#words[word] = value + (1 << shift);
    }
    if (++this.#uses >= this.#entries * SAMPLE_PER_ENTRY) this.#age();
  }

  estimate(hash: number): number {
    const step = stepOf(hash);
    const wordsPerRow = (this.#mask + 1) >>> 3;
    let least = MOST;
    for (let row = 0, at = hash, base = 0; row < ROWS; row++, at = (at + step) | 0, base += wordsPerRow) {
      const counter = at & this.#mask;
      const count = (this.#words[base + (counter >>> 3)]! >>> ((counter & 7) << 2)) & MOST;
      if (count < least) least = count;
    }
    return least;
  }

  clear(): void {
    this.#words.fill(0);
    this.#uses = 0;
  }

  /** Uses since the counts were halved last, or since it was made. */
  get uses(): number {
    return this.#uses;
  }

  /** Its counters, for keeping: {@link FrequencySketch.from} makes the same sketch of them. A view; it changes with the next use. */
  get words(): Uint32Array {
    return this.#words;
  }

  /** @param words of a sketch for `entries`; see {@link wordsFor} */
  static from(entries: number, uses: number, words: Uint32Array): FrequencySketch {
    const sketch = new FrequencySketch(entries);
    if (sketch.entries !== entries || sketch.#words.length !== words.length)
      throw new RangeError(`${words.length} words are no sketch for ${entries} entries`);
    sketch.#words = words;
    sketch.#uses = Math.min(Math.max(0, uses), entries * SAMPLE_PER_ENTRY - 1);
    return sketch;
  }

  /** Words of a sketch for so many entries, a power of two. */
  static wordsFor(entries: number): number {
    return (ROWS * entries * COUNTERS_PER_ENTRY) / COUNTERS_PER_WORD;
  }

  /**
   * Takes the higher of both counts for each key, in steps that are short enough for an event loop; the other sketch, which
   * may become larger by it, is of no use afterwards.
   */
  *merge(other: FrequencySketch): Generator<void> {
    this.ensure(other.entries);
    other.ensure(this.#entries);
    this.#uses = Math.max(this.#uses, other.#uses);
    for (let at = 0; at < this.#words.length; ) {
      // It has grown in between: what was taken is in it, and taking it again changes nothing.
      if (this.#words.length !== other.#words.length) {
        other.ensure(this.#entries);
        at = 0;
      }
      const [words, more] = [this.#words, other.#words];
      for (const end = Math.min(at + MERGED_AT_ONCE, words.length); at < end; at++)
        if (more[at] !== 0) words[at] = highest(words[at]!, more[at]!);
      yield;
    }
  }

  #age(): void {
    const words = this.#words;
    for (let i = 0; i < words.length; i++) words[i] = (words[i]! >>> 1) & 0x77777777;
    this.#uses >>>= 1;
  }

  #double(): void {
    const rowWords = this.#words.length / ROWS;
    const words = new Uint32Array(this.#words.length * 2);
    for (let row = 0; row < ROWS; row++) {
      const counts = this.#words.subarray(row * rowWords, (row + 1) * rowWords);
      words.set(counts, 2 * row * rowWords);
      words.set(counts, (2 * row + 1) * rowWords);
    }
    this.#words = words;
    this.#entries *= 2;
    this.#mask = this.#mask * 2 + 1;
  }
}

/** 32 bits of a string: FNV-1a's walk over the UTF-16 units, then murmur3's finish, since the sketch reads low bits. */
export function hashKey(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

/** The higher of each pair of 4-bit counters. */
function highest(a: number, b: number): number {
  return (highestOfEven(a, b) | (highestOfEven(a >>> 4, b >>> 4) << 4)) >>> 0;
}

/** Of each pair in the lower half of a byte: with a bit lent to it, a difference tells which is higher. */
function highestOfEven(a: number, b: number): number {
  const [even, others] = [a & 0x0f0f0f0f, b & 0x0f0f0f0f];
  const isHigher = ((even | 0x10101010) - others) & 0x10101010;
  const mask = isHigher - (isHigher >>> 4);
  return (even & mask) | (others & ~mask);
}

/** The rows' indexes are hash, hash + step, hash + 2 step, …: odd, and independent enough of the hash's low bits. */
function stepOf(hash: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (mixed ^ (mixed >>> 12)) | 1;
}
