/** A cache in memory whose entries have a weight (bytes) and whose policy decides what stays when the weight is spent. */
export interface WeightedCache<V> {
  /** Counts as a use. */
  get(key: string): V | undefined;
  /** Does not count as a use. */
  peek(key: string): V | undefined;
  /**
   * Would a newcomer of this weight be kept? Cheap, so that a caller can spare itself a copy. A policy that remembers
   * what it refused (tinylfu) counts the question as a use of the key; a `set` of the key right after is not counted again.
   */
  admits(key: string, weight: number, options?: AdmissionOptions): boolean;
  /**
   * False when the newcomer was not kept. Replacing a key always succeeds if the new weight fits the cache at all; if
   * it doesn't, the old value goes, too, for it is no longer true. `weight` is a positive whole number.
   */
  set(key: string, value: V, weight: number, options?: AdmissionOptions): boolean;
  delete(key: string): boolean;
  clear(): void;
  readonly size: number;
  readonly weight: number;
  /** Acts at once: evicts down to the new limit. 0 keeps nothing. */
  maxWeight: number;
}

export interface AdmissionOptions {
  /**
   * The newcomer is part of a long sequential read. With tinylfu it skips the window and must be better known than what
   * the main segment would give up for it. s3fifo needs no telling (its small queue is the filter); lru takes everything.
   */
  readonly scan?: boolean;
}

export interface CacheOptions<V> {
  readonly maxWeight: number;
  /** Called for each value given up to make room; not for `delete`, `clear` or a value replaced by its successor. */
  onEvict?(key: string, value: V): void;
}

export function assertWeight(weight: number): void {
  if (!Number.isSafeInteger(weight) || weight < 1) {
    throw new RangeError(`A weight is a positive whole number, not ${weight}.`);
  }
}

export function assertMaxWeight(maxWeight: number): void {
  if (!Number.isSafeInteger(maxWeight) || maxWeight < 0) {
    throw new RangeError(`A cache's limit is a whole number of 0 or more, not ${maxWeight}.`);
  }
}
