import { type Entry, Segment } from './segment.ts';
import { assertMaxWeight, assertWeight, type CacheOptions, type WeightedCache } from './types.ts';

/** Least recently used goes first; every newcomer that fits is kept. */
export class LruPolicy<V> implements WeightedCache<V> {
  readonly #entries = new Segment<Entry<V>>();
  readonly #onEvict: CacheOptions<V>['onEvict'];
  #maxWeight: number;

  constructor(options: CacheOptions<V>) {
    assertMaxWeight(options.maxWeight);
    this.#maxWeight = options.maxWeight;
    this.#onEvict = options.onEvict;
  }

  get size(): number {
    return this.#entries.size;
  }

  get weight(): number {
    return this.#entries.weight;
  }

  get maxWeight(): number {
    return this.#maxWeight;
  }

  set maxWeight(maxWeight: number) {
    assertMaxWeight(maxWeight);
    this.#maxWeight = maxWeight;
    this.#makeRoom(0);
  }

  get(key: string): V | undefined {
    return this.#entries.touch(key)?.value;
  }

  peek(key: string): V | undefined {
    return this.#entries.peek(key)?.value;
  }

  admits(_key: string, weight: number): boolean {
    return weight <= this.#maxWeight;
  }

  set(key: string, value: V, weight: number): boolean {
    assertWeight(weight);
    this.#entries.take(key);
    if (weight > this.#maxWeight) return false;
    this.#makeRoom(weight);
    this.#entries.push({ key, value, weight });
    return true;
  }

  delete(key: string): boolean {
    return this.#entries.take(key) !== undefined;
  }

  clear(): void {
    this.#entries.clear();
  }

  #makeRoom(weight: number): void {
    while (this.#entries.weight + weight > this.#maxWeight) {
      const victim = this.#entries.shift();
      if (victim === undefined) return;
      this.#onEvict?.(victim.key, victim.value);
    }
  }
}
