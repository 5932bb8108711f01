import { isDeepStrictEqual } from 'node:util';
import { get, put } from './defaults.ts';
import { KEYS } from './leaves.ts';
import { LIVE } from './live.ts';
import type { Settings } from './schema.ts';

/** What becomes of other settings while it runs. */
export interface SettingsChange {
  /** The settings that are in force then. */
  readonly settings: Settings;
  /** Dotted paths of those that have changed and act at once. */
  readonly applied: readonly string[];
  /** Of those that are other than at the start, and act after a restart. */
  readonly restart: readonly string[];
}

/** @param running those in force @param wanted all of them, as they should be */
export function planChange(running: Settings, wanted: Settings): SettingsChange {
  const settings = structuredClone(running) as Settings & Record<string, unknown>;
  const applied: string[] = [];
  const restart: string[] = [];
  for (const path of KEYS.keys()) {
    const value = get(wanted, path);
    if (isDeepStrictEqual(get(running, path), value)) continue;
    if (!LIVE.has(path)) restart.push(path);
    else {
      put(settings, path, value);
      applied.push(path);
    }
  }
  return { settings, applied, restart };
}
