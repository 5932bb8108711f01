import {
  type HeaderFacts,
  headerValue,
  isSigned,
  type RawHeaders,
  type SignatureFacts,
  setHeader,
} from '../request/index.ts';
import type { Head } from '../store/index.ts';

/** How S3 is asked about a candidate with the caller's own request. */
export interface Question {
  readonly headers: RawHeaders;
  /**
   * `if_none_match`: ours was added, a 304 vouches for the candidate. `one_byte`: a 206 or 200 with the same ETag vouches.
   * `as_it_came`: the caller's preconditions decide what the answer means.
   */
  readonly how: 'if_none_match' | 'one_byte' | 'as_it_came';
}

/**
 * The caller's request, plus `If-None-Match` where it has no precondition of its own, or only an `If-Match` equal to the
 * candidate's ETag: boto3 and the CRT sign such an If-Match on every part of a download, and RFC 9110 section 13.2.2 has
 * If-Match evaluated first, so that both together still answer 304. Nothing signed is changed.
 *
 * Under `aws:kms` a 304 doesn't prove that the caller may use the key: one byte is asked for instead, where Range may be added.
 */
export function questionFor(
  headers: RawHeaders,
  facts: HeaderFacts,
  signature: SignatureFacts,
  method: 'GET' | 'HEAD',
  head: Head,
): Question {
  const others = facts.ifNoneMatch ?? facts.ifModifiedSince ?? facts.ifUnmodifiedSince ?? facts.ifRange;
  const ifMatchIsOurs =
    facts.ifMatch === undefined || facts.ifMatch.trim() === head.etag || `"${facts.ifMatch.trim()}"` === head.etag;
  if (others !== undefined || !ifMatchIsOurs || isSigned(signature, 'if-none-match'))
    return { headers, how: 'as_it_came' };
  const asked = facts.ifMatch !== undefined;
  const mayAsk = asked || !isSigned(signature, 'if-match');
  if (method === 'GET' && isKms(head) && head.length > 0 && !isSigned(signature, 'range') && mayAsk) {
    const oneByte = setHeader(headers, 'Range', 'bytes=0-0');
    return { headers: asked ? oneByte : setHeader(oneByte, 'If-Match', head.etag), how: 'one_byte' };
  }
  return { headers: setHeader(headers, 'If-None-Match', head.etag), how: 'if_none_match' };
}

function isKms(head: Head): boolean {
  return headerValue(head.headers, 'x-amz-server-side-encryption')?.startsWith('aws:kms') === true;
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
  return lastModified !== undefined && known !== undefined && lastModified !== known ? 'rewritten' : 'vouched';
}
