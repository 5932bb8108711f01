import { type Entry, Segment } from './segment.ts';
import { FrequencySketch, hashKey } from './sketch.ts';
import {
  type AdmissionOptions,
  assertMaxWeight,
  assertWeight,
  type CacheOptions,
  type WeightedCache,
} from './types.ts';

/** Shares of the limit, as in the W-TinyLFU paper (Einziger, Friedman, Manes 2017) and Caffeine's start. */
const WINDOW = 0.01;
const PROTECTED_OF_MAIN = 0.8;
const INITIAL_ENTRIES = 1024;

interface Hashed<V> extends Entry<V> {
  /** Kept so that a hit doesn't hash the key again. */
  readonly hash: number;
}

/**
 * W-TinyLFU: newcomers pass through a small LRU window; what falls out of it enters the main part only if the sketch
 * knows it better than all that would have to go for it together ("aggregated victims", Einziger et al. 2021, for
 * entries of different weight). The main part is a segmented LRU: on probation until the second use, then protected.
 */
export class TinyLfuPolicy<V> implements WeightedCache<V> {
  readonly #window = new Segment<Hashed<V>>();
  readonly #probation = new Segment<Hashed<V>>();
  readonly #protected = new Segment<Hashed<V>>();
  readonly #sketch = new FrequencySketch(INITIAL_ENTRIES);
  readonly #onEvict: CacheOptions<V>['onEvict'];
  #maxWeight = 0;
  #windowLimit = 0;
  #protectedLimit = 0;
  /** The key `admits` counted last. */
  #counted: string | undefined;

  constructor(options: CacheOptions<V>) {
    this.#onEvict = options.onEvict;
    this.maxWeight = options.maxWeight;
  }

  get size(): number {
    return this.#window.size + this.#probation.size + this.#protected.size;
  }

  get weight(): number {
    return this.#window.weight + this.#probation.weight + this.#protected.weight;
  }

  get maxWeight(): number {
    return this.#maxWeight;
  }

  set maxWeight(maxWeight: number) {
    assertMaxWeight(maxWeight);
    this.#maxWeight = maxWeight;
    this.#windowLimit = Math.max(1, Math.floor(maxWeight * WINDOW));
    this.#protectedLimit = Math.max(0, Math.floor((maxWeight - this.#windowLimit) * PROTECTED_OF_MAIN));
    this.#demote();
    this.#makeRoom(0);
    this.#drainWindow();
  }

  get(key: string): V | undefined {
    const entry = this.#protected.touch(key) ?? this.#promote(key) ?? this.#window.touch(key);
    if (entry === undefined) return undefined;
    this.#sketch.increment(entry.hash);
    return entry.value;
  }

  peek(key: string): V | undefined {
    return (this.#protected.peek(key) ?? this.#probation.peek(key) ?? this.#window.peek(key))?.value;
  }

  admits(key: string, weight: number, options?: AdmissionOptions): boolean {
    if (weight > this.#maxWeight) return false;
    const hash = hashKey(key);
    this.#sketch.increment(hash);
    this.#counted = key;
    if (this.peek(key) !== undefined) return true;
    if (weight <= this.#windowLimit && !options?.scan) return true;
    return this.#victims(hash, weight, options?.scan) !== undefined;
  }

  set(key: string, value: V, weight: number, options?: AdmissionOptions): boolean {
    assertWeight(weight);
    const segment = this.#segmentOf(key);
    const old = segment?.take(key);
    if (weight > this.#maxWeight) return false;
    const hash = old?.hash ?? hashKey(key);
    if (this.#counted !== key) this.#sketch.increment(hash);
    this.#counted = undefined;
    const entry: Hashed<V> = { key, value, weight, hash };
    if (segment !== undefined) return this.#replace(entry, segment);
    if (weight > this.#windowLimit || options?.scan) return this.#enterMain(entry, options?.scan);
    this.#window.push(entry);
    this.#drainWindow();
    this.#sketch.ensure(this.size);
    return true;
  }

  delete(key: string): boolean {
    return this.#segmentOf(key)?.take(key) !== undefined;
  }

  clear(): void {
    this.#window.clear();
    this.#probation.clear();
    this.#protected.clear();
    this.#sketch.clear();
  }

  #segmentOf(key: string): Segment<Hashed<V>> | undefined {
    if (this.#protected.peek(key) !== undefined) return this.#protected;
    if (this.#probation.peek(key) !== undefined) return this.#probation;
    return this.#window.peek(key) !== undefined ? this.#window : undefined;
  }

  #promote(key: string): Hashed<V> | undefined {
    const entry = this.#probation.take(key);
    if (entry === undefined) return undefined;
    this.#protected.push(entry);
    this.#demote();
    return entry;
  }

  #demote(): void {
    while (this.#protected.weight > this.#protectedLimit) this.#probation.push(this.#protected.shift()!);
  }

  #replace(entry: Hashed<V>, segment: Segment<Hashed<V>>): true {
    this.#makeRoom(entry.weight);
    (segment === this.#window && entry.weight > this.#windowLimit ? this.#probation : segment).push(entry);
    this.#demote();
    this.#drainWindow();
    return true;
  }

  /** What no longer fits the window competes for the main part, oldest first. */
  #drainWindow(): void {
    const candidates: Hashed<V>[] = [];
    while (this.#window.weight > this.#windowLimit) candidates.push(this.#window.shift()!);
    // The main part may have borrowed what the window did not use.
    this.#makeRoom(0);
    for (const candidate of candidates) {
      if (!this.#enterMain(candidate)) this.#onEvict?.(candidate.key, candidate.value);
    }
  }

  #enterMain(entry: Hashed<V>, scan = false): boolean {
    const victims = this.#victims(entry.hash, entry.weight, scan);
    if (victims === undefined) return false;
    for (let i = 0; i < victims; i++) this.#evict(this.#probation.shift() ?? this.#protected.shift()!);
    this.#probation.push(entry);
    this.#sketch.ensure(this.size);
    return true;
  }

  /** How many entries of the main part must go for a newcomer of this weight; undefined when they are worth more than it. */
  #victims(hash: number, weight: number, scan = false): number | undefined {
    let missing = this.weight + weight - this.#maxWeight;
    if (missing <= 0) return 0;
    // The read that brings a scan's block is no sign that it will be read again, even where ageing left the victims nothing.
    let advantage = this.#sketch.estimate(hash) - (scan ? 1 : 0);
    let count = 0;
    for (const segment of [this.#probation, this.#protected]) {
      for (const victim of segment.oldestFirst()) {
        advantage -= this.#sketch.estimate(victim.hash);
        if (advantage <= 0) return undefined;
        count++;
        missing -= victim.weight;
        if (missing <= 0) return count;
      }
    }
    return undefined;
  }

  #makeRoom(weight: number): void {
    while (this.weight + weight > this.#maxWeight) {
      const victim = this.#probation.shift() ?? this.#protected.shift() ?? this.#window.shift();
      if (victim === undefined) return;
      this.#evict(victim);
    }
  }

  #evict(victim: Hashed<V>): void {
    this.#onEvict?.(victim.key, victim.value);
  }
}
