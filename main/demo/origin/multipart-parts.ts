import { randomBytes } from 'node:crypto';
import { checkAcl } from './access-list.ts';
import { type Body, chunksOf, sliceBody } from './bodies.ts';
import { algorithmNamed, type Checksum, type ChecksumAlgorithm, DEFAULT_ALGORITHM, digest } from './checksums.ts';
import { copySource } from './copy-object.ts';
import { S3Error } from './errors.ts';
import {
  type Context,
  checksumElements,
  checksumHeaders,
  EMPTY,
  isoDate,
  type Reply,
  type S3Request,
  xmlReply,
} from './message.ts';
import { lockOf } from './object-lock.ts';
import { resolveRange } from './ranges.ts';
import { etagHex, type StoredPart, type Upload, wholeSeconds } from './store.ts';
import { encryptionHeaders, keptHeaders } from './stored-headers.ts';
import { customerKey, customerKeyHeaders, parseTags, readUpload } from './uploads.ts';
import { element, xmlDocument } from './xml.ts';

export function createUpload(request: S3Request, context: Context): Reply {
  const bucket = context.store.bucket(request.bucket);
  context.require('write', bucket, request.key);
  checkAcl(request);
  const { algorithm, type } = checksumOfUpload(request);
  const upload: Upload = {
    // Clients take a value that begins with a hyphen for an option of theirs.
    id: `u${randomBytes(24).toString('base64url')}`,
    bucket: request.bucket,
    key: request.key,
    headers: keptHeaders(request.headers),
    started: context.now,
    algorithm,
    checksumType: type,
    customerKeyMd5: customerKey(request),
    tags: parseTags(request.amz('x-amz-tagging')),
    ...lockOf(request, bucket),
    parts: new Map(),
  };
  context.store.uploads.set(upload.id, upload);
  const headers = encryptionOf(upload);
  if (algorithm) headers.push('x-amz-checksum-algorithm', algorithm.toUpperCase(), 'x-amz-checksum-type', type);
  const result = element('Bucket', upload.bucket) + element('Key', upload.key) + element('UploadId', upload.id);
  return xmlReply(xmlDocument('InitiateMultipartUploadResult', result), 200, headers);
}

export async function uploadPart(request: S3Request, context: Context): Promise<Reply> {
  const upload = authorised(request, context);
  const number = partNumber(request);
  const known = context.store.expected(request.bucket, request.key, number);
  const { body, checksums, sum } = await readUpload(request, algorithmOf(upload), known);
  checkAlgorithm(upload, checksums[0]?.algorithm);
  // Aborted or completed while the body came
  authorised(request, context);
  const part = newPart(upload, { number, body, checksums, sum }, context.now);
  return {
    status: 200,
    headers: ['ETag', part.etag, ...checksumHeaders(checksums).slice(0, 2), ...encryptionOf(upload)],
    body: EMPTY,
  };
}

export function uploadPartCopy(request: S3Request, context: Context): Reply {
  const upload = authorised(request, context);
  const number = partNumber(request);
  const { object: source, versionId } = copySource(request, context);
  const range = request.header('x-amz-copy-source-range');
  const span = resolveRange(range, source.body.length);
  const last = /-(\d+)$/.exec(range ?? '')?.[1];
  const beyond = last !== undefined && Number(last) >= source.body.length;
  if (beyond || span === 'unsatisfiable' || (range !== undefined && (span === 'all' || last === undefined))) {
    const message =
      range !== undefined && (beyond || span === 'unsatisfiable')
        ? `Range specified is not valid for source object of size: ${source.body.length}`
        : 'The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy';
    throw new S3Error('InvalidArgument', message);
  }
  const body = span === 'all' ? source.body : sliceBody(source.body, span.start, span.end + 1);
  const sum = digest(algorithmOf(upload), chunksOf(body));
  // Nobody sends a checksum with a copy: S3 computes the one that the upload is to have.
  const { algorithm } = upload;
  const checksums: Checksum[] = algorithm
    ? [{ algorithm, value: sum.toString('base64'), type: upload.checksumType }]
    : [];
  const part = newPart(upload, { number, body, checksums, sum }, context.now);
  const result =
    element('LastModified', isoDate(part.lastModified)) +
    element('ETag', part.etag) +
    checksumElements(checksums).replace(/<ChecksumType>.*/, '');
  return xmlReply(xmlDocument('CopyPartResult', result), 200, [...versionId, ...encryptionOf(upload)]);
}

