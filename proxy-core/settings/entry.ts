import { list } from './leaf.ts';
import { GROUPS, KEYS } from './leaves.ts';
import { type Problem, shown } from './problem.ts';
import { REFERENCE_KEYS } from './reference-keys.ts';
import { suggest } from './suggest.ts';

export type Source = 'file' | 'environment' | 'flag';

/** One setting as a source said it. */
export interface Entry {
  readonly path: string;
  readonly raw: unknown;
  readonly source: Source;
  readonly where: string;
}

export type Checked =
  | { readonly kind: 'value'; readonly path: string; readonly value: unknown }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'warning' | 'problem'; readonly problem: Problem };

const REFERENCE_GROUPS: ReadonlySet<string> = new Set(
  [...REFERENCE_KEYS.keys()].flatMap(path =>
    path
      .split('.')
      .slice(0, -1)
      .map((_, index, names) => names.slice(0, index + 1).join('.')),
  ),
);

/** Does the path hold further keys (`cache`, `cache.metadata_cache`) rather than a value? */
export const isGroup = (path: string): boolean => GROUPS.has(path) || REFERENCE_GROUPS.has(path);

/** Holds one entry against the schema and the table of reference keys. */
export function check({ path, raw, source, where }: Entry): Checked {
  const problem = (message: string): Checked => ({ kind: 'problem', problem: { where, path, message } });
  const key = KEYS.get(path);
  // `key:` with nothing after it, and null, say that the setting is left as it is.
  if (raw === null || raw === undefined) {
    return key || REFERENCE_KEYS.has(path) || isGroup(path) ? { kind: 'nothing' } : problem(unknownKey(path));
  }
  if (key) {
    const value = key.leaf.read(raw, source !== 'file');
    if (value !== undefined) return { kind: 'value', path, value };
    const said = key.leaf.secret ? 'the value' : shown(raw);
    return problem(`${said} is not allowed; allowed: ${key.leaf.allowed}`);
  }
  const reference = REFERENCE_KEYS.get(path);
  if (reference) {
    const value = source === 'file' ? raw : plain(raw);
    if (reference.silent?.includes(value)) return { kind: 'nothing' };
    if (reference.words && !reference.words.includes(String(value))) {
      return problem(`${shown(raw)} is not allowed; allowed: ${list(reference.words)}`);
    }
    return { kind: 'warning', problem: { where, path, message: `has no effect: ${reference.why}` } };
  }
  if (isGroup(path)) return problem(`${shown(raw)} is not allowed; allowed: a group of settings`);
  return problem(unknownKey(path));
}

export function unknownKey(path: string): string {
  const nearest = suggest(path, [...KEYS.keys(), ...REFERENCE_KEYS.keys(), ...GROUPS, ...REFERENCE_GROUPS]);
  if (nearest) return `unknown key; did you mean ${nearest}?`;
  const group = path.slice(0, Math.max(0, path.lastIndexOf('.')));
  const names = [...KEYS.keys(), ...GROUPS].filter(
    other => other.startsWith(group && `${group}.`) && !other.slice(group.length + 1).includes('.'),
  );
  const inside =
    group === '' ? [...GROUPS].filter(name => !name.includes('.')) : names.map(name => name.slice(group.length + 1));
  return `unknown key; allowed${group && ` in ${group}`}: ${inside.join(', ')}`;
}

function plain(raw: unknown): unknown {
  if (raw === 'true' || raw === 'false') return raw === 'true';
  return typeof raw === 'string' && /^\d+$/.test(raw) ? Number(raw) : raw;
}
