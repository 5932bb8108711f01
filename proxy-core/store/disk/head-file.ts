import type { Head, Part, Stamp } from '../head.ts';
import { checkedJson, checkedLine, hexOf } from './checked-line.ts';
import { versionId } from './paths.ts';
import { decodeWriting, encodeWriting, type StoredWriting } from './stored-writing.ts';

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

/** The checksum covers the version, so that a stamp never vouches for another one that was published meanwhile. */
export function encodeStamp(stamp: Stamp, version: string): string {
  const facts = `cistern1 ${String(Math.max(0, Math.floor(stamp.validatedAt))).padStart(24, '0')} ${stamp.epoch || NO_EPOCH}`;
  return `${facts} ${hexOf(`${facts} ${version}`)}\n`;
}

export function decodeStamp(text: string, version: string): Stamp {
  const facts = text.slice(0, -18);
  const [, validatedAt, epoch] = facts.split(' ');
  if (text.length !== STAMP_BYTES || text !== `${facts} ${hexOf(`${facts} ${version}`)}\n`)
    return { validatedAt: 0, epoch: '!' };
  return { validatedAt: Number(validatedAt), epoch: epoch === NO_EPOCH ? '' : (epoch ?? '') };
}

export function encodeHead(storeKey: string, head: Head, stamp: Stamp): Buffer {
  const { etag, length, headers, lastModified, checksumsKnown, written, begun } = head;
  const json = JSON.stringify({
    key: storeKey,
    etag,
    length,
    last_modified: lastModified,
    checksums_known: checksumsKnown,
    written,
    begun,
    headers,
  });
  return Buffer.from(`${encodeStamp(stamp, head.version)}${checkedLine(json)}`, 'latin1');
}

/** Undefined when the file is damaged or names another object. */
export function decodeHead(storeKey: string, file: Buffer): HeadFile | undefined {
  const found = decodeAnyHead(file);
  return found?.storeKey === storeKey ? found : undefined;
}

/** Of whatever object it names; undefined when the file is damaged. */
export function decodeAnyHead(file: Buffer): (HeadFile & { readonly storeKey: string }) | undefined {
  const newline = file.indexOf(10, STAMP_BYTES);
  const json = newline < 0 ? undefined : checkedJson(file.toString('latin1', STAMP_BYTES, newline + 1));
  if (json === undefined) return undefined;
  const stored = JSON.parse(json) as {
    key: string;
    etag: string;
    length: number;
    last_modified?: number;
    checksums_known: boolean;
    written?: number;
    begun?: number;
    headers: string[];
  };
  const version = versionId(stored.etag, stored.length);
  return {
    storeKey: stored.key,
    head: {
      etag: stored.etag,
      length: stored.length,
      version,
      headers: stored.headers,
      lastModified: stored.last_modified,
      checksumsKnown: stored.checksums_known,
      written: stored.written,
      begun: stored.begun,
    },
    // What a write told is never vouched for: a stamp on it is meant for the head that a reader is bringing in its place.
    stamp:
      stored.written === undefined
        ? decodeStamp(file.toString('latin1', 0, STAMP_BYTES), version)
        : { validatedAt: 0, epoch: '' },
    bodyAt: newline + 1,
  };
}

/** What is known of a part, bound to its object, version and number. */
export function encodePart(storeKey: string, version: string, number: number, part: Part): Buffer {
  const { start, end, headers, checksumsKnown } = part;
  const json = JSON.stringify({
    key: storeKey,
    version,
    number,
    start,
    end,
    ...encodeWriting(part),
    checksums_known: checksumsKnown,
    headers,
  });
  return Buffer.from(checkedLine(json), 'latin1');
}

/** Undefined when the file is damaged or names another part. */
export function decodePart(storeKey: string, version: string, number: number, file: Buffer): Part | undefined {
  const json = checkedJson(file.toString('latin1'));
  if (json === undefined) return undefined;
  const stored = JSON.parse(json) as {
    key: string;
    version: string;
    number: number;
    start: number;
    end: number;
    checksums_known: boolean;
    headers: string[];
  } & StoredWriting;
  if (stored.key !== storeKey || stored.version !== version || stored.number !== number) return undefined;
  return {
    start: stored.start,
    end: stored.end,
    headers: stored.headers,
    checksumsKnown: stored.checksums_known,
    ...decodeWriting(stored),
  };
}
