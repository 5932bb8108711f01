import { type BucketFields, type BucketFile, withoutSlash } from './bucket-file.ts';
import type { Settings } from './schema.ts';

/** The settings that hold for one object, after prefix, bucket and global. */
export interface ObjectSettings {
  readonly get_ttl: number;
  readonly head_ttl: number;
  /** How long an upload may wait for its first reader before it is among the first to be evicted, ms. */
  readonly put_ttl: number;
  readonly read_cache_enabled: boolean;
  readonly write_cache_enabled: boolean;
  /** Largest object of which a copy is kept while it is uploaded, bytes. */
  readonly write_cache_max_object_size: number;
  readonly compression_enabled: boolean;
  /** Smallest object that is compressed, bytes; the same for all. */
  readonly compression_threshold: number;
  readonly ram_cache_eligible: boolean;
  readonly evaluate_conditions_from_cache: boolean;
  /** The bucket's own are not known (yet), so that nothing of it is cached. */
  readonly unknown: boolean;
}

export type Cascade = (key: string) => ObjectSettings;

export function globalObjectSettings({ cache, compression }: Settings): ObjectSettings {
  return Object.freeze({
    get_ttl: cache.get_ttl,
    head_ttl: cache.head_ttl,
    put_ttl: cache.put_ttl,
    read_cache_enabled: cache.read_cache_enabled,
    write_cache_enabled: cache.write_cache_enabled,
    write_cache_max_object_size: cache.write_cache_max_object_size,
    compression_enabled: compression.enabled,
    compression_threshold: compression.threshold,
    ram_cache_eligible: cache.ram_cache_enabled,
    evaluate_conditions_from_cache: cache.evaluate_conditions_from_cache,
    unknown: false,
  });
}

/**
 * The longest prefix that a key begins with, then the bucket, then global, field by field. Everything is merged here,
 * once; what remains for a key is one look-up for each distinct prefix length.
 */
export function cascade(file: BucketFile, global: ObjectSettings): Cascade {
  const bucket = merge(global, file.fields, global);
  if (file.prefixes.size === 0) return () => bucket;
  const prefixes = new Map(
    [...file.prefixes].map(([prefix, fields]) => [prefix, merge(bucket, fields, global)] as const),
  );
  const lengths = [...new Set([...prefixes.keys()].map(prefix => prefix.length))].sort((a, b) => b - a);
  return key => {
    const name = withoutSlash(key);
    for (const length of lengths) {
      const found = length <= name.length ? prefixes.get(name.slice(0, length)) : undefined;
      if (found) return found;
    }
    return bucket;
  };
}

function merge(under: ObjectSettings, over: BucketFields, global: ObjectSettings): ObjectSettings {
  const merged = { ...under, ...over };
  // Where the whole process has no memory tier there is none to be eligible for.
  return Object.freeze({ ...merged, ram_cache_eligible: merged.ram_cache_eligible && global.ram_cache_eligible });
}
