import { createHash, randomBytes } from 'node:crypto';
import { chunksOf, joinBodies, sliceBody } from './bodies.ts';
import { CHECKSUM_ALGORITHMS, type Checksum, type ChecksumAlgorithm, compositeChecksum, digest } from './checksums.ts';
import { S3Error } from './errors.ts';
import { checksumHeaders } from './get-object.ts';
import {
  type Context,
  checksumElement,
  checksumHeader,
  isoDate,
  type Reply,
  type S3Request,
  xmlReply,
} from './message.ts';
import { evaluateWrite } from './preconditions.ts';
import { resolveRange } from './ranges.ts';
import { md5Hex, newObject, type StoredPart, type Upload, wholeSeconds } from './store.ts';
import { customerKey, keptHeaders, parseTags, readUpload } from './uploads.ts';
import { copySource, current, written } from './write-object.ts';
import { element, list, parseXml, text, xmlDocument } from './xml.ts';

export function createUpload(request: S3Request, context: Context): Reply {
  const bucket = context.store.bucket(request.bucket);
  context.require('write', bucket, request.key);
  const algorithm = CHECKSUM_ALGORITHMS.find(name => name === request.amz('x-amz-checksum-algorithm')?.toLowerCase());
  const asked = request.amz('x-amz-checksum-type')?.toUpperCase();
  const byDefault = algorithm === 'crc64nvme' ? 'FULL_OBJECT' : 'COMPOSITE';
  const checksumType = asked === 'FULL_OBJECT' || asked === 'COMPOSITE' ? asked : byDefault;
  const id = randomBytes(24).toString('base64url');
  context.store.uploads.set(id, {
    id,
    bucket: request.bucket,
    key: request.key,
    headers: keptHeaders(request.headers),
    started: context.now,
    algorithm,
    checksumType,
    customerKeyMd5: customerKey(request),
    tags: parseTags(request.amz('x-amz-tagging')),
    parts: new Map(),
  });
  const headers = algorithm
    ? ['x-amz-checksum-algorithm', algorithm.toUpperCase(), 'x-amz-checksum-type', checksumType]
    : [];
  const result = element('Bucket', request.bucket) + element('Key', request.key) + element('UploadId', id);
  return xmlReply(xmlDocument('InitiateMultipartUploadResult', result), 200, headers);
}

export async function uploadPart(request: S3Request, context: Context): Promise<Reply> {
  const upload = authorised(request, context);
  const number = partNumber(request);
  const { body, checksums } = await readUpload(request);
  const part = { number, body, checksums, etag: `"${md5Hex(body)}"`, lastModified: wholeSeconds(context.now) };
  upload.parts.set(number, part);
  return {
    status: 200,
    headers: ['ETag', part.etag, ...checksumHeaders(checksums).slice(0, checksums.length * 2)],
    body: { length: 0, chunks: [] },
  };
}

export function uploadPartCopy(request: S3Request, context: Context): Reply {
  const upload = authorised(request, context);
  const number = partNumber(request);
  const source = copySource(request, context);
  const range = request.header('x-amz-copy-source-range');
  const span = resolveRange(range, source.body.length);
  if (span === 'unsatisfiable' || (range !== undefined && span === 'all')) {
    throw new S3Error(
      'InvalidArgument',
      'The x-amz-copy-source-range value must be of the form bytes=first-last within the source',
    );
  }
  const body = span === 'all' ? source.body : sliceBody(source.body, span.start, span.end + 1);
  const part: StoredPart = {
    number,
    body,
    checksums: [],
    etag: `"${md5Hex(body)}"`,
    lastModified: wholeSeconds(context.now),
  };
  upload.parts.set(number, part);
  return xmlReply(
    xmlDocument('CopyPartResult', element('LastModified', isoDate(part.lastModified)) + element('ETag', part.etag)),
  );
}

