import { join } from 'node:path';
import { BrowserWindow, nativeTheme, type Rectangle, screen } from 'electron';
import { PAGE_ORIGIN } from './renderer-protocol.ts';
import type { SettingsStore } from './settings-store.ts';

export interface WindowOptions {
  readonly preload: string;
  readonly resourcesDir: string;
  readonly store: SettingsStore;
}

/** The one window: made when it is first asked for, brought to the front when it is there. */
export class StatusWindow {
  readonly #options: WindowOptions;
  #window: BrowserWindow | undefined;

  constructor(options: WindowOptions) {
    this.#options = options;
  }

  /** The window while it is open. */
  get current(): BrowserWindow | undefined {
    return this.#window;
  }

  open(): void {
    if (this.#window === undefined) {
      this.#window = this.#create();
      return;
    }
    if (this.#window.isMinimized()) this.#window.restore();
    this.#window.show();
    this.#window.focus();
  }

  #create(): BrowserWindow {
    const { preload, resourcesDir, store } = this.#options;
    const window = new BrowserWindow({
      width: 920,
      height: 760,
      minWidth: 420,
      minHeight: 480,
      ...onScreen(store.windowBounds()),
      title: 'Cistern',
      icon: join(resourcesDir, 'icons', '256.png'),
      backgroundColor: nativeTheme.shouldUseDarkColors ? '#10161c' : '#f5f7f9',
      autoHideMenuBar: true,
      show: false,
      webPreferences: { preload, contextIsolation: true, sandbox: true, nodeIntegration: false, webviewTag: false },
    });
    window.once('ready-to-show', () => window.show());
    window.on('close', () => store.saveWindowBounds(window.getNormalBounds()));
    window.on('closed', () => {
      this.#window = undefined;
    });
    window.loadURL(`${PAGE_ORIGIN}/`).catch((error: Error) => {
      process.stderr.write(`cistern: the window could not be loaded: ${error.message}\n`);
    });
    return window;
  }
}

/** Saved bounds, unless the screen that they were on is gone. */
function onScreen(bounds: Rectangle | undefined): Partial<Rectangle> {
  if (bounds === undefined) return {};
  const { workArea } = screen.getDisplayMatching(bounds);
  const visible =
    bounds.x < workArea.x + workArea.width &&
    bounds.x + bounds.width > workArea.x &&
    bounds.y < workArea.y + workArea.height &&
    bounds.y >= workArea.y;
  return visible ? bounds : { width: bounds.width, height: bounds.height };
}
