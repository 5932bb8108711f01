import { isIP } from 'node:net';
import { availableParallelism } from 'node:os';
import { type TSchema, type TUnsafe, Type } from '@sinclair/typebox';
import { DURATION_PATTERN, formatDuration, formatSize, parseDuration, parseSize, SIZE_PATTERN } from './units.ts';

/**
 * The kinds of setting. Each builder gives a TypeBox schema whose JSON Schema describes what a file may hold, whose
 * static type is the parsed value, and which carries how to read it under a symbol (so that it is not in the JSON).
 */
export interface Leaf {
  /** What may be written, as the end of the sentence "allowed: …". */
  readonly allowed: string;
  /** The same in a few words, for a table. */
  readonly brief?: string;
  /** As a file would spell the default; undefined where it depends on the person's folders. */
  readonly default: unknown;
  /** The parsed value, or undefined when `raw` is none. `text` is true for values that come as words (environment, flags). */
  read(raw: unknown, text: boolean): unknown;
  readonly kind: 'value' | 'path' | 'structure';
  /** True where a wrong value may hold a password and must not be repeated in a message. */
  readonly secret?: boolean;
}

const LEAF = Symbol('leaf');
const WORDS: Readonly<Record<string, boolean>> = { true: true, false: false };

export const leafOf = (schema: TSchema): Leaf | undefined => (schema as { [LEAF]?: Leaf })[LEAF];

/** A setting made of several fields that its own reader takes apart. */
export function structure<T>(schema: object, leaf: Omit<Leaf, 'kind'>, description: string): TUnsafe<T> {
  return make<T>(schema, { ...leaf, kind: 'structure' }, description);
}

export function make<T>(schema: object, leaf: Leaf, description: string): TUnsafe<T> {
  const shown = leaf.default === undefined ? {} : { default: leaf.default };
  return Object.assign(Type.Unsafe<T>({ ...schema, description, ...shown }), { [LEAF]: leaf });
}

export function duration(standard: string, min: string, max: string, description: string): TUnsafe<number> {
  const [low, high] = [parseDuration(min)!, parseDuration(max)!];
  return make<number>(
    {
      anyOf: [
        { type: 'string', pattern: DURATION_PATTERN },
        { type: 'number', minimum: 0 },
      ],
    },
    {
      kind: 'value',
      default: standard,
      allowed: `a duration such as 500ms, 30s, 5m, 1h or 7d (a bare number counts seconds), from ${formatDuration(low)} to ${formatDuration(high)}`,
      brief: `${formatDuration(low)} to ${formatDuration(high)}`,
      read: raw => between(parseDuration(raw), low, high),
    },
    description,
  );
}

/** `zero`: what 0 stands for, where it has a meaning of its own. */
export function size(standard: string, min: string, description: string, zero?: number): TUnsafe<number> {
  const low = parseSize(min)!;
  return make<number>(
    {
      anyOf: [
        { type: 'string', pattern: SIZE_PATTERN },
        { type: 'integer', minimum: 0 },
      ],
    },
    {
      kind: 'value',
      default: standard,
      allowed: `bytes, or a number with KB, MB, GB, TB, KiB, MiB, GiB or TiB, at least ${formatSize(low)}${zero === undefined ? '' : ', or 0'}`,
      brief: `${formatSize(low)} or more${zero === undefined || low === 0 ? '' : ', or 0'}`,
      read: raw => {
        const bytes = parseSize(raw);
        return bytes === 0 && zero !== undefined ? zero : between(bytes, low, Number.MAX_SAFE_INTEGER);
      },
    },
    description,
  );
}

