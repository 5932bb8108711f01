import { headerValue, type RawHeaders } from '../request/index.ts';

/** What is known of an object's current version. Facts only: nothing here is computed from settings (design section 3, rule 7). */
export interface Head {
  /** Strong, with its quotes. */
  readonly etag: string;
  /** Bytes of the whole object. */
  readonly length: number;
  /** Id of the version, see `versionId`. */
  readonly version: string;
  /**
   * The answer's headers as S3 sent them, less what belongs to one answer only. `Date` and `Content-Length` keep their
   * place with an empty value and are filled in when the head is replayed.
   */
  readonly headers: RawHeaders;
  /** Of `Last-Modified`, ms since the epoch. */
  readonly lastModified: number | undefined;
  /** Whether the whole object's `x-amz-checksum-*` headers are known (learnt with x-amz-checksum-mode, or known to be none). */
  readonly checksumsKnown: boolean;
  /**
   * Of a head made from a write's request and answer, which no reader has asked S3 about yet: the `Date` of that answer (or
   * our clock), ms. It is never fresh. Undefined for a head that S3's answers to reads told.
   */
  readonly written?: number | undefined;
  /** Of such a head: when S3 began to take the object in, by the same clock; ms. */
  readonly begun?: number | undefined;
}

/** When and in which epoch S3 vouched for a head. Overwritten in place. */
export interface Stamp {
  /** When the request was sent whose answer vouched for the version; ms since the epoch on the volume's clock. */
  readonly validatedAt: number;
  /** `''` when the object was never written through Cistern. */
  readonly epoch: string;
}

/** Which writing of a version's bytes something was told of: they may be written again, with other checksums. */
export interface Writing extends Pick<Head, 'lastModified' | 'written' | 'begun'> {
  /** S3's own name for it, of a bucket with versioning: `x-amz-version-id`. */
  readonly s3Version?: string | undefined;
}

export function writingOf({ headers, lastModified, written, begun }: Head): Writing {
  return { lastModified, written, begun, s3Version: s3VersionOf(headers) };
}

export function s3VersionOf(headers: RawHeaders): string | undefined {
  return headerValue(headers, 'x-amz-version-id');
}

/** An older version becomes current when the newer one is deleted. Where one isn't told, that is not known. */
export function isOtherVersion(known: string | undefined, seen: string | undefined): boolean {
  return known !== undefined && seen !== undefined && known !== seen;
}

/** What is known of one part of a multipart object: the answer to `?partNumber=`. */
export interface Part extends Writing {
  readonly start: number;
  readonly end: number;
  /** `x-amz-mp-parts-count` and the part's own checksum headers. */
  readonly headers: RawHeaders;
  readonly checksumsKnown: boolean;
}

/** Whether what is known of a version and what is seen of it are of one writing of its bytes, as far as S3's name and dates tell. */
export function isSameWriting(known: Writing, seen: Writing): boolean {
  if (isOtherVersion(known.s3Version, seen.s3Version)) return false;
  if (known.written === undefined) return seen.written === undefined && known.lastModified === seen.lastModified;
  return seen.written === undefined ? isOfWrite(known, seen.lastModified) : known.written === seen.written;
}

/**
 * Whether an object with such a Last-Modified, in ms, is the one that a write made, and not the same bytes written at another
 * time. S3 dates an object, in whole seconds, by when it took the write in: of a multipart upload, when that was begun. The
 * dates of its answers are perhaps another machine's.
 */
export function isOfWrite(
  { written, begun }: Pick<Head, 'written' | 'begun'>,
  lastModified: number | undefined,
): boolean {
  if (written === undefined || lastModified === undefined) return false;
  return lastModified <= written + CLOCKS && (begun === undefined || lastModified >= begun - CLOCKS);
}

const CLOCKS = 2000;

/** Whether what is known says all that this head says. Answers of one object may differ in the order of their fields. */
export function isSameHead(known: Head | undefined, head: Head): boolean {
  if (known === undefined || known === head) return known === head;
  const { version, headers, checksumsKnown, written } = head;
  if (known.version !== version || known.checksumsKnown !== checksumsKnown || known.written !== written) return false;
  if (known.headers.length !== headers.length) return false;
  return headers.every((name, i) => i % 2 === 1 || headerValue(known.headers, name.toLowerCase()) === headers[i + 1]);
}
