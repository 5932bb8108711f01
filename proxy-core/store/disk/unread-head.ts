import { isMissing } from './disk-error.ts';
import { openQuietly } from './open-quietly.ts';
import type { Volume } from './volume.ts';

/** Enough for all that comes before the headers in a head file, of which the key may take 6 KiB. */
const GLANCE = 8192;
/** A stamp that says that S3 has never vouched for the head, and the checksum of the JSON line (head-file.ts). */
const NEVER_VOUCHED = /^cistern1 0{24} -{32} [0-9a-f]{16}\n[0-9a-f]{16} /;

/**
 * The store key that a head file names, where the head is that of a write and nobody has read the object since; undefined
 * for any other, and where there is none.
 */
export async function unreadKey(volume: Volume, path: string): Promise<string | undefined> {
  try {
    const fd = await openQuietly(volume, path);
    try {
      const bytes = Buffer.alloc(GLANCE);
      const length = await volume.read(fd, bytes, 0, GLANCE, 0);
      return keyIn(bytes.toString('latin1', 0, length));
    } finally {
      volume.close(fd).catch(() => {});
    }
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** A quote in a key or an ETag is escaped, so that the headers' name is found nowhere else. */
function keyIn(text: string): string | undefined {
  const stamp = NEVER_VOUCHED.exec(text)?.[0];
  const headersAt = text.indexOf(',"headers":');
  if (stamp === undefined || headersAt < 0) return undefined;
  try {
    const { key, written } = JSON.parse(`${text.slice(stamp.length, headersAt)}}`) as { key: string; written?: number };
    return written === undefined ? undefined : key;
  } catch {
    // Damaged, which its reader will find.
    return undefined;
  }
}
