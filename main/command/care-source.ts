import { askMany, ControlRefused } from '../../proxy-core/admin/index.ts';
import { FAILED, type Io } from './io.ts';
import { runningProxy } from './running-proxy.ts';
import type { S3Uri } from './s3-uri.ts';
import { SETTINGS_WRONG, type SettingsOptions, settingsFrom } from './settings-options.ts';

export interface CareCommandOptions extends SettingsOptions {
  readonly json?: boolean;
  readonly origin?: string;
}

/** The running proxy, and how to ask it for what takes many lines to answer. */
export interface AskedProxy {
  readonly address: string;
  readonly many: AskMany;
}

export type AskMany = <T extends { readonly type: string }>(
  method: 'GET' | 'POST',
  path: string,
  query?: Readonly<Record<string, string | undefined>>,
  signal?: AbortSignal,
) => AsyncIterable<T>;

/** Runs a command that needs the proxy, and tells a person when that fails. */
export async function withProxy(
  options: SettingsOptions,
  io: Io,
  act: (proxy: AskedProxy) => Promise<number>,
): Promise<number> {
  const loaded = await settingsFrom(options, io);
  if (!loaded) return SETTINGS_WRONG;
  const proxy = await runningProxy(loaded, io);
  if (!proxy) return FAILED;
  try {
    const { address } = proxy;
    return await act({
      address,
      many: (method, path, query = {}, signal) => askMany(address, method, `${path}?${queryOf(query)}`, signal),
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
  if (error.code === 'ECONNRESET' || error.code === 'ECONNREFUSED' || error.code === 'ENOENT')
    return 'the proxy stopped, or ended the connection. See `cistern status`.';
  return error.message;
}
