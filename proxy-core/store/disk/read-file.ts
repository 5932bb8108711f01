import { codeOf, isMissing } from './disk-error.ts';
import type { Volume } from './volume.ts';

/** A small file that other processes may replace or remove at any time; undefined where there is none. */
export async function readOrNone(volume: Volume, path: string): Promise<Buffer | undefined> {
  try {
    return await volume.readFile(path).catch(error => {
      // It has been replaced or removed meanwhile: this looks it up anew.
      if (codeOf(error) === 'ESTALE') return volume.readFile(path);
      throw error;
    });
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
