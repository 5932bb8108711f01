import { headerValue, type RawHeaders } from '../request/index.ts';
import type { Head, Part } from '../store/index.ts';
import { httpDate } from './http-date.ts';
import type { Outlet } from './outlet.ts';
import type { Note, Outcome } from './types.ts';

/** Headers that belong to one answer or one hop and are no part of a head (design section 3). Lower case. */
const OF_ONE_ANSWER = new Set([
  'content-range',
  'x-amz-request-id',
  'x-amz-id-2',
  'connection',
  'keep-alive',
  'transfer-encoding',
  'trailer',
  'upgrade',
  'age',
  'x-cache',
  'cache-status',
]);
/** Headers that a 206 or a `partNumber` answer may carry for its part instead of the object. */
const OF_ONE_PART = /^(x-amz-checksum-|x-amz-mp-parts-count$|content-md5$)/;

/** What an answer tells of the whole object's headers. `partial`: it came from a range or a part. */
export function headHeaders(headers: RawHeaders, partial: boolean): string[] {
  const kept: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i]!;
    const value = headers[i + 1]!;
    const lower = name.toLowerCase();
    if (OF_ONE_ANSWER.has(lower) || lower.startsWith('access-control-') || (partial && OF_ONE_PART.test(lower)))
      continue;
    if (lower === 'date' || lower === 'content-length') kept.push(name, '');
    else if (lower === 'vary') {
      const rest = value.split(',').filter(item => !isOfCors(item));
      if (rest.length > 0) kept.push(name, rest.join(',').trim());
    } else kept.push(name, value);
  }
  return kept;
}

/** The count and the checksums that an answer gives for one part. */
export function partHeaders(headers: RawHeaders): string[] {
  const kept: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (OF_ONE_PART.test(headers[i]!.toLowerCase())) kept.push(headers[i]!, headers[i + 1]!);
  }
  return kept;
}

export interface Extent {
  readonly length: number;
  /** `Content-Range`, for a 206. */
  readonly range: string | undefined;
}

/**
 * The headers of an answer given from a head: as S3 sent them, with today's date and what describes this body. Whole
 * checksums go only with whole bodies, and only to those who asked for them.
 */
export function replay(
  head: Head,
  body: Extent,
  options: { checksums: boolean; part: Part | undefined; cors: readonly string[] },
  note: Note,
): string[] {
  const out: string[] = [];
  const stored = head.headers;
  let dated = false;
  let sized = false;
  for (let i = 0; i + 1 < stored.length; i += 2) {
    const name = stored[i]!;
    const value = stored[i + 1]!;
    if (value === '' && name.length === 4 && name.toLowerCase() === 'date') {
      out.push(name, httpDate());
      dated = true;
    } else if (value === '' && name.length === 14 && name.toLowerCase() === 'content-length') {
      out.push(name, String(body.length));
      sized = true;
    } else if (name.length > 14 && isChecksum(name) && (!options.checksums || body.range !== undefined)) {
    } else out.push(name, value);
  }
  if (!dated) out.push('Date', httpDate());
  if (!sized) out.push('Content-Length', String(body.length));
  if (body.range !== undefined) out.push('Content-Range', body.range);
  if (options.part) {
    for (let i = 0; i + 1 < options.part.headers.length; i += 2) {
      const name = options.part.headers[i]!;
      if (options.checksums || !isChecksum(name)) out.push(name, options.part.headers[i + 1]!);
    }
  }
  out.push(...options.cors);
  marks(out, note);
  return out;
}

/** What S3 answers to this browser alone: never part of a head (design section 4). */
export function corsHeaders(headers: RawHeaders): string[] {
  const found: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i]!;
    const lower = name.toLowerCase();
    if (lower.startsWith('access-control-')) found.push(name, headers[i + 1]!);
    else if (lower === 'vary') {
      const items = headers[i + 1]!.split(',').filter(isOfCors);
      if (items.length > 0) found.push(name, items.join(',').trim());
    }
  }
  return found;
}

/** Answers a precondition that a head decides. A 304 carries what RFC 9110 section 15.4.5 asks for. */
export function answerCondition(
  out: Outlet,
  head: Head,
  verdict: 'not_modified' | 'precondition_failed',
  method: 'GET' | 'HEAD',
  note: Note,
  cors: readonly string[],
): void {
  const headers = ['Date', httpDate(), ...cors];
  for (const name of ['ETag', 'Last-Modified', 'Cache-Control', 'Expires', 'Vary', 'x-amz-version-id']) {
    const value = headerValue(head.headers, name.toLowerCase());
    if (value !== undefined) headers.push(name, value);
  }
  marks(headers, note);
  if (verdict === 'not_modified') {
    out.endWith(304, headers, undefined);
    return;
  }
  headers.push('Content-Type', 'application/xml', 'Content-Length', String(PRECONDITION_FAILED.length));
  out.endWith(412, headers, method === 'HEAD' ? undefined : PRECONDITION_FAILED);
}

/** S3's words (API reference, "Error responses"). */
const PRECONDITION_FAILED = Buffer.from(
  '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>PreconditionFailed</Code><Message>At least one of the pre-conditions you specified did not hold</Message></Error>',
);

/** S3's own headers, end to end, with our marks behind. */
export function passOn(headers: RawHeaders, note: Note): string[] {
  const out = headers.slice();
  note.requestId = headerValue(headers, 'x-amz-request-id');
  note.hostId = headerValue(headers, 'x-amz-id-2');
  marks(out, note);
  return out;
}

function marks(out: string[], note: Note): void {
  out.push(
    'X-Cache',
    note.outcome,
    'Cache-Status',
    note.detail === '' ? STATUS[note.outcome] : `cistern; ${note.detail}`,
  );
}

/** RFC 9211: `hit` when nothing had to be fetched, else why the request went forward. */
const STATUS: Record<Outcome, string> = {
  HIT: 'cistern; hit',
  REVALIDATED: 'cistern; hit; detail=revalidated',
  PARTIAL: 'cistern; fwd=partial',
  MISS: 'cistern; fwd=uri-miss; stored',
  BYPASS: 'cistern; fwd=bypass',
};

/** A miss that leaves nothing behind: the disk takes nothing at the moment, and RAM neither. */
export const NOT_KEPT = 'fwd=uri-miss; detail=not_kept';

/** A field that `Vary` names because of CORS. */
function isOfCors(item: string): boolean {
  return /^\s*(origin|access-control-request-(headers|method))\s*$/i.test(item);
}

function isChecksum(name: string): boolean {
  const lower = name.toLowerCase();
  return lower.startsWith('x-amz-checksum-') || lower === 'content-md5';
}
