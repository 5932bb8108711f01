import { type Entry, Segment } from './segment.ts';
import { assertMaxWeight, assertWeight, type CacheOptions, type WeightedCache } from './types.ts';

/** Shares of the limit: the small queue, and the keys remembered after they left it (S3-FIFO, SOSP '23, section 4). */
const SMALL = 0.1;
const GHOST = 0.9;
/** Uses in the small queue that earn a place in the main one. */
const USES_TO_MOVE = 2;
/** Uses beyond this give no further rounds in the main queue (a two-bit counter). */
const MOST_USES = 3;

interface Counted<V> extends Entry<V> {
  uses: number;
}

/**
 * S3-FIFO as libCacheSim's `S3FIFOv0` has it, which is the paper's own algorithm: newcomers wait in a small queue; used
 * ones move to the main queue, the others leave only their key in the ghost queue; a newcomer found there goes straight
 * to the main queue, where the oldest leaves unless it was used since its last round. A hit moves nothing.
 */
export class S3FifoPolicy<V> implements WeightedCache<V> {
  readonly #small = new Segment<Counted<V>>();
  readonly #main = new Segment<Counted<V>>();
  readonly #ghost = new Segment<Entry<undefined>>();
  readonly #onEvict: CacheOptions<V>['onEvict'];
  #maxWeight: number;

  constructor(options: CacheOptions<V>) {
    assertMaxWeight(options.maxWeight);
    this.#maxWeight = options.maxWeight;
    this.#onEvict = options.onEvict;
  }

  get size(): number {
    return this.#small.size + this.#main.size;
  }

  get weight(): number {
    return this.#small.weight + this.#main.weight;
  }

  get maxWeight(): number {
    return this.#maxWeight;
  }

  set maxWeight(maxWeight: number) {
    assertMaxWeight(maxWeight);
    this.#maxWeight = maxWeight;
    this.#makeRoom(0);
    this.#trimGhost(0);
  }

  get(key: string): V | undefined {
    const entry = this.#small.peek(key) ?? this.#main.peek(key);
    if (entry === undefined) return undefined;
    entry.uses++;
    return entry.value;
  }

  peek(key: string): V | undefined {
    return (this.#small.peek(key) ?? this.#main.peek(key))?.value;
  }

  admits(_key: string, weight: number): boolean {
    return weight <= this.#maxWeight;
  }

  set(key: string, value: V, weight: number): boolean {
    assertWeight(weight);
    const known = this.#ghost.take(key) !== undefined;
    const inSmall = this.#small.take(key);
    const old = inSmall ?? this.#main.take(key);
    if (weight > this.#maxWeight) return false;
    this.#makeRoom(weight);
    const uses = old ? old.uses + 1 : 0;
    // What is as large as the small queue would empty it, so it goes where it can wait beside others.
    const toMain = known || (old !== undefined && inSmall === undefined) || weight >= this.#smallLimit;
    (toMain ? this.#main : this.#small).push({ key, value, weight, uses });
    return true;
  }

  delete(key: string): boolean {
    this.#ghost.take(key);
    return (this.#small.take(key) ?? this.#main.take(key)) !== undefined;
  }

  clear(): void {
    this.#small.clear();
    this.#main.clear();
    this.#ghost.clear();
  }

  get #smallLimit(): number {
    return Math.floor(this.#maxWeight * SMALL);
  }

  #makeRoom(weight: number): void {
    while (this.weight + weight > this.#maxWeight) {
      const mainLimit = this.#maxWeight - this.#smallLimit;
      if (this.#main.weight > mainLimit || this.#small.size === 0) this.#evictFromMain();
      else this.#evictFromSmall();
    }
  }

  #evictFromSmall(): void {
    for (let entry = this.#small.shift(); entry !== undefined; entry = this.#small.shift()) {
      if (entry.uses < USES_TO_MOVE) {
        this.#remember(entry);
        this.#onEvict?.(entry.key, entry.value);
        return;
      }
      entry.uses = 0;
      this.#main.push(entry);
    }
  }

  #evictFromMain(): void {
    for (let entry = this.#main.shift(); entry !== undefined; entry = this.#main.shift()) {
      if (entry.uses === 0) {
        this.#onEvict?.(entry.key, entry.value);
        return;
      }
      entry.uses = Math.min(entry.uses, MOST_USES) - 1;
      this.#main.push(entry);
    }
  }

  #remember({ key, weight }: Entry<V>): void {
    if (weight > this.#ghostLimit) return;
    this.#trimGhost(weight);
    this.#ghost.push({ key, value: undefined, weight });
  }

  #trimGhost(weight: number): void {
    while (this.#ghost.weight + weight > this.#ghostLimit && this.#ghost.size > 0) this.#ghost.shift();
  }

  get #ghostLimit(): number {
    return Math.floor(this.#maxWeight * GHOST);
  }
}
