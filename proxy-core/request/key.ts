import type { ObjectAddress, Origin } from './types.ts';

/** An object's address; `key` holds the key's bytes as latin1. */
export function objectAddress(origin: Origin, bucket: string, key: string): ObjectAddress {
  return { origin, bucket, key, storeKey: `${origin}\0${bucket}\0${key}` };
}

/** The bytes (as latin1) of a text that S3 takes as UTF-8, such as a key in XML. */
export function utf8Bytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/**
 * True for a name that may be a bucket's, on AWS (legacy ones with capitals and underscores included) or elsewhere. It is
 * also safe as a folder's name: no separator, no leading dot.
 */
export function isBucketName(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(name);
}

export interface Decoded {
  /** One char per byte */
  readonly bytes: string;
  /** A `%` without two hex digits, which stands as it is in `bytes`; or a char that is no byte. */
  readonly malformed: boolean;
}

/** Decodes percent escapes to bytes. `+` stays. */
export function percentDecode(text: string): Decoded {
  let percent = text.indexOf('%');
  let malformed = false;
  if (percent < 0) return { bytes: text, malformed: !isLatin1(text) };
  let bytes = '';
  let from = 0;
  while (percent >= 0) {
    const high = hexDigit(text.charCodeAt(percent + 1));
    const low = hexDigit(text.charCodeAt(percent + 2));
    if (high < 0 || low < 0) {
      malformed = true;
      percent = text.indexOf('%', percent + 1);
      continue;
    }
    bytes += text.slice(from, percent) + String.fromCharCode(high * 16 + low);
    from = percent + 3;
    percent = text.indexOf('%', from);
  }
  bytes += text.slice(from);
  return { bytes, malformed: malformed || !isLatin1(bytes) };
}

/** The two readings of a key with a raw `+`, or of one with a malformed escape or a raw `#`: without repeats. */
export function keyReadings(rawKey: string): string[] {
  const readings = new Set<string>();
  const beforeFragment = rawKey.split('#', 1)[0]!;
  for (const raw of [rawKey, beforeFragment]) {
    for (const spelling of [raw, raw.replaceAll('+', ' ')]) {
      const { bytes } = percentDecode(spelling);
      readings.add(isLatin1(bytes) ? bytes : utf8Bytes(bytes));
    }
  }
  readings.delete('');
  return [...readings];
}

/** The keys that a raw path may mean which may begin with the bucket: without repeats. */
export function pathReadings(rawPath: string, bucket: string): string[] {
  const inBucket = percentDecode(rawPath).bytes.startsWith(`${bucket}/`) ? rawPath.slice(bucket.length) : undefined;
  const raw = [rawPath, inBucket?.replace(/^(?:\/|%2f)/i, '')];
  return [...new Set(raw.flatMap(key => (key ? keyReadings(key) : [])))];
}

function isLatin1(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0xff) return false;
  return true;
}

/** NaN (past the end) gives -1, too. */
function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const lower = code | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}
