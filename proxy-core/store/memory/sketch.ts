/** Counters per expected entry and row: sixteen bytes an entry in all, next to nothing beside a block. */
const COUNTERS_PER_ENTRY = 8;
const ROWS = 4;
const COUNTERS_PER_WORD = 8;
/** Uses per expected entry after which all counts are halved, so that old fame fades (TinyLFU, section 3.3). */
const SAMPLE_PER_ENTRY = 10;
const MOST = 15;

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

/** The rows' indexes are hash, hash + step, hash + 2 step, …: odd, and independent enough of the hash's low bits. */
function stepOf(hash: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (mixed ^ (mixed >>> 12)) | 1;
}
