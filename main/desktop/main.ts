import { join, resolve } from 'node:path';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { app, dialog, Menu } from 'electron';
import { CoreHost } from './core-host.ts';
import type { StartOptions } from './core-messages.ts';
import type { DesktopStatus } from './ipc.ts';
import { answerCall, push } from './ipc-main.ts';
import { lockDown } from './lock-down.ts';
import { pasteLines } from './paste-lines.ts';
import { quitAfter } from './quit.ts';
import { registerRendererScheme, serveRenderer } from './renderer-protocol.ts';
import { openSettingsStore } from './settings-store.ts';
import { createTray } from './tray.ts';
import { StatusWindow } from './window.ts';
import { statusInWords } from './words.ts';

// A page of numbers gains nothing from graphics drivers, and where they are missing or broken (virtual machines, remote
// desktops) the app has its window all the same.
app.disableHardwareAcceleration();
registerRendererScheme();

for (const stream of [process.stdout, process.stderr]) {
  // Who reads our lines may go away; Electron would show that as a crash.
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

if (app.requestSingleInstanceLock()) {
  app
    .whenReady()
    .then(run)
    .catch((error: Error) => {
      dialog.showErrorBox('Cistern could not start', error.message);
      app.exit(1);
    });
} else {
  // The running instance gets `second-instance` and opens its window.
  process.stdout.write('Cistern is running already; its window was opened.\n');
  app.exit(0);
}

async function run(): Promise<void> {
  const resourcesDir = join(app.getAppPath(), 'resources');
  const rendererDir = join(app.getAppPath(), 'dist', 'renderer');
  const store = openSettingsStore(app.getPath('userData'));
  lockDown();
  if (process.platform !== 'darwin') Menu.setApplicationMenu(null);
  await serveRenderer(rendererDir);

  const core = new CoreHost({
    modulePath: join(__dirname, 'core-process.mjs'),
    startOptions: () => startOptions(store.settingsFile(), rendererDir),
  });
  const window = new StatusWindow({ preload: join(__dirname, 'preload.cjs'), resourcesDir, store });
  const tray = createTray(resourcesDir, { open: () => window.open(), quit: () => app.quit() });

  let shell_lines: readonly string[] = [];
  const status = (): DesktopStatus => ({ ...core.status, shell_lines });
  const publish = () => {
    tray.show(statusInWords(core.status));
    if (window.current) push(window.current, 'status:changed', status());
  };
  answerCall('status:get', status);
  core.on('status', publish);
  core.on('serving', async ({ version, addresses }) => {
    const lines = await pasteLines(addresses.proxy).catch((error: Error): string[] => {
      process.stderr.write(`cistern: ${error.message}\n`);
      return [];
    });
    if (isDeepStrictEqual(lines, shell_lines)) return;
    shell_lines = lines;
    publish();
    const heading = `Cistern ${version} listens on http://${addresses.proxy}. To use it, paste into a shell:`;
    process.stdout.write(`${[heading, ...lines].join('\n')}\n`);
  });
  app.on('second-instance', () => window.open());
  app.on('activate', () => window.open());
  // Closing the window leaves the proxy running; the tray's Quit ends it.
  app.on('window-all-closed', () => undefined);
  quitAfter(core);

  core.start();
  window.open();
}

/** `--config FILE` (or `--config=FILE`) goes before the settings of the app's own folder. */
function startOptions(storedFile: string | undefined, rendererDir: string): StartOptions {
  const { values } = parseArgs({ options: { config: { type: 'string' } }, strict: false });
  const file = typeof values.config === 'string' ? resolve(values.config) : storedFile;
  return { rendererDir, ...(file === undefined ? {} : { settingsFile: file }) };
}
