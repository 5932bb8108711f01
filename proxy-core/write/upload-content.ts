import { headerValue, headerValues, type RawHeaders, type TargetFacts } from '../request/index.ts';
import { isAwsChunked } from './aws-chunked.ts';

/** How the body of an upload holds its content. */
export interface UploadContent {
  /** aws-chunked */
  readonly chunked: boolean;
  /** Bytes of the content, where the request says so. */
  readonly length: number | undefined;
}

/**
 * What a request says of the content that it brings; a reason instead where that isn't clear, or where no copy of it may be
 * kept. Pure.
 */
export function uploadContent(
  { headers, moved }: WriteHeaders,
  framing: 'none' | 'length' | 'chunked',
): UploadContent | { readonly reason: string } {
  const all = [...headers, ...moved];
  const value = (name: string) => headerValues(all, name).join(',') || undefined;
  if (all.some((name, i) => i % 2 === 0 && CUSTOMER_KEY.test(name))) return { reason: 'sse_c' };
  // Appends to an object: what comes is not the whole of it (S3 API reference, PutObject).
  if (value('x-amz-write-offset-bytes') !== undefined) return { reason: 'write_offset' };
  // A GET is refused until the object is restored.
  if (ARCHIVED.has(value('x-amz-storage-class') ?? '')) return { reason: 'archived' };
  const encoding = value('content-encoding');
  const sha256 = value('x-amz-content-sha256');
  const decoded = value('x-amz-decoded-content-length');
  const decodedLength = lengthOf(decoded);
  if (decoded !== undefined && decodedLength === undefined) return { reason: 'unclear_length' };
  if (isAwsChunked(headerValue(moved, 'x-amz-content-sha256'))) return { reason: 'unclear_length' };
  if (isAwsChunked(sha256, encoding)) {
    // Where Content-Encoding alone says so, the body may be signed, and stored, as it is.
    const unclear = !isAwsChunked(sha256) && decoded === undefined;
    return unclear ? { reason: 'unclear_length' } : { chunked: true, length: decodedLength };
  }
  const length = framing === 'none' ? 0 : lengthOf(value('content-length'));
  if (framing === 'length' && length === undefined) return { reason: 'unclear_length' };
  if (decoded !== undefined && decodedLength !== length) return { reason: 'unclear_length' };
  return { chunked: false, length };
}

/** What a write says in its headers. */
export interface WriteHeaders {
  readonly headers: RawHeaders;
  /**
   * `x-amz-` headers that a presigned URL carries as query parameters instead. S3 honours some (metadata) and ignores others
   * (tags), which isn't documented: aws-sdk-js-v3 issues 4694 and 3496.
   */
  readonly moved: RawHeaders;
}

export function headersOfWrite(headers: RawHeaders, { presigned, query }: TargetFacts): WriteHeaders {
  if (!presigned) return { headers, moved: [] };
  return { headers, moved: [...query].filter(([name]) => /^x-amz-/i.test(name) && !PRESIGNING.test(name)).flat() };
}

const CUSTOMER_KEY = /^x-amz-server-side-encryption-customer-/i;
const ARCHIVED: ReadonlySet<string> = new Set(['GLACIER', 'DEEP_ARCHIVE']);
const PRESIGNING = /^x-amz-(algorithm|credential|date|expires|signedheaders|signature|security-token|region-set)$/i;

function lengthOf(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}
