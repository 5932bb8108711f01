import type { Stats } from 'node:fs';
import type { ObjectAddress } from '../../request/index.ts';
import { isMissing } from '../disk/disk-error.ts';
import { decodeAnyHead, type HeadFile } from '../disk/head-file.ts';
import { openQuietly } from '../disk/open-quietly.ts';
import { bucketFolder, objectHash } from '../disk/paths.ts';
import type { Volume } from '../disk/volume.ts';

/** A head file that is in its place. */
export interface SeenHead extends HeadFile {
  readonly address: ObjectAddress;
  readonly stats: Stats;
  /** The body is behind it. */
  readonly inline: boolean;
}

/** Enough for the line of nearly all objects, so that listing does not read their bodies. */
const GLANCE = 16_384;
/** No head file is longer: headers of 64 KiB, escaped, and a small body with its index. */
const LONGEST = 1 << 20;

/**
 * The head in a file that should be the one of this hash in this bucket's folder. Undefined where there is none, `damaged` where
 * it can't be read as one, or is in another one's place.
 */
export async function seeHead(
  volume: Volume,
  path: string,
  hash: string,
  folder: string,
): Promise<SeenHead | 'damaged' | undefined> {
  const file = await readUpTo(volume, path, GLANCE).then(async glance => {
    if (!glance || glance.bytes.includes(10, 84) || glance.bytes.length < GLANCE) return glance;
    return readUpTo(volume, path, LONGEST);
  });
  if (!file) return undefined;
  const found = safely(() => decodeAnyHead(file.bytes));
  const address = found && addressOf(found.storeKey);
  if (!found || !address) return 'damaged';
  if (objectHash(address) !== hash || bucketFolder(address.origin, address.bucket) !== folder) return 'damaged';
  return { ...found, address, stats: file.stats, inline: file.stats.size > found.bodyAt };
}

/** The first bytes of a file, or all; undefined where there is none. */
export async function readUpTo(
  volume: Volume,
  path: string,
  most: number,
): Promise<{ bytes: Buffer; stats: Stats } | undefined> {
  try {
    const fd = await openQuietly(volume, path);
    try {
      const stats = await volume.fstat(fd);
      const bytes = Buffer.alloc(Math.min(stats.size, most));
      const length = await volume.read(fd, bytes, 0, bytes.length, 0);
      return { bytes: bytes.subarray(0, length), stats };
    } finally {
      volume.close(fd).catch(() => {});
    }
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** The three names in a store key. */
export function addressOf(storeKey: unknown): ObjectAddress | undefined {
  if (typeof storeKey !== 'string') return undefined;
  const first = storeKey.indexOf('\0');
  const second = storeKey.indexOf('\0', first + 1);
  if (first < 0 || second < 0) return undefined;
  return {
    origin: storeKey.slice(0, first),
    bucket: storeKey.slice(first + 1, second),
    key: storeKey.slice(second + 1),
    storeKey,
  };
}

function safely<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch {
    // JSON of another shape than ours.
    return undefined;
  }
}
