import { LruPolicy } from './lru.ts';
import { S3FifoPolicy } from './s3fifo.ts';
import { TinyLfuPolicy } from './tinylfu.ts';
import type { CacheOptions, WeightedCache } from './types.ts';

export type { AdmissionOptions, CacheOptions, WeightedCache } from './types.ts';

const POLICIES = { tinylfu: TinyLfuPolicy, lru: LruPolicy, s3fifo: S3FifoPolicy } as const;

/** Values of `cache.eviction_algorithm`. */
export type EvictionAlgorithm = keyof typeof POLICIES;

export const EVICTION_ALGORITHMS = Object.keys(POLICIES) as readonly EvictionAlgorithm[];

export function createWeightedCache<V>(algorithm: EvictionAlgorithm, options: CacheOptions<V>): WeightedCache<V> {
  return new POLICIES[algorithm]<V>(options);
}
