import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe, it } from 'vitest';
import { fetchedElectron } from '../../scripts/fetch-electron.mjs';

/** An Electron to test with: the one named by CISTERN_ELECTRON, else the one that scripts/fetch-electron.mjs fetched. */
export const ELECTRON = process.env.CISTERN_ELECTRON ?? fetchedElectron();
export const CHROMIUM =
  process.env.CHROMIUM ?? onPath('chromium') ?? onPath('chromium-browser') ?? onPath('google-chrome');

export const NEEDS = {
  electron: ELECTRON === undefined ? 'Electron (node scripts/fetch-electron.mjs)' : undefined,
  display: process.env.DISPLAY || onPath('Xvfb') ? undefined : 'a display or Xvfb',
  curl: onPath('curl') ? undefined : 'curl',
  zip: onPath('zip') ? undefined : 'zip',
  chromium: CHROMIUM === undefined ? 'Chromium' : undefined,
} as const;

/** Tests that need tools: without one they are skipped by name, or fail where nothing may be skipped (CI). */
export function describeNeeding(needs: readonly (keyof typeof NEEDS)[], name: string, body: () => void): void {
  const missing = needs.map(need => NEEDS[need]).filter(lack => lack !== undefined);
  if (missing.length === 0) {
    describe(name, body);
  } else if (process.env.CISTERN_FORBID_SKIPS === '1') {
    it(name, () => {
      throw new Error(`missing: ${missing.join(', ')}`);
    });
  } else {
    describe.skip(`${name} (missing: ${missing.join(', ')})`, body);
  }
}

function onPath(program: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map(folder => join(folder, program))
    .find(file => existsSync(file));
}
