import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Rectangle } from 'electron';
import Store from 'electron-store';

export interface SettingsStore {
  /** The desktop's settings file, in the format of `cistern serve --config`; undefined while there is none. */
  settingsFile(): string | undefined;
  /** Bounds of the window when it was last closed, in screen coordinates. */
  windowBounds(): Rectangle | undefined;
  saveWindowBounds(bounds: Rectangle): void;
}

/**
 * The files of the app in its per-user config folder: `settings.json` belongs to the person and is read by the core, which
 * names file and line where something is wrong with it; `window.json` is the app's own.
 */
export function openSettingsStore(folder: string): SettingsStore {
  const settings = join(folder, 'settings.json');
  // A window.json that was damaged costs nothing but the window's place.
  const window = new Store<{ bounds?: Rectangle }>({ name: 'window', cwd: folder, clearInvalidConfig: true });
  return {
    settingsFile: () => (existsSync(settings) ? settings : undefined),
    windowBounds: () => window.get('bounds'),
    saveWindowBounds: bounds => window.set('bounds', bounds),
  };
}
