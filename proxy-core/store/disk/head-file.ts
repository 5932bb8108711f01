import { xxh64 } from '@node-rs/xxhash';
import type { Head, Stamp } from '../head.ts';
import { versionId } from './paths.ts';

/**
 * A head file: a stamp of fixed size that is overwritten in place, one checksummed JSON line that names the store key,
 * then the body as an extent where the object is small (design section 6). A bad stamp means stale, any other damage a miss.
 */
export const STAMP_BYTES = 84;
const NO_EPOCH = '-'.repeat(32);

export interface HeadFile {
  readonly head: Head;
  readonly stamp: Stamp;
  /** Offset of the body's frames in the file; equal to the file's length when there is no body. */
  readonly bodyAt: number;
}

export function encodeStamp(stamp: Stamp): string {
  const facts = `cistern1 ${String(Math.max(0, Math.floor(stamp.validatedAt))).padStart(24, '0')} ${stamp.epoch || NO_EPOCH}`;
  return `${facts} ${hexOf(facts)}\n`;
}

export function decodeStamp(text: string): Stamp {
  const facts = text.slice(0, -18);
  const [, validatedAt, epoch] = facts.split(' ');
  if (text.length !== STAMP_BYTES || text !== `${facts} ${hexOf(facts)}\n`) return { validatedAt: 0, epoch: '!' };
  return { validatedAt: Number(validatedAt), epoch: epoch === NO_EPOCH ? '' : (epoch ?? '') };
}

export function encodeHead(storeKey: string, head: Head, stamp: Stamp): Buffer {
  const { etag, length, headers, lastModified, checksumsKnown } = head;
  const json = JSON.stringify({
    key: storeKey,
    etag,
    length,
    last_modified: lastModified,
    checksums_known: checksumsKnown,
    headers,
  });
  return Buffer.from(`${encodeStamp(stamp)}${hexOf(json)} ${json}\n`, 'latin1');
}

/** Undefined when the file is damaged or names another object. */
export function decodeHead(storeKey: string, file: Buffer): HeadFile | undefined {
  const stamp = decodeStamp(file.toString('latin1', 0, STAMP_BYTES));
  const newline = file.indexOf(10, STAMP_BYTES);
  if (newline < STAMP_BYTES + 18) return undefined;
  const line = file.toString('latin1', STAMP_BYTES, newline);
  const json = line.slice(17);
  if (line.slice(0, 16) !== hexOf(json)) return undefined;
  const stored = JSON.parse(json) as {
    key: string;
    etag: string;
    length: number;
    last_modified?: number;
    checksums_known: boolean;
    headers: string[];
  };
  if (stored.key !== storeKey) return undefined;
  return {
    head: {
      etag: stored.etag,
      length: stored.length,
      version: versionId(stored.etag, stored.length),
      headers: stored.headers,
      lastModified: stored.last_modified,
      checksumsKnown: stored.checksums_known,
    },
    stamp,
    bodyAt: newline + 1,
  };
}

function hexOf(text: string): string {
  return xxh64(Buffer.from(text, 'latin1')).toString(16).padStart(16, '0');
}
