import fs from 'node:fs';
import { codeOf } from './disk-error.ts';
import type { Volume } from './volume.ts';

/**
 * Opens a file for reading so that the look does not count as a use, by which eviction chooses. Only the owner of a file
 * may ask for that; not on macOS and Windows.
 */
export function openQuietly(volume: Volume, path: string): Promise<number> {
  const { O_NOATIME: quietly = 0 }: { readonly O_NOATIME?: number } = fs.constants;
  return open(volume, path, fs.constants.O_RDONLY | quietly).catch(error => {
    if (codeOf(error) !== 'EPERM' || quietly === 0) throw error;
    return open(volume, path, fs.constants.O_RDONLY);
  });
}

function open(volume: Volume, path: string, flags: number): Promise<number> {
  return volume.run<number>(
    done => fs.open(path, flags, done),
    late => {
      if (late !== undefined) fs.close(late, () => {});
    },
    path,
  );
}
