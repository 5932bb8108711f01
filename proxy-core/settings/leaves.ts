import type { TObject } from '@sinclair/typebox';
import { type Leaf, leafOf } from './leaf.ts';
import { SettingsSchema } from './schema.ts';

export interface SettingKey {
  /** Dotted path, e.g. `cache.get_ttl`. */
  readonly path: string;
  /** e.g. `CISTERN_CACHE_GET_TTL`. */
  readonly variable: string;
  readonly description: string;
  readonly leaf: Leaf;
}

/** Every setting by its dotted path, in the order of the schema. */
export const KEYS: ReadonlyMap<string, SettingKey> = new Map(
  collect(SettingsSchema, '').map(key => [key.path, key] as const),
);

/** Dotted paths of everything that holds settings: `cache`, `cache.metadata_cache`, … */
export const GROUPS: ReadonlySet<string> = new Set(
  [...KEYS.keys()].flatMap(path =>
    path
      .split('.')
      .slice(0, -1)
      .map((_, index, names) => names.slice(0, index + 1).join('.')),
  ),
);

export function variableOf(path: string): string {
  return `CISTERN_${path.replaceAll('.', '_').toUpperCase()}`;
}

function collect(object: TObject, prefix: string): SettingKey[] {
  return Object.entries(object.properties).flatMap(([name, schema]) => {
    const path = prefix + name;
    const leaf = leafOf(schema);
    if (!leaf) return collect(schema as TObject, `${path}.`);
    return [{ path, variable: variableOf(path), description: schema.description ?? '', leaf }];
  });
}
