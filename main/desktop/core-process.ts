import { resolve } from 'node:path';
import about from '../../package.json' with { type: 'json' };
import { controlFolders } from '../../proxy-core/admin/index.ts';
import { type Core, startCore } from '../../proxy-core/core.ts';
import { loadSettings, problemLine, type Settings, thisPerson } from '../../proxy-core/settings/index.ts';
import { SettingsWatch } from '../settings-watch.ts';
import type { FromCore, StartOptions, ToCore } from './core-messages.ts';

/** The core's process: hosts one core, tells the app about it every second, and ends when the app says so. */
const SNAPSHOT_EVERY_MS = 1000;

const { parentPort } = process;
let core: Promise<Core> | undefined;
let stopping = false;

parentPort.on('message', ({ data }: { data: ToCore }) => {
  if (data.type === 'start') start(data.options);
  else stop();
});
// Ctrl-C in a terminal reaches every process of the app; the app then says stop when it is time.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', stop);
process.on('uncaughtException', error => {
  process.stderr.write(`cistern: ${error.stack ?? error}\n`);
  fail(error);
});

function start(options: StartOptions): void {
  core = startOnce(options);
  core.then(tellEverySecond, fail);
}

async function startOnce({ settingsFile, rendererDir }: StartOptions): Promise<Core> {
  const read = () => loadSettings({ file: settingsFile });
  const { settings, warnings } = await read();
  const running = await startCore(settings, {
    version: about.version,
    rendererDir,
    movePorts: true,
    notices: noticesOf(settings, warnings.map(problemLine)),
    controlFolders: controlFolders(thisPerson()),
  });
  if (settingsFile !== undefined)
    // It ends with the process.
    new SettingsWatch(resolve(settingsFile), read, {
      applySettings: (wanted, notices = []) => running.applySettings(wanted, noticesOf(wanted, notices)),
      refuseSettings: why => running.refuseSettings(why),
    });
  return running;
}

function noticesOf({ server }: Settings, notices: readonly string[]): readonly string[] {
  if (server.workers === 1) return notices;
  return [...notices, 'server.workers: the desktop app runs one process; `cistern serve` runs more'];
}

function tellEverySecond(running: Core): void {
  const tellNow = () => tell({ type: 'snapshot', snapshot: running.status() });
  tellNow();
  setInterval(tellNow, SNAPSHOT_EVERY_MS);
}

function stop(): void {
  if (stopping) return;
  stopping = true;
  stopCore().then(
    () => process.exit(0),
    error => {
      process.stderr.write(`cistern: the proxy did not stop cleanly: ${error}\n`);
      process.exit(1);
    },
  );
}

async function stopCore(): Promise<void> {
  // Why it did not start, if it did not, was told already.
  const running = await core?.catch(() => undefined);
  await running?.stop();
}

/** The app ends this process once it has heard why. */
function fail(error: Error): void {
  tell({ type: 'failed', reason: inWords(error) });
}

function inWords(error: NodeJS.ErrnoException & { address?: string; port?: number }): string {
  if (error.code !== 'EADDRINUSE' || error.port === undefined) return error.message;
  const at = `${error.address}:${error.port}`;
  return `${at} is in use by another program (or another Cistern). Stop it, or choose another server.proxy_port.`;
}

function tell(message: FromCore): void {
  parentPort.postMessage(message);
}
