import { LRUCache } from 'lru-cache';

/** What a policy knows of one cached value. */
export interface Entry<V> {
  readonly key: string;
  value: V;
  readonly weight: number;
}

/**
 * An ordered run of entries that knows its weight: `lru-cache` without a limit of its own, because the policies share one
 * limit among several segments and change it while running (`maxSize` of lru-cache is fixed at construction).
 */
export class Segment<E extends Entry<unknown>> {
  readonly #entries = new LRUCache<string, E>({ maxSize: Number.MAX_SAFE_INTEGER });

  get size(): number {
    return this.#entries.size;
  }

  get weight(): number {
    return this.#entries.calculatedSize;
  }

  /** Moves the entry to the young end. */
  touch(key: string): E | undefined {
    return this.#entries.get(key);
  }

  peek(key: string): E | undefined {
    return this.#entries.peek(key);
  }

  /** Adds at the young end. */
  push(entry: E): void {
    this.#entries.set(entry.key, entry, { size: entry.weight });
  }

  /** Takes the entry at the old end. */
  shift(): E | undefined {
    return this.#entries.pop();
  }

  take(key: string): E | undefined {
    const entry = this.#entries.peek(key);
    if (entry !== undefined) this.#entries.delete(key);
    return entry;
  }

  /** From old to young. */
  oldestFirst(): IterableIterator<E> {
    return this.#entries.rvalues() as IterableIterator<E>;
  }

  clear(): void {
    this.#entries.clear();
  }
}
