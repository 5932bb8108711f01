import { ask, askMany, ControlRefused } from '../../proxy-core/admin/index.ts';
import { CisternError, ERRORS } from '../../proxy-core/errors.ts';
import { FAILED, type Io } from './io.ts';
import { withFolder } from './offline.ts';
import { runningProxy } from './running-proxy.ts';
import type { S3Uri } from './s3-uri.ts';
import { SETTINGS_WRONG, type SettingsOptions, settingsFrom } from './settings-options.ts';

export interface CareCommandOptions extends SettingsOptions {
  readonly json?: boolean;
  readonly origin?: string;
  /** A cache folder to be worked on without a proxy. */
  readonly offline?: string;
}

/** Whoever cares for the cache: the running proxy, or this process. */
export interface CareSource {
  /** Asks for what takes many lines to answer. */
  readonly many: AskMany;
  /** Asks for a single object. */
  one<T extends object>(path: string, signal?: AbortSignal): Promise<T>;
}

export type AskMany = <T extends { readonly type: string }>(
  method: 'GET' | 'POST',
  path: string,
  query?: Readonly<Record<string, string | undefined>>,
  signal?: AbortSignal,
) => AsyncIterable<T>;

/** Runs a command on the cache, and tells a person when that fails. */
export async function withCare(
  options: CareCommandOptions,
  io: Io,
  act: (source: CareSource) => Promise<number>,
): Promise<number> {
  const loaded = await settingsFrom(options, io);
  if (!loaded) return SETTINGS_WRONG;
  const { offline } = options;
  try {
    if (offline !== undefined) return await withFolder(offline, loaded.settings, io, act);
    const proxy = await runningProxy(loaded, io);
    if (!proxy) return FAILED;
    return await act({
      many: (method, path, query = {}, signal) => askMany(proxy.address, method, `${path}?${queryOf(query)}`, signal),
      one: (path, signal) => ask(proxy.address, 'GET', path, signal),
    });
  } catch (error) {
    io.show();
    io.err(`cistern: ${inWords(error as NodeJS.ErrnoException)}`);
    return FAILED;
  }
}

/** The query that names a target to the proxy. */
export function targetQuery({ bucket, prefix }: S3Uri, { origin }: CareCommandOptions) {
  return { bucket, prefix, origin };
}

function queryOf(fields: Readonly<Record<string, string | undefined>>): URLSearchParams {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) query.set(name, value);
  return query;
}

function inWords(error: NodeJS.ErrnoException): string {
  if (error instanceof ControlRefused) return error.message;
  if (error instanceof CisternError) return `${error.message} ${ERRORS[error.code].action}`;
  if (error.code === 'ECONNRESET' || error.code === 'ECONNREFUSED' || error.code === 'ENOENT')
    return 'the proxy stopped, or ended the connection. See `cistern status`.';
  return error.message;
}
