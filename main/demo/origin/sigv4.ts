import { createHash, createHmac } from 'node:crypto';

/**
 * Signature Version 4 as arithmetic: what is signed, and with what. Used by the verifier and by the demo's own signer.
 * Strings are latin1, one character a byte, so that what was on the wire is what is hashed.
 * Source: "Authenticating Requests (AWS Signature Version 4)", S3 API reference.
 */
export interface CanonicalInput {
  readonly method: string;
  /** Raw request target, origin-form: path and query as on the wire */
  readonly target: string;
  /** Flat raw headers */
  readonly headers: readonly string[];
  /** Lower-case names in the order of SignedHeaders */
  readonly signedHeaders: readonly string[];
  readonly payloadHash: string;
}

export function canonicalRequest(input: CanonicalInput): string {
  const question = input.target.indexOf('?');
  const path = question < 0 ? input.target : input.target.slice(0, question);
  const query = question < 0 ? '' : input.target.slice(question + 1);
  const lines = input.signedHeaders.map(name => `${name}:${headerValue(input.headers, name)}\n`);
  return [
    input.method,
    canonicalPath(path),
    canonicalQuery(query),
    lines.join(''),
    input.signedHeaders.join(';'),
    input.payloadHash,
  ].join('\n');
}

/** `scope` is `<yyyymmdd>/<region>/<service>/aws4_request`, `date` the whole X-Amz-Date. */
export function stringToSign(canonical: string, date: string, scope: string): string {
  return `AWS4-HMAC-SHA256\n${date}\n${scope}\n${sha256Hex(Buffer.from(canonical, 'latin1'))}`;
}

export function signingKey(secret: string, scope: string): Buffer {
  let key: Buffer = Buffer.from(`AWS4${secret}`, 'utf8');
  for (const step of scope.split('/')) key = createHmac('sha256', key).update(step).digest();
  return key;
}

export function sign(key: Buffer, text: string): string {
  return createHmac('sha256', key).update(Buffer.from(text, 'latin1')).digest('hex');
}

export function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** S3 signs the path encoded once and not normalised: `//` and `..` stay. */
export function canonicalPath(path: string): string {
  return uriEncode(percentDecode(path), true) || '/';
}

export function canonicalQuery(query: string): string {
  if (query === '') return '';
  const pairs = query
    .split('&')
    .filter(pair => pair !== '' && !/^x-amz-signature=/i.test(pair))
    .map(pair => {
      const equals = pair.indexOf('=');
      const name = equals < 0 ? pair : pair.slice(0, equals);
      const value = equals < 0 ? '' : pair.slice(equals + 1);
      const encode = (text: string) => uriEncode(percentDecode(text.replaceAll('+', ' ')), false);
      return [encode(name), encode(value)] as const;
    });
  pairs.sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : x > y ? 1 : 0));
  return pairs.map(([name, value]) => `${name}=${value}`).join('&');
}

/** All values of a header joined by commas, trimmed, inner runs of spaces made one. */
function headerValue(headers: readonly string[], name: string): string {
  const values: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (headers[i]!.toLowerCase() === name) values.push(headers[i + 1]!.trim().replace(/ +/g, ' '));
  }
  return values.join(',');
}

/** Percent-decodes to bytes (latin1); a malformed escape stays as it is. */
export function percentDecode(text: string): string {
  return text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** RFC 3986 encoding of bytes given as latin1: all but unreserved characters, and `/` only where it separates. */
export function uriEncode(bytes: string, keepSlash: boolean): string {
  return bytes.replace(/[^A-Za-z0-9\-._~]/g, c => {
    if (c === '/' && keepSlash) return c;
    return `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
  });
}