export function integer(standard: number, minimum: number, maximum: number, description: string): TUnsafe<number> {
  return make<number>(
    { type: 'integer', minimum, maximum },
    {
      kind: 'value',
      default: standard,
      allowed: `a whole number from ${minimum} to ${maximum}`,
      brief: `${minimum} to ${maximum}`,
      read: (raw, text) => {
        const number = text && typeof raw === 'string' && /^\s*\d+\s*$/.test(raw) ? Number(raw) : raw;
        return typeof number === 'number' && Number.isInteger(number) ? between(number, minimum, maximum) : undefined;
      },
    },
    description,
  );
}

/** How many of something there are, of which one for each core is a good number; at most `maximum`. */
export function countOrCores(standard: number, maximum: number, description: string): TUnsafe<number> {
  const number = integer(standard, 1, maximum, description);
  const leaf = leafOf(number)!;
  return make<number>(
    { anyOf: [{ type: 'integer', minimum: 1, maximum }, { const: 'auto' }] },
    {
      ...leaf,
      allowed: `${leaf.allowed}, or auto for one for each core`,
      brief: `${leaf.brief}, or auto`,
      read: (raw, text) =>
        typeof raw === 'string' && raw.trim() === 'auto'
          ? Math.min(maximum, availableParallelism())
          : leaf.read(raw, text),
    },
    description,
  );
}

/** A share in percent, fractions included. */
export function percent(standard: number, description: string): TUnsafe<number> {
  return make<number>(
    { type: 'number', minimum: 0, maximum: 100 },
    {
      kind: 'value',
      default: standard,
      allowed: 'a number from 0 to 100',
      brief: '0 to 100',
      read: (raw, text) => {
        const number = text && typeof raw === 'string' && /^\s*\d+(\.\d+)?\s*$/.test(raw) ? Number(raw) : raw;
        return typeof number === 'number' ? between(number, 0, 100) : undefined;
      },
    },
    description,
  );
}

export function flag(standard: boolean, description: string): TUnsafe<boolean> {
  return make<boolean>(
    { type: 'boolean' },
    {
      kind: 'value',
      default: standard,
      allowed: 'true or false',
      read: (raw, text) => {
        const value = text && typeof raw === 'string' ? WORDS[raw.trim().toLowerCase()] : raw;
        return typeof value === 'boolean' ? value : undefined;
      },
    },
    description,
  );
}

export function choice<const T extends string>(standard: T, words: readonly T[], description: string): TUnsafe<T> {
  return make<T>(
    { type: 'string', enum: words },
    {
      kind: 'value',
      default: standard,
      allowed: list(words),
      read: raw => words.find(word => word === raw),
    },
    description,
  );
}

export function address(standard: string, description: string): TUnsafe<string> {
  return make<string>(
    { type: 'string' },
    {
      kind: 'value',
      default: standard,
      allowed: 'an IP address of this machine, 0.0.0.0 or :: for all of them, or localhost',
      read: raw =>
        typeof raw === 'string' && (isIP(raw.trim()) > 0 || raw.trim() === 'localhost') ? raw.trim() : undefined,
    },
    description,
  );
}

/** A folder. `~/` and relative paths are made absolute when it is read from a source (load.ts). */
export function path(description: string): TUnsafe<string> {
  return make<string>(
    { type: 'string', minLength: 1 },
    {
      kind: 'path',
      default: undefined,
      allowed: 'the path of a folder; ~/ is your home folder, a relative path starts at the folder the command runs in',
      read: raw => (typeof raw === 'string' && raw.trim() !== '' && !raw.includes('\0') ? raw : undefined),
    },
    description,
  );
}

export function endpoint(standard: string, description: string): TUnsafe<string> {
  return make<string>(
    { type: 'string', pattern: '^/' },
    {
      kind: 'value',
      default: standard,
      allowed: 'a path that begins with /, without a query',
      read: raw => (typeof raw === 'string' && /^\/[!-"$->@-~]*$/.test(raw) ? raw : undefined),
    },
    description,
  );
}

export function list(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

function between(value: number | undefined, low: number, high: number): number | undefined {
  return value !== undefined && value >= low && value <= high ? value : undefined;
}
