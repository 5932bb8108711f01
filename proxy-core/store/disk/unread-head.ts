import fs from 'node:fs';
import { codeOf, isMissing } from './disk-error.ts';
import type { Volume } from './volume.ts';

/** Enough for the stamp and the store key, which comes first in the JSON line: 1,024 bytes, escaped. */
const GLANCE = 8192;
/** A stamp that says that S3 has never vouched for the head (head-file.ts), then the beginning of the JSON line. */
const NEVER_READ = /^cistern1 0{24} -{32} [0-9a-f]{16}\n[0-9a-f]{16} \{"key":("(?:[^"\\]|\\.)*")/;

/**
 * The store key that a head file names, where the head is that of a write and nobody has read the object since; undefined
 * for any other, and where there is none.
 */
export async function unreadKey(volume: Volume, path: string): Promise<string | undefined> {
  try {
    const fd = await openQuietly(volume, path);
    const bytes = Buffer.alloc(GLANCE);
    try {
      const length = await volume.read(fd, bytes, 0, GLANCE, 0);
      const key = NEVER_READ.exec(bytes.toString('latin1', 0, length))?.[1];
      return key === undefined ? undefined : (JSON.parse(key) as string);
    } finally {
      volume.close(fd).catch(() => {});
    }
  } catch (error) {
    if (isMissing(error as Error)) return undefined;
    throw error;
  }
}

/** So that a look does not count as a use, by which eviction chooses. Only the owner of a file may ask for that. */
function openQuietly(volume: Volume, path: string): Promise<number> {
  // Not on macOS and Windows.
  const quietly: number = constants.O_NOATIME ?? 0;
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

const constants: { readonly O_NOATIME?: number } = fs.constants;
