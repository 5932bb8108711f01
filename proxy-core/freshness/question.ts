import {
  type HeaderFacts,
  headerValue,
  isSigned,
  parseHttpDate,
  type RawHeaders,
  type SignatureFacts,
  setHeader,
} from '../request/index.ts';
import { type Head, isOfWrite, isOtherVersion, s3VersionOf } from '../store/index.ts';

/** How S3 is asked about a candidate with the caller's own request. */
export interface Question {
  readonly headers: RawHeaders;
  /**
   * `if_none_match`: ours was added, a 304 vouches for the candidate. `one_byte`: a 206 or 200 with the same ETag vouches.
   * `as_it_came`: the caller's preconditions decide what the answer means.
   */
  readonly how: 'if_none_match' | 'one_byte' | 'as_it_came';
}

/** A head that S3 is to be asked about. */
export interface Candidate {
  readonly head: Head;
  /**
   * It is not of the object's current epoch: a write has come since S3 told it, or told it itself. The bytes may be the same
   * and what else it says another.
   */
  readonly overtaken: boolean;
  /** S3 has said that the object's bytes are still these. */
  readonly sameBytes: boolean;
}

/** What of the caller's request decides how S3 can be asked with it. */
export interface Asking {
  readonly method: 'GET' | 'HEAD';
  readonly headers: RawHeaders;
  readonly facts: HeaderFacts;
  readonly signature: SignatureFacts;
  readonly partNumber: number | undefined;
}

/**
 * The caller's request, plus `If-None-Match` where it has no precondition of its own, or only an `If-Match` equal to the
 * candidate's ETag: boto3 and the CRT sign such an If-Match on every part of a download, and RFC 9110 section 13.2.2 has
 * If-Match evaluated first, so that both together still answer 304. Nothing signed is changed.
 *
 * One byte is asked for instead, where Range may be added, when a 304 would not tell enough: under `aws:kms` it doesn't prove
 * that the caller may use the key; of what a write told only S3 knows the rest, which a 304 with the date completes where it
 * was all but that; when a write has overtaken a head but not its bytes, every other field may have changed; and a restore
 * from an archive ends without touching ETag or date.
 */
export function questionFor(asking: Asking, { head, overtaken, sameBytes }: Candidate): Question {
  const { method, headers, facts, signature, partNumber } = asking;
  const plainly: Question = { headers, how: 'as_it_came' };
  const others = facts.ifNoneMatch ?? facts.ifModifiedSince ?? facts.ifUnmodifiedSince ?? facts.ifRange;
  const ifMatchIsOurs =
    facts.ifMatch === undefined || facts.ifMatch.trim() === head.etag || `"${facts.ifMatch.trim()}"` === head.etag;
  if (others !== undefined || !ifMatchIsOurs || isSigned(signature, 'if-none-match')) return plainly;
  // A HEAD's own answer has all headers, and no body.
  if (method === 'HEAD' && (overtaken || isPassing(head))) return plainly;
  const asked = facts.ifMatch !== undefined;
  const mayAsk = asked || !isSigned(signature, 'if-match');
  const wantsHeaders = overtaken && (head.written !== undefined || sameBytes);
  const wantsByte = method === 'GET' && head.length > 0 && (isKms(head) || isPassing(head) || wantsHeaders);
  if (wantsByte && partNumber === undefined && mayAsk && !isSigned(signature, 'range')) {
    const oneByte = setHeader(headers, 'Range', 'bytes=0-0');
    return { headers: asked ? oneByte : setHeader(oneByte, 'If-Match', head.etag), how: 'one_byte' };
  }
  // S3 takes no Range beside a part's number.
  if (wantsByte && partNumber !== undefined && isKms(head)) return plainly;
  if (wantsHeaders && (head.length === 0 || !isWholeButDate(head))) return plainly;
  return { headers: setHeader(headers, 'If-None-Match', head.etag), how: 'if_none_match' };
}

function isKms(head: Head): boolean {
  return headerValue(head.headers, 'x-amz-server-side-encryption')?.startsWith('aws:kms') === true;
}

/** It tells of a state that S3 changes by itself, which its validators don't show: archived, being restored, restored, replicated. */
function isPassing({ headers }: Head): boolean {
  return (
    headerValue(headers, 'x-amz-restore') !== undefined ||
    headerValue(headers, 'x-amz-archive-status') !== undefined ||
    headerValue(headers, 'x-amz-replication-status') === 'PENDING' ||
    ARCHIVES.has(headerValue(headers, 'x-amz-storage-class') ?? '')
  );
}

const ARCHIVES: ReadonlySet<string> = new Set(['GLACIER', 'DEEP_ARCHIVE']);

/** A write told it, and all that a reader is to hear but for Last-Modified: where something was left to S3 it has no Content-Type. */
function isWholeButDate(head: Head): boolean {
  return head.written !== undefined && headerValue(head.headers, 'content-type') !== undefined;
}

/** What an answer to a question says of the candidate. */
export type Verdict =
  /** S3 vouched for the candidate: it may be served. */
  | 'vouched'
  /** Same bytes, but rewritten: other metadata may have changed, so the request is repeated plainly. */
  | 'rewritten'
  /** The answer is the answer: relay it, and store it where it is a body. */
  | 'answer';

/** RFC 9110 section 15.4.5 and design section 5: which 304 (or one-byte 206) vouches for which head. */
export function judge(question: Question, head: Head, status: number, headers: RawHeaders): Verdict {
  if (question.how === 'as_it_came') return 'answer';
  const etag = headerValue(headers, 'etag');
  if (question.how === 'if_none_match') {
    if (status !== 304) return 'answer';
    // A 304 that is about something else is none of the caller's: it asked for no such thing.
    if (etag !== undefined && etag !== head.etag) return 'rewritten';
  } else if ((status !== 206 && status !== 200) || etag !== head.etag) {
    // What answers our own Range and If-Match is not for the caller (400: S3 takes no Range with partNumber); errors that
    // would meet its request, too, are.
    return status <= 400 || status === 412 || status === 416 ? 'rewritten' : 'answer';
  }
  const lastModified = headerValue(headers, 'last-modified');
  const known = headerValue(head.headers, 'last-modified');
  // A 206 tells all that a write did not.
  if (head.written !== undefined && question.how === 'one_byte') return 'vouched';
  if (isOtherVersion(s3VersionOf(head.headers), s3VersionOf(headers))) return 'rewritten';
  // What a write told is complete with its date; a 304 without it leaves too much open.
  if (head.written !== undefined)
    return isOfWrite(head, lastModified === undefined ? undefined : parseHttpDate(lastModified))
      ? 'vouched'
      : 'rewritten';
  return lastModified !== undefined && known !== undefined && lastModified !== known ? 'rewritten' : 'vouched';
}