export function abortUpload(request: S3Request, context: Context): Reply {
  context.store.uploads.delete(authorised(request, context).id);
  return { status: 204, headers: [] };
}

export function authorised(request: S3Request, context: Context): Upload {
  context.require('write', context.store.bucket(request.bucket), request.key);
  return context.store.upload(request.query.get('uploadId')!, request.bucket, request.key);
}

/** What is computed of each part: with parts of none of their own, S3 makes the default one of the whole object. */
export function algorithmOf(upload: Upload): ChecksumAlgorithm {
  return upload.algorithm ?? DEFAULT_ALGORITHM;
}

export function encryptionOf(upload: Upload): string[] {
  return [...encryptionHeaders(upload.headers), ...customerKeyHeaders(upload.customerKeyMd5)];
}

/** "Full object and composite checksum types": CRC64NVME is always of the whole, SHA never. */
function checksumOfUpload(request: S3Request): { algorithm: ChecksumAlgorithm | undefined; type: Checksum['type'] } {
  const named = request.amz('x-amz-checksum-algorithm');
  const algorithm = algorithmNamed(named);
  if (named !== undefined && !algorithm) {
    throw new S3Error('InvalidRequest', 'Checksum algorithm provided is unsupported. Please try again.');
  }
  const asked = request.amz('x-amz-checksum-type')?.toUpperCase();
  if (asked !== undefined && asked !== 'FULL_OBJECT' && asked !== 'COMPOSITE') {
    throw new S3Error('InvalidRequest', 'Value for x-amz-checksum-type header is invalid.');
  }
  const only =
    !algorithm || algorithm === 'crc64nvme' ? 'FULL_OBJECT' : /^sha/.test(algorithm) ? 'COMPOSITE' : undefined;
  if (algorithm && asked !== undefined && only !== undefined && asked !== only) {
    const message = `The ${asked} checksum type cannot be used with the ${algorithm} checksum algorithm.`;
    throw new S3Error('InvalidRequest', message);
  }
  return { algorithm, type: only ?? asked ?? 'COMPOSITE' };
}

function checkAlgorithm(upload: Upload, came: ChecksumAlgorithm | undefined): void {
  if (!upload.algorithm || came === upload.algorithm) return;
  if (came === undefined && upload.checksumType === 'FULL_OBJECT') return;
  const message = `Checksum Type mismatch occurred, expected checksum Type: ${upload.algorithm}, actual checksum Type: ${came ?? 'null'}`;
  throw new S3Error('InvalidRequest', message);
}

function newPart(
  upload: Upload,
  given: { number: number; body: Body; checksums: readonly Checksum[]; sum: Buffer | undefined },
  now: number,
): StoredPart {
  const { headers, customerKeyMd5 } = upload;
  const etag = `"${etagHex({ body: given.body, headers, customerKeyMd5 })}"`;
  const part = { ...given, etag, lastModified: wholeSeconds(now) };
  upload.parts.set(part.number, part);
  return part;
}

function partNumber(request: S3Request): number {
  const asked = request.query.get('partNumber') ?? '';
  const number = /^\d{1,5}$/.test(asked) ? Number(asked) : 0;
  if (number >= 1 && number <= 10_000) return number;
  throw new S3Error('InvalidArgument', 'Part number must be an integer between 1 and 10000, inclusive', {
    ArgumentName: 'partNumber',
    ArgumentValue: asked,
  });
}
