import { homedir } from 'node:os';
import { posix, win32 } from 'node:path';
import { KEYS } from './leaves.ts';
import type { Settings } from './schema.ts';

export interface Person {
  readonly home: string;
  readonly platform: NodeJS.Platform;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export type DeepPartial<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { readonly [K in keyof T]?: DeepPartial<T[K]> }
    : T;

/** The settings without any file, variable or flag. `changes` are parsed values (milliseconds, bytes), for tests and embedding. */
export function defaultSettings(changes: DeepPartial<Settings> = {}, person: Person = thisPerson()): Settings {
  const folders: Record<string, string> = folderDefaults(person);
  const settings: Record<string, unknown> = {};
  for (const { path, leaf } of KEYS.values()) {
    put(settings, path, leaf.default === undefined ? folders[path] : leaf.read(leaf.default, false));
    const changed = get(changes, path);
    if (changed !== undefined) put(settings, path, changed);
  }
  return freeze(settings) as Settings;
}

/** The per-user folders: XDG base directories, or what is usual on macOS and Windows. */
export function folderDefaults({ home, platform, env }: Person): Record<string, string> {
  const join = platform === 'win32' ? win32.join : posix.join;
  // The XDG base directory specification: a value that is not absolute is to be ignored.
  const xdg = (name: string, standard: string) => {
    const value = env[name];
    return value?.startsWith('/') ? value : join(home, standard);
  };
  const local = env.LOCALAPPDATA ?? join(home, 'AppData', 'Local');
  const [cacheDir, logs] =
    platform === 'darwin'
      ? [join(home, 'Library', 'Caches', 'Cistern'), join(home, 'Library', 'Logs', 'Cistern')]
      : platform === 'win32'
        ? [join(local, 'Cistern', 'Cache'), join(local, 'Cistern', 'Logs')]
        : [
            join(xdg('XDG_CACHE_HOME', '.cache'), 'cistern'),
            join(xdg('XDG_STATE_HOME', '.local/state'), 'cistern', 'logs'),
          ];
  return {
    'cache.cache_dir': cacheDir,
    'logging.access_log_dir': join(logs, 'access'),
    'logging.app_log_dir': join(logs, 'app'),
  };
}

export const thisPerson = (): Person => ({ home: homedir(), platform: process.platform, env: process.env });

export function get(tree: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name], tree);
}

export function put(tree: Record<string, unknown>, path: string, value: unknown): void {
  const names = path.split('.');
  const last = names.pop()!;
  let at = tree;
  for (const name of names) {
    at[name] ??= {};
    at = at[name] as Record<string, unknown>;
  }
  at[last] = value;
}

export function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    for (const inner of Object.values(value)) freeze(inner);
    Object.freeze(value);
  }
  return value;
}
