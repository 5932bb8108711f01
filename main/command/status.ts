import type { StatusSnapshot } from '../../proxy-core/admin/index.ts';
import { ask } from '../../proxy-core/admin/index.ts';
import { FAILED, type Io, OK } from './io.ts';
import { runningProxy } from './running-proxy.ts';
import { SETTINGS_WRONG, type SettingsOptions, settingsFrom } from './settings-options.ts';
import { statusLines } from './status-lines.ts';

export interface StatusOptions extends SettingsOptions {
  readonly json?: boolean;
}

const PATIENCE_MS = 10_000;

/** `cistern status`: what the running proxy says of itself. Exits with 1 when none answers. */
export async function status(options: StatusOptions, io: Io): Promise<number> {
  const loaded = await settingsFrom(options, io);
  if (!loaded) return SETTINGS_WRONG;
  const proxy = await runningProxy(loaded, io);
  if (!proxy) return FAILED;
  const snapshot = await ask<StatusSnapshot>(
    proxy.address,
    'GET',
    '/v1/status',
    AbortSignal.timeout(PATIENCE_MS),
  ).catch((error: Error) => {
    io.err(`cistern: the proxy on http://${proxy.proxy} (process ${proxy.pid}) does not answer: ${error.message}`);
    return undefined;
  });
  if (!snapshot) return FAILED;
  if (options.json) io.out(JSON.stringify(snapshot, null, 2));
  else for (const line of statusLines(snapshot)) io.out(line);
  return OK;
}
