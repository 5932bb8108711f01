import { headerValue, parseHttpDate, type RawHeaders, type Span } from '../request/index.ts';
import { type Head, isSameWriting, type ObjectEntry, type Part, versionId, writingOf } from '../store/index.ts';
import { headHeaders, partHeaders } from './answer.ts';

/** What a 200 or 206 tells: the object's head, which bytes of it follow, and what is known of a part. */
export interface Learnt {
  readonly head: Head;
  /** Undefined for an empty body. */
  readonly span: Span | undefined;
  readonly part: Part | undefined;
}

/**
 * Reads an answer to a GET or HEAD. Undefined when it can't be kept: another status, no strong ETag, no length, or a
 * Content-Range that doesn't fit (design section 2, "version").
 */
export function learn(
  status: number,
  headers: RawHeaders,
  request: { checksumMode: boolean; partNumber: number | undefined },
): Learnt | undefined {
  if (status !== 200 && status !== 206) return undefined;
  const etag = headerValue(headers, 'etag');
  const contentLength = headerValue(headers, 'content-length');
  if (etag === undefined || !/^"[^"]+"$/.test(etag) || contentLength === undefined || !/^\d{1,15}$/.test(contentLength))
    return undefined;
  const size = Number(contentLength);
  const contentRange = headerValue(headers, 'content-range');
  const partial = status === 206 || request.partNumber !== undefined;
  let length = size;
  let span: Span | undefined = size === 0 ? undefined : { start: 0, end: size - 1 };
  if (status === 206) {
    const range = parseContentRange(contentRange);
    if (!range || range.span.end - range.span.start + 1 !== size) return undefined;
    length = range.length;
    span = range.span;
  }
  const whole = span === undefined || (span.start === 0 && span.end === length - 1);
  const head: Head = {
    etag,
    length,
    version: versionId(etag, length),
    headers: headHeaders(headers, partial),
    lastModified: lastModifiedOf(headers),
    checksumsKnown: request.checksumMode && !partial && whole,
  };
  const part =
    request.partNumber !== undefined && span
      ? { ...span, headers: partHeaders(headers), checksumsKnown: request.checksumMode, ...writingOf(head) }
      : undefined;
  return { head, span, part };
}

/** `bytes <start>-<end>/<length>` (RFC 9110 section 14.4). */
export function parseContentRange(value: string | undefined): { span: Span; length: number } | undefined {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(value ?? '');
  if (!match) return undefined;
  const [start, end, length] = [Number(match[1]), Number(match[2]), Number(match[3])];
  return start <= end && end < length ? { span: { start, end }, length } : undefined;
}

/** Whether such an answer to a request for bytes of a version, which are not in it, says that the version is current no more. */
export function isPast(status: number): boolean {
  return status === 412 || status === 404 || status === 410 || status < 300;
}

/** A write has come since a request was sent, in `epoch`, and its version is known already: what S3 said then is of the past. */
export function isOvertaken({ head, headEpoch, epoch: current }: ObjectEntry, epoch: string): boolean {
  return epoch !== current && head !== undefined && (headEpoch === current || head.written !== undefined);
}

/** The same version seen again: what is known of it from both answers, the newer one's fields first. */
export function mergeHeads(known: Head | undefined, seen: Head): Head {
  if (!known || known.version !== seen.version || seen.checksumsKnown || !known.checksumsKnown) return seen;
  if (!isSameWriting(writingOf(known), writingOf(seen))) return seen;
  // The newer answer came without checksum mode: what was learnt with it still holds for the same bytes.
  const checksums: string[] = [];
  for (let i = 0; i + 1 < known.headers.length; i += 2) {
    if (/^x-amz-(checksum-|mp-parts-count$)/.test(known.headers[i]!.toLowerCase()))
      checksums.push(known.headers[i]!, known.headers[i + 1]!);
  }
  return { ...seen, headers: [...seen.headers, ...checksums], checksumsKnown: true };
}

function lastModifiedOf(headers: RawHeaders): number | undefined {
  const value = headerValue(headers, 'last-modified');
  return value === undefined ? undefined : parseHttpDate(value);
}
