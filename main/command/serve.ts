import { join, resolve } from 'node:path';
import { controlFolders } from '../../proxy-core/admin/index.ts';
import { type Core, startCore } from '../../proxy-core/core.ts';
import { problemLine, type Settings } from '../../proxy-core/settings/index.ts';
import { guessShell } from '../environment/index.ts';
import { SettingsWatch } from '../settings-watch.ts';
import { compileAtFirstCall } from './early-compilation.ts';
import { pasteLines } from './env.ts';
import { FAILED, type Io, OK } from './io.ts';
import { readSettings, SETTINGS_WRONG, type SettingsOptions, settingsFile, settingsFrom } from './settings-options.ts';
import { bytes } from './status-lines.ts';
import { VERSION } from './version.ts';
import { startWorkers } from './workers/primary.ts';

// Ctrl-C reaches this process from the terminal and again through npm: only a later signal is a second wish.
const ONE_WISH_MS = 500;

/** `cistern serve`: runs the proxy until a signal ends it. */
export async function serve(options: SettingsOptions, io: Io): Promise<number> {
  const loaded = await settingsFrom(options, io);
  if (!loaded) return SETTINGS_WRONG;
  const { settings, warnings } = loaded;
  for (const warning of warnings) io.err(`cistern: warning: ${problemLine(warning)}`);

  const asked = stopSignals(io);
  const start: typeof startCore =
    settings.server.workers > 1
      ? (...given) => startWorkers(join(import.meta.dirname, 'worker.mjs'), ...given)
      : startCore;
  let core: Core;
  try {
    core = await start(settings, {
      version: VERSION,
      rendererDir: join(import.meta.dirname, 'renderer'),
      notices: warnings.map(problemLine),
      controlFolders: controlFolders(io),
    });
  } catch (error) {
    io.err(`cistern: ${whyNotStarted(error as NodeJS.ErrnoException, settings)}`);
    return FAILED;
  }
  if (settings.server.workers === 1) compileAtFirstCall();
  for (const line of await greeting(core, settings, io)) io.out(line);
  const file = settingsFile(options, io);
  const watch =
    file === undefined ? undefined : new SettingsWatch(resolve(io.cwd, file), () => readSettings(options, io), core);

  await asked.first;
  watch?.stop();
  io.out('Cistern is stopping: no new connections, running transfers may finish. Signal again to stop at once.');
  const stopped = core.stop().then(() => OK);
  return Promise.race([stopped, asked.second.then(() => FAILED)]);
}

/** Where it listens, and what to paste into a shell. */
async function greeting({ addresses }: Core, settings: Settings, io: Io): Promise<string[]> {
  const { server, cache, health, metrics } = settings;
  const limit = cache.max_cache_size === Number.MAX_SAFE_INTEGER ? '' : `, at most ${bytes(cache.max_cache_size)}`;
  const row = (name: string, text: string) => `  ${name.padEnd(10)} ${text}`;
  const shell = guessShell(io.env, io.platform);
  return [
    `Cistern ${VERSION} listens on http://${addresses.proxy}`,
    row('cache', `${cache.cache_dir}${limit}`),
    ...(server.workers > 1 ? [row('workers', `${server.workers} processes`)] : []),
    ...(addresses.dashboard ? [row('dashboard', `http://${addresses.dashboard}/`)] : []),
    ...(addresses.health ? [row('health', `http://${addresses.health}${health.endpoint}`)] : []),
    ...(addresses.metrics ? [row('metrics', `http://${addresses.metrics}${metrics.endpoint}`)] : []),
    '',
    'Paste into the shell whose S3 tools shall use it:',
    '',
    ...(await pasteLines(`http://${addresses.proxy.replace(/^(0\.0\.0\.0|\[::\]):/, 'localhost:')}`, shell, io)),
    '',
    'then, for example: aws s3 cp s3://your-bucket/key ./local',
  ];
}

function whyNotStarted(error: NodeJS.ErrnoException & { port?: number; address?: string }, settings: Settings): string {
  const { bind_address, proxy_port } = settings.server;
  const at = `${error.address ?? bind_address}:${error.port ?? proxy_port}`;
  switch (error.code) {
    case 'EADDRINUSE':
      return `${at} is in use by another program (or another Cistern). Stop it, or choose another port with --port or server.proxy_port.`;
    case 'EADDRNOTAVAIL':
      return `${bind_address} is no address of this machine; see server.bind_address.`;
    case 'EACCES':
      if (error.syscall === 'listen') return `this account may not listen on ${at}; choose a port from 1024 up.`;
      return error.message;
    default:
      return error.message;
  }
}

function stopSignals(io: Io): { first: Promise<void>; second: Promise<void> } {
  let firstAt: number | undefined;
  let [onFirst, onSecond] = [() => {}, () => {}];
  const first = new Promise<void>(resolve => {
    onFirst = resolve;
  });
  const second = new Promise<void>(resolve => {
    onSecond = resolve;
  });
  io.onStopSignal(() => {
    if (firstAt === undefined) {
      firstAt = performance.now();
      onFirst();
    } else if (performance.now() - firstAt > ONE_WISH_MS) onSecond();
  });
  return { first, second };
}
