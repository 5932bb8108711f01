import { readFile } from 'node:fs/promises';
import { posix, resolve, win32 } from 'node:path';
import { defaultSettings, type Person, put, thisPerson } from './defaults.ts';
import { check, type Entry, type Source } from './entry.ts';
import { readEnvironment } from './environment.ts';
import { readText } from './file.ts';
import { KEYS } from './leaves.ts';
import { type Problem, SettingsError } from './problem.ts';
import type { Settings } from './schema.ts';

/** A setting given on the command line; `name` is the flag as a message shows it. */
export interface Flag {
  readonly name: string;
  readonly path: string;
  readonly raw: unknown;
}

export interface LoadOptions extends Partial<Person> {
  readonly flags?: readonly Flag[];
  /** YAML or JSON; relative to `cwd`. */
  readonly file?: string | undefined;
  readonly cwd?: string;
}

export interface LoadedSettings {
  readonly settings: Settings;
  /** Keys that are accepted and have no effect, each with the reason. */
  readonly warnings: readonly Problem[];
  /** Where each setting that is not at its default comes from, by dotted path. */
  readonly sources: ReadonlyMap<string, { readonly source: Source; readonly where: string }>;
}

/** Flags over environment over file over defaults. Throws a {@link SettingsError} that names everything that is wrong. */
export async function loadSettings(options: LoadOptions = {}): Promise<LoadedSettings> {
  const person = { ...thisPerson(), ...options };
  const cwd = options.cwd ?? process.cwd();
  const flags = (options.flags ?? []).map(({ name, path, raw }): Entry => ({ path, raw, source: 'flag', where: name }));
  const sourcesInOrder = [
    options.file === undefined ? NOTHING : await readSettingsFile(options.file, cwd),
    readEnvironment(person.env),
    { entries: flags, problems: [] },
  ];

  const problems: Problem[] = [];
  const warnings: Problem[] = [];
  const sources = new Map<string, { source: Source; where: string }>();
  const changes: Record<string, unknown> = {};
  for (const said of sourcesInOrder) {
    problems.push(...said.problems);
    for (const entry of said.entries) {
      const checked = check(entry);
      if (checked.kind === 'problem') problems.push(checked.problem);
      else if (checked.kind === 'warning') warnings.push(checked.problem);
      else if (checked.kind === 'value') {
        const isPath = KEYS.get(entry.path)!.leaf.kind === 'path';
        put(changes, entry.path, isPath ? absolute(String(checked.value), cwd, person) : checked.value);
        sources.set(entry.path, { source: entry.source, where: entry.where });
      }
    }
  }
  const settings = defaultSettings(changes, person);
  problems.push(...conflicts(settings, path => sources.get(path)?.where));
  if (problems.length > 0) throw new SettingsError(problems);
  return { settings, warnings, sources };
}

const NOTHING: { entries: Entry[]; problems: Problem[] } = { entries: [], problems: [] };

async function readSettingsFile(file: string, cwd: string) {
  try {
    return readText(await readFile(resolve(cwd, file), 'utf8'), file);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'no such file' : code === 'EISDIR' ? 'is a folder' : message;
    return { entries: [], problems: [{ where: file, path: '', message: `the settings can't be read: ${why}` }] };
  }
}

function absolute(path: string, cwd: string, { home, platform }: Person): string {
  const paths = platform === 'win32' ? win32 : posix;
  if (path === '~') return home;
  return /^~[/\\]/.test(path) ? paths.join(home, path.slice(2)) : paths.resolve(cwd, path);
}

/** What each setting by itself can't show: two listeners on one port, and a cooldown that begins above its end. */
function conflicts(settings: Settings, where: (path: string) => string | undefined): Problem[] {
  const { server, connection_pool: pool } = settings;
  const problems: Problem[] = [];
  const listeners = [
    { path: 'server.proxy_port', port: server.proxy_port, address: server.bind_address, enabled: true },
    ...(['health', 'metrics', 'dashboard'] as const).map(name => ({
      path: `${name}.port`,
      port: settings[name].port,
      address: settings[name].bind_address,
      enabled: settings[name].enabled,
    })),
  ].filter(({ port, enabled }) => enabled && port !== 0);
  for (const [index, one] of listeners.entries()) {
    for (const other of listeners.slice(index + 1)) {
      if (one.port !== other.port || !overlap(one.address, other.address)) continue;
      const said = where(other.path) ?? where(one.path) ?? 'default';
      problems.push({ where: said, path: other.path, message: `${other.port} is the port of ${one.path}, too` });
    }
  }
  if (pool.health_probe_initial_cooldown > pool.health_probe_max_cooldown) {
    const path = 'connection_pool.health_probe_initial_cooldown';
    const said = where(path) ?? where('connection_pool.health_probe_max_cooldown') ?? 'default';
    problems.push({ where: said, path, message: 'is longer than connection_pool.health_probe_max_cooldown' });
  }
  return problems;
}

function overlap(a: string, b: string): boolean {
  const plain = (address: string) => (address === 'localhost' ? '127.0.0.1' : address);
  return plain(a) === plain(b) || [a, b].some(address => address === '0.0.0.0' || address === '::');
}
