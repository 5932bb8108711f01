import { type Command, InvalidArgumentError } from 'commander';
import {
  type Flag,
  type LoadedSettings,
  loadSettings,
  problemLine,
  SettingsError,
} from '../../proxy-core/settings/index.ts';
import { type Io, USAGE } from './io.ts';

export interface SettingsOptions {
  readonly config?: string;
  readonly port?: string;
  readonly cacheDir?: string;
  readonly set?: readonly Flag[];
}

/** The flags that say where settings come from, the same for every command that needs them. */
export function withSettingsOptions(command: Command): Command {
  return command
    .option('-c, --config <file>', 'settings file, YAML or JSON (default: $CISTERN_CONFIG)')
    .option('--port <number>', 'port of the proxy (server.proxy_port)')
    .option('--cache-dir <folder>', 'folder of the disk cache (cache.cache_dir)')
    .option('--set <key=value>', 'any setting, e.g. --set cache.get_ttl=5m; may be given many times', collectSetting);
}

/** The settings, or undefined after everything that is wrong with them was printed. */
export async function settingsFrom(options: SettingsOptions, io: Io): Promise<LoadedSettings | undefined> {
  try {
    return await readSettings(options, io);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    for (const problem of error.problems) io.err(`cistern: ${problemLine(problem)}`);
    io.err('cistern: see docs/settings.md for every setting.');
    return undefined;
  }
}

/** The file that settings come from, as it was named; undefined where there is none. */
export function settingsFile(options: SettingsOptions, { env }: Io): string | undefined {
  return options.config ?? (env.CISTERN_CONFIG || undefined);
}

/** Rejects with a {@link SettingsError} that names everything that is wrong. */
export function readSettings(options: SettingsOptions, io: Io): Promise<LoadedSettings> {
  const flags: Flag[] = [...(options.set ?? [])];
  if (options.port !== undefined) flags.push({ name: '--port', path: 'server.proxy_port', raw: options.port });
  if (options.cacheDir !== undefined)
    flags.push({ name: '--cache-dir', path: 'cache.cache_dir', raw: options.cacheDir });
  const { env, home, platform, cwd } = io;
  return loadSettings({ flags, file: settingsFile(options, io), env, home, platform, cwd });
}

export const SETTINGS_WRONG = USAGE;

function collectSetting(text: string, before: readonly Flag[] = []): readonly Flag[] {
  const equals = text.indexOf('=');
  if (equals < 1) throw new InvalidArgumentError('It must be key=value, such as cache.get_ttl=5m.');
  const path = text.slice(0, equals).trim();
  return [...before, { name: '--set', path, raw: text.slice(equals + 1) }];
}