export async function completeUpload(request: S3Request, context: Context): Promise<Reply> {
  const upload = authorised(request, context);
  const bucket = context.store.bucket(request.bucket);
  const { bytes } = await readUpload(withoutChecksums(request));
  const parts = list(parseXml(bytes, 'CompleteMultipartUpload'), 'Part').map(entry => named(upload, entry));
  if (parts.length === 0)
    throw new S3Error(
      'MalformedXML',
      'The XML you provided was not well-formed or did not validate against our published schema',
    );
  if (parts.some((part, i) => i > 0 && part.number <= parts[i - 1]!.number)) {
    throw new S3Error(
      'InvalidPartOrder',
      'The list of parts was not in ascending order. Parts must be ordered by part number.',
    );
  }
  if (parts.slice(0, -1).some(part => part.body.length < 5 * 1024 * 1024)) {
    throw new S3Error('EntityTooSmall', 'Your proposed upload is smaller than the minimum allowed size');
  }
  evaluateWrite(request.header('if-match'), request.header('if-none-match'), current(bucket, request.key));
  const body = joinBodies(parts.map(part => part.body));
  const digests = createHash('md5');
  for (const part of parts) digests.update(part.etag.replaceAll('"', ''), 'hex');
  const given = {
    key: upload.key,
    body,
    parts,
    etag: `"${digests.digest('hex')}-${parts.length}"`,
    headers: upload.headers,
    checksums: wholeChecksum(upload, parts, request),
    customerKeyMd5: upload.customerKeyMd5,
    tags: upload.tags,
  };
  const object = newObject(bucket, given, context.now);
  bucket.put(object);
  context.store.uploads.delete(upload.id);
  const location = `http://${request.host}${request.target.split('?')[0]}`;
  const result =
    element('Location', location) +
    element('Bucket', request.bucket) +
    element('Key', request.key) +
    element('ETag', object.etag) +
    object.checksums
      .map(c => element(checksumElement(c.algorithm), c.value) + element('ChecksumType', c.type))
      .join('');
  return xmlReply(xmlDocument('CompleteMultipartUploadResult', result), 200, written(bucket, object));
}

export function abortUpload(request: S3Request, context: Context): Reply {
  context.store.uploads.delete(authorised(request, context).id);
  return { status: 204, headers: [] };
}

export function listParts(request: S3Request, context: Context): Reply {
  const upload = authorised(request, context);
  const parts = [...upload.parts.values()]
    .sort((a, b) => a.number - b.number)
    .map(part => {
      const inner =
        element('PartNumber', part.number) +
        element('LastModified', isoDate(part.lastModified)) +
        element('ETag', part.etag);
      return `<Part>${inner}${element('Size', part.body.length)}</Part>`;
    });
  const head = element('Bucket', upload.bucket) + element('Key', upload.key) + element('UploadId', upload.id);
  return xmlReply(xmlDocument('ListPartsResult', `${head}${element('IsTruncated', false)}${parts.join('')}`));
}

export function listUploads(request: S3Request, context: Context): Reply {
  const bucket = context.store.bucket(request.bucket);
  context.require('list', bucket, undefined);
  const uploads = [...context.store.uploads.values()].filter(upload => upload.bucket === bucket.name);
  const entries = uploads.map(
    upload =>
      `<Upload>${element('Key', upload.key)}${element('UploadId', upload.id)}${element('Initiated', isoDate(upload.started))}</Upload>`,
  );
  return xmlReply(
    xmlDocument(
      'ListMultipartUploadsResult',
      `${element('Bucket', bucket.name)}${element('IsTruncated', false)}${entries.join('')}`,
    ),
  );
}

function authorised(request: S3Request, context: Context): Upload {
  context.require('write', context.store.bucket(request.bucket), request.key);
  return context.store.upload(request.query.get('uploadId')!, request.bucket, request.key);
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

function named(upload: Upload, entry: Record<string, unknown>): StoredPart {
  const part = upload.parts.get(Number(text(entry, 'PartNumber')));
  const etag = text(entry, 'ETag')?.trim().replaceAll('"', '');
  if (part && etag === part.etag.replaceAll('"', '')) return part;
  const message =
    "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.";
  throw new S3Error('InvalidPart', message, { UploadId: upload.id, PartNumber: text(entry, 'PartNumber') ?? '' });
}

/** On Complete, x-amz-checksum-* headers speak of the whole object, not of this request's XML. */
function withoutChecksums(request: S3Request): S3Request {
  return { ...request, amz: name => (name.startsWith('x-amz-checksum-') ? undefined : request.amz(name)) };
}

function wholeChecksum(upload: Upload, parts: readonly StoredPart[], request: S3Request): Checksum[] {
  const algorithm =
    upload.algorithm ?? CHECKSUM_ALGORITHMS.find(name => request.amz(checksumHeader(name)) !== undefined);
  if (!algorithm) return [];
  const whole =
    upload.checksumType === 'FULL_OBJECT' || !upload.algorithm
      ? fullObject(algorithm, parts)
      : composite(algorithm, parts);
  const given = request.amz(checksumHeader(algorithm));
  if (given !== undefined && given.split('-')[0] !== whole.value.split('-')[0]) {
    throw new S3Error(
      'BadDigest',
      `The ${algorithm.toUpperCase()} you specified did not match the calculated checksum.`,
    );
  }
  return [whole];
}

function fullObject(algorithm: ChecksumAlgorithm, parts: readonly StoredPart[]): Checksum {
  const value = digest(algorithm, chunksOf(joinBodies(parts.map(part => part.body)))).toString('base64');
  return { algorithm, value, type: 'FULL_OBJECT' };
}

function composite(algorithm: ChecksumAlgorithm, parts: readonly StoredPart[]): Checksum {
  return compositeChecksum(
    algorithm,
    parts.map(part => digest(algorithm, chunksOf(part.body))),
  );
}
