import { createHash } from 'node:crypto';
import { joinBodies } from './bodies.ts';
import { type Checksum, compositeChecksum } from './checksums.ts';
import { type CrcAlgorithm, combineCrc } from './crc-combine.ts';
import { S3Error } from './errors.ts';
import {
  type Context,
  checksumElement,
  checksumElements,
  checksumHeader,
  type Reply,
  type S3Request,
  xmlReply,
} from './message.ts';
import { algorithmOf, authorised } from './multipart-parts.ts';
import { evaluateWrite } from './preconditions.ts';
import { current, written } from './put-object.ts';
import { newObject, type StoredPart, type Upload } from './store.ts';
import { readXml, wrongChecksum } from './uploads.ts';
import { element, list, text, xmlDocument } from './xml.ts';

const SMALLEST_PART = 5 * 2 ** 20;

export async function completeUpload(request: S3Request, context: Context): Promise<Reply> {
  authorised(request, context);
  const bucket = context.store.bucket(request.bucket);
  // x-amz-checksum-* headers speak of the whole object here, not of this request's XML.
  const asked = await readXml(request, 'CompleteMultipartUpload', false);
  const upload = authorised(request, context);
  const parts = list(asked, 'Part').map(entry => named(upload, entry));
  checkParts(parts);
  const body = joinBodies(parts.map(part => part.body));
  const size = request.amz('x-amz-mp-object-size');
  if (size !== undefined && Number(size) !== body.length) {
    const message = `The provided 'x-amz-mp-object-size' header value ${size} does not match what was computed: ${body.length}`;
    throw new S3Error('InvalidRequest', message);
  }
  const checksum = wholeChecksum(upload, parts);
  checkChecksum(request, checksum);
  evaluateWrite(request.header('if-match'), request.header('if-none-match'), current(bucket, request.key));
  const { key, headers, customerKeyMd5, tags, retention, legalHold } = upload;
  const about = { key, headers, customerKeyMd5, tags, retention, legalHold };
  const etag = `"${etagOf(parts)}"`;
  // Last-Modified of a multipart object is when its upload was begun ("Working with object metadata").
  const object = newObject(bucket, { ...about, body, parts, etag, checksums: [checksum] }, upload.started);
  bucket.put(object);
  context.store.uploads.delete(upload.id);
  const result =
    element('Location', `http://${request.host}${request.target.split('?')[0]}`) +
    element('Bucket', request.bucket) +
    element('Key', request.key) +
    element('ETag', object.etag) +
    checksumElements(object.checksums);
  return xmlReply(xmlDocument('CompleteMultipartUploadResult', result), 200, written(bucket, object));
}

/** The part that an entry of the list means: number, ETag and, where the upload has composite ones, checksum must be right. */
function named(upload: Upload, entry: Record<string, unknown>): StoredPart {
  const number = text(entry, 'PartNumber')?.trim() ?? '';
  const part = upload.parts.get(Number(number));
  const etag = text(entry, 'ETag')?.trim().replaceAll('"', '');
  const { algorithm } = upload;
  const checksum = algorithm && text(entry, checksumElement(algorithm))?.trim();
  if (algorithm && upload.checksumType === 'COMPOSITE' && checksum === undefined) {
    const message = `The upload was created using a ${algorithm} checksum. The complete request must include the checksum for each part. It was missing for part ${number} in the request.`;
    throw new S3Error('InvalidRequest', message);
  }
  const isRight = checksum === undefined || checksum === part?.sum?.toString('base64');
  if (part && etag === part.etag.replaceAll('"', '') && isRight) return part;
  const message =
    "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.";
  throw new S3Error('InvalidPart', message, { UploadId: upload.id, PartNumber: number, ETag: etag ?? '' });
}

function checkParts(parts: readonly StoredPart[]): void {
  if (parts.length === 0) {
    const message = 'The XML you provided was not well-formed or did not validate against our published schema';
    throw new S3Error('MalformedXML', message);
  }
  if (parts.some((part, i) => i > 0 && part.number <= parts[i - 1]!.number)) {
    const message = 'The list of parts was not in ascending order. Parts must be ordered by part number.';
    throw new S3Error('InvalidPartOrder', message);
  }
  const small = parts.slice(0, -1).find(part => part.body.length < SMALLEST_PART);
  if (!small) return;
  throw new S3Error('EntityTooSmall', 'Your proposed upload is smaller than the minimum allowed size', {
    ProposedSize: String(small.body.length),
    MinSizeAllowed: String(SMALLEST_PART),
    PartNumber: String(small.number),
    ETag: small.etag.replaceAll('"', ''),
  });
}

function etagOf(parts: readonly StoredPart[]): string {
  const digests = createHash('md5');
  for (const part of parts) digests.update(part.etag.replaceAll('"', ''), 'hex');
  return `${digests.digest('hex')}-${parts.length}`;
}

function wholeChecksum(upload: Upload, parts: readonly StoredPart[]): Checksum {
  const algorithm = algorithmOf(upload);
  const sums = parts.map(part => part.sum!);
  if (upload.checksumType === 'COMPOSITE') return compositeChecksum(algorithm, sums);
  const lengths = parts.map(part => part.body.length);
  return {
    algorithm,
    value: combineCrc(algorithm as CrcAlgorithm, sums, lengths).toString('base64'),
    type: 'FULL_OBJECT',
  };
}

function checkChecksum(request: S3Request, { algorithm, value, type }: Checksum): void {
  const givenType = request.amz('x-amz-checksum-type')?.toUpperCase();
  if (givenType !== undefined && givenType !== type) {
    const message = `The upload was created using the ${type} checksum mode. The complete request must use the same checksum mode.`;
    throw new S3Error('InvalidRequest', message);
  }
  const given = request.amz(checksumHeader(algorithm));
  if (given !== undefined && given.split('-')[0] !== value.split('-')[0]) throw wrongChecksum(algorithm);
}
