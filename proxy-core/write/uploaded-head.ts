import { headerValue, parseHttpDate, type RawHeaders } from '../request/index.ts';
import { type CreatedUpload, type Head, versionId } from '../store/index.ts';
import type { WriteHeaders } from './upload-content.ts';

export interface UploadedObject {
  readonly facts: CreatedUpload;
  /** Strong, with its quotes. */
  readonly etag: string;
  readonly length: number;
  /** Headers of the answer that made the object. */
  readonly answer: RawHeaders;
  /** Its checksum headers, which CompleteMultipartUpload has in its body. */
  readonly checksums: RawHeaders;
  /** How long S3 took for it, ms; where `facts` don't say when it began. */
  readonly took?: number;
  /** How long it went on answering after `answer`, which has the date; ms. S3 begins to answer Complete before it is done. */
  readonly lasted?: number;
}

/**
 * The head of an object that was just written: what request and answer tell, in the order in which S3 usually sends it.
 * Where something is unknowable it has no Content-Type, without which no answer of S3's is.
 */
export function uploadedHead({ facts, etag, length, answer, checksums, took, lasted = 0 }: UploadedObject): Head {
  const fields = new Map<string, readonly [string, string]>();
  for (const [name, value] of pairs([...facts.headers, ...answerHeaders(answer), ...checksums]))
    fields.set(name.toLowerCase(), [name, value]);
  fields.set('date', ['Date', '']);
  fields.set('etag', ['ETag', etag]);
  fields.set('accept-ranges', ['Accept-Ranges', 'bytes']);
  fields.set('content-length', ['Content-Length', '']);
  if (facts.unknowable) fields.delete('content-type');
  const date = dateOf(answer);
  return {
    etag,
    length,
    version: versionId(etag, length),
    headers: [...fields].sort(([a], [b]) => placeOf(a) - placeOf(b)).flatMap(([, field]) => field),
    lastModified: undefined,
    checksumsKnown: checksums.length > 0,
    written: date === undefined ? Date.now() : date + lasted,
    begun: facts.begun ?? (took === undefined ? undefined : begunAt(answer, took)),
  };
}

/** When S3 began what it took so long for, ms; by its clock alone, which ours may be ahead of. */
export function begunAt(answer: RawHeaders, took: number): number | undefined {
  const date = dateOf(answer);
  return date === undefined ? undefined : date - took;
}

/** Of S3's clock, ms. */
function dateOf(answer: RawHeaders): number | undefined {
  const date = headerValue(answer, 'date');
  return date === undefined ? undefined : parseHttpDate(date);
}

/**
 * What the request that describes an object (PutObject, CreateMultipartUpload) tells of the headers of a later GET. Where S3
 * decides something that isn't told there, only all headers of an answer of its are enough.
 *
 * @param knownStore false for a store other than AWS's own, which may keep `aws-chunked` as part of the object's encoding
 */
export function uploadFacts({ headers, moved }: WriteHeaders, knownStore: boolean): CreatedUpload {
  const fields = new Map<string, string>();
  let unknowable = pairs(moved).some(([name]) => describes(name.toLowerCase()));
  for (const [name, value] of pairs(headers)) {
    const lower = name.toLowerCase();
    if (!describes(lower)) continue;
    // S3 joins what came twice, leaves out what is empty or not, and codes what isn't ASCII: its answer will tell.
    if (
      fields.has(lower) ||
      lower === METADATA ||
      lower.startsWith(LOCK) ||
      !/^[\x20-\x7e]+$/.test(value) ||
      value.startsWith('=?')
    )
      unknowable = true;
    else fields.set(lower, value);
  }
  const encoding = fields.get('content-encoding');
  if (encoding !== undefined) {
    const codings = encoding.split(',').map(coding => coding.trim());
    const kept = codings.filter(coding => coding.toLowerCase() !== 'aws-chunked');
    if (kept.length < codings.length) {
      if (!knownStore || kept.length > 1) unknowable = true;
      if (kept.length === 1) fields.set('content-encoding', kept[0]!);
      else fields.delete('content-encoding');
    }
  }
  if (!fields.has('content-type')) unknowable = true;
  const tags =
    fields
      .get('x-amz-tagging')
      ?.split('&')
      .filter(tag => tag !== '').length ?? 0;
  fields.delete('x-amz-tagging');
  if (tags > 0) fields.set('x-amz-tagging-count', String(tags));
  if (fields.get('x-amz-storage-class') === 'STANDARD') fields.delete('x-amz-storage-class');
  return { headers: [...fields].flatMap(([lower, value]) => [spelled(lower), value]), unknowable };
}

/** What the answer to a write tells of the object: its encryption, version, expiry; `Server` is in all answers. */
export function answerHeaders(answer: RawHeaders): string[] {
  return pairs(answer).flatMap(([name, value]) => (OF_ANSWER.test(name.toLowerCase()) ? [name, value] : []));
}

/** The checksums in the headers of an answer, with their type. */
export function checksumHeaders(answer: RawHeaders): string[] {
  const found = pairs(answer).filter(([name]) => /^x-amz-checksum-/i.test(name));
  return found.some(([name]) => !/-type$/i.test(name)) ? found.flat() : [];
}

/** The ETag of an answer where it is a strong one (design section 2, "version"). */
export function strongEtag(etag: string | undefined): string | undefined {
  return etag !== undefined && /^"[^"]+"$/.test(etag) ? etag : undefined;
}

function describes(lower: string): boolean {
  return DESCRIBING.has(lower) || lower.startsWith(METADATA) || lower.startsWith(LOCK);
}

const METADATA = 'x-amz-meta-';
/** Who may not see an object's lock gets no such headers. */
const LOCK = 'x-amz-object-lock-';

/** PutObject's request headers that GetObject gives back, and the tags, of which it gives the number. */
const DESCRIBING: ReadonlySet<string> = new Set([
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-type',
  'expires',
  'x-amz-storage-class',
  'x-amz-tagging',
  'x-amz-website-redirect-location',
]);

/** A customer's key and the encryption context are not in GetObject's answer. */
const OF_ANSWER =
  /^(x-amz-server-side-encryption(-aws-kms-key-id|-bucket-key-enabled)?|x-amz-version-id|x-amz-expiration|server)$/;

const ORDER = [
  'date',
  'x-amz-expiration',
  'etag',
  'x-amz-tagging-count',
  'x-amz-server-side-encryption',
  'x-amz-server-side-encryption-aws-kms-key-id',
  'x-amz-server-side-encryption-bucket-key-enabled',
  METADATA,
  'x-amz-website-redirect-location',
  'x-amz-storage-class',
  'x-amz-version-id',
  'x-amz-checksum-',
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'expires',
  'accept-ranges',
  'content-type',
  'content-length',
  'server',
];

function placeOf(lower: string): number {
  return ORDER.findIndex(name => lower === name || (name.endsWith('-') && lower.startsWith(name)));
}

/** As S3 spells them. */
function spelled(lower: string): string {
  return lower.startsWith('x-amz-') ? lower : lower.replace(/(^|-)[a-z]/g, start => start.toUpperCase());
}

function pairs(raw: RawHeaders): [string, string][] {
  const list: [string, string][] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) list.push([raw[i]!, raw[i + 1]!]);
  return list;
}
