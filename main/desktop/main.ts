import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { app, dialog, Menu } from 'electron';
import { CoreHost } from './core-host.ts';
import type { StartOptions } from './core-messages.ts';
import { answerCall, push } from './ipc-main.ts';
import { lockDown } from './lock-down.ts';
import { registerRendererScheme, serveRenderer } from './renderer-protocol.ts';
import { openSettingsStore } from './settings-store.ts';
import { createTray } from './tray.ts';
import { StatusWindow } from './window.ts';
import { statusInWords } from './words.ts';

// One page of numbers needs no graphics processor; without it there is a process and some 100 MB less.
app.disableHardwareAcceleration();
registerRendererScheme();

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

  answerCall('status:get', () => core.status);
  core.on('status', status => {
    tray.show(statusInWords(status));
    if (window.current) push(window.current, 'status:changed', status);
  });
  app.on('second-instance', () => window.open());
  app.on('activate', () => window.open());
  // Closing the window leaves the proxy running; the tray's Quit ends it.
  app.on('window-all-closed', () => undefined);
  quitAfter(() => core.stop());

  core.start();
  window.open();
}

/** `--config FILE` (or `--config=FILE`) goes before the settings of the app's own folder. */
function startOptions(storedFile: string | undefined, rendererDir: string): StartOptions {
  const { values } = parseArgs({ options: { config: { type: 'string' } }, strict: false });
  const file = typeof values.config === 'string' ? resolve(values.config) : storedFile;
  return { rendererDir, ...(file === undefined ? {} : { settingsFile: file }) };
}

/** Holds a quit (menu, signal, end of the session) until `stop` is done. */
function quitAfter(stop: () => Promise<void>): void {
  let stopped = false;
  app.on('will-quit', event => {
    if (stopped) return;
    event.preventDefault();
    stop().then(() => {
      stopped = true;
      app.quit();
    });
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => app.quit());
}
