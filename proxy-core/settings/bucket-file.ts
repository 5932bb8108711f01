import { type TSchema, type TUnsafe, Type } from '@sinclair/typebox';
import { duration, flag, type Leaf, leafOf, size } from './leaf.ts';
import { shown } from './problem.ts';
import { suggest } from './suggest.ts';

/** What a bucket, or a prefix in it, may set apart from the rest. Without a default: what is missing falls through. */
export interface BucketFields {
  readonly get_ttl?: number;
  readonly head_ttl?: number;
  readonly put_ttl?: number;
  readonly read_cache_enabled?: boolean;
  readonly write_cache_enabled?: boolean;
  readonly write_cache_max_object_size?: number;
  readonly compression_enabled?: boolean;
  readonly ram_cache_eligible?: boolean;
  readonly evaluate_conditions_from_cache?: boolean;
}

export interface BucketFile {
  readonly fields: BucketFields;
  /** By prefix, in the bytes of keys (latin1) and without a leading slash. */
  readonly prefixes: ReadonlyMap<string, BucketFields>;
}

const FIELDS = {
  get_ttl: open(duration('0s', '0s', '3650d', 'How long an object is served to GET without asking S3.')),
  head_ttl: open(duration('0s', '0s', '3650d', 'The same for HEAD.')),
  put_ttl: open(duration('0s', '0s', '3650d', 'How long an upload may wait for its first reader.')),
  read_cache_enabled: open(flag(true, 'Serve and keep reads.')),
  write_cache_enabled: open(flag(true, 'Keep a copy of what is uploaded.')),
  write_cache_max_object_size: open(size('0', '0', 'Largest object of which a copy is kept while it is uploaded.')),
  compression_enabled: open(flag(true, 'Compress content where it shrinks.')),
  ram_cache_eligible: open(flag(true, 'Keep content in memory, too.')),
  evaluate_conditions_from_cache: open(flag(true, 'Answer preconditions from a fresh head.')),
};
const READERS: ReadonlyMap<string, Leaf> = new Map(
  Object.entries(FIELDS).map(([name, schema]) => [name, leafOf(schema)!] as const),
);

export const BucketSettingsSchema = Type.Object(
  {
    $schema: Type.Optional(Type.String()),
    ...Type.Partial(Type.Object(FIELDS)).properties,
    prefix_overrides: Type.Optional(
      Type.Array(
        Type.Object(
          {
            prefix: Type.String({ description: 'Beginning of the keys it is for; the longest one that matches wins.' }),
            ...Type.Partial(Type.Object(FIELDS)).properties,
          },
          { additionalProperties: false },
        ),
      ),
    ),
  },
  { title: 'Cistern bucket settings (_settings.json)', additionalProperties: false },
);

/** Reads a `_settings.json`. Throws an Error whose message names everything that is wrong with it. */
export function parseBucketFile(text: string): BucketFile {
  const json: unknown = JSON.parse(text);
  const problems: string[] = [];
  if (!isMap(json)) throw new Error('the file must hold a JSON object');
  const { $schema: _, prefix_overrides: overrides = [], ...rest } = json;
  const fields = readFields(rest, '', problems);
  const prefixes = new Map<string, BucketFields>();
  if (!Array.isArray(overrides)) problems.push(`prefix_overrides: ${shown(overrides)} is not allowed; allowed: a list`);
  for (const [index, override] of (Array.isArray(overrides) ? overrides : []).entries()) {
    const at = `prefix_overrides[${index}]`;
    if (!isMap(override) || typeof override.prefix !== 'string') {
      problems.push(`${at}: needs a prefix`);
      continue;
    }
    const { prefix, ...own } = override;
    const name = keyBytes(prefix as string);
    if (prefixes.has(name)) problems.push(`${at}.prefix: ${shown(prefix)} is there twice`);
    prefixes.set(name, readFields(own, `${at}.`, problems));
  }
  if (problems.length > 0) throw new Error(problems.join('; '));
  return { fields, prefixes };
}

/** A key or prefix without its one leading slash. */
export const withoutSlash = (key: string): string => (key.charCodeAt(0) === 0x2f ? key.slice(1) : key);

function keyBytes(prefix: string): string {
  return withoutSlash(Buffer.from(prefix, 'utf8').toString('latin1'));
}

function readFields(raw: Readonly<Record<string, unknown>>, at: string, problems: string[]): BucketFields {
  const fields: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(raw)) {
    const leaf = READERS.get(name);
    if (!leaf) {
      const nearest = suggest(name, [...READERS.keys(), 'prefix_overrides']);
      problems.push(
        `${at}${name}: unknown key; ${nearest ? `did you mean ${nearest}?` : `allowed: ${[...READERS.keys()].join(', ')}`}`,
      );
      continue;
    }
    const read = leaf.read(value, false);
    if (read === undefined) problems.push(`${at}${name}: ${shown(value)} is not allowed; allowed: ${leaf.allowed}`);
    else fields[name] = read;
  }
  return fields;
}

/** A field without its default: here a missing field means the next level's value. */
function open<T extends TUnsafe<number> | TUnsafe<boolean>>(schema: T): T {
  delete (schema as TSchema).default;
  return schema;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
