import { checkAcl } from './access-list.ts';
import { chunksOf } from './bodies.ts';
import { algorithmNamed, type Checksum, type ChecksumAlgorithm, DEFAULT_ALGORITHM, digest } from './checksums.ts';
import { S3Error } from './errors.ts';
import { checkArchived, checkCustomerKey, findObject } from './find-object.ts';
import { type Context, checksumElements, isoDate, type Reply, type S3Request, xmlReply } from './message.ts';
import { lockOf } from './object-lock.ts';
import { evaluateWrite, matches, preconditionFailed } from './preconditions.ts';
import { current, written } from './put-object.ts';
import { newObject, type StoredObject } from './store.ts';
import { copiedHeaders, keptHeaders } from './stored-headers.ts';
import { customerKey, parseTags } from './uploads.ts';
import { element, xmlDocument } from './xml.ts';

const LARGEST_SOURCE = 5 * 2 ** 30;
/** What a test's generated object may have for its checksum to be made: more would take too long */
const LARGEST_SUMMED = 256 * 2 ** 20;
const CHANGES = ['x-amz-storage-class', 'x-amz-website-redirect-location', 'x-amz-server-side-encryption'];

export function copyObject(request: S3Request, context: Context): Reply {
  const bucket = context.store.bucket(request.bucket);
  context.require('write', bucket, request.key);
  checkAcl(request);
  const { object: source, versionId } = copySource(request, context);
  if (source.body.length > LARGEST_SOURCE) {
    const message = `The specified copy source is larger than the maximum allowable size for a copy source: ${LARGEST_SOURCE}`;
    throw new S3Error('InvalidRequest', message);
  }
  evaluateWrite(request.header('if-match'), request.header('if-none-match'), current(bucket, request.key));
  const replace = request.header('x-amz-metadata-directive')?.toUpperCase() === 'REPLACE';
  const changes = replace || CHANGES.some(name => request.header(name) !== undefined);
  if (source === bucket.get(request.key) && !changes) {
    const message =
      "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.";
    throw new S3Error('InvalidRequest', message);
  }
  const retag = request.header('x-amz-tagging-directive')?.toUpperCase() === 'REPLACE';
  const given = {
    key: request.key,
    body: source.body,
    checksums: checksumsOfCopy(source, algorithmNamed(request.amz('x-amz-checksum-algorithm'))),
    headers: replace ? keptHeaders(request.headers) : copiedHeaders(source.headers, request.headers),
    customerKeyMd5: customerKey(request),
    tags: retag ? parseTags(request.header('x-amz-tagging')) : source.tags,
    ...lockOf(request, bucket),
  };
  const object = newObject(bucket, given, context.now);
  bucket.put(object);
  const result =
    element('LastModified', isoDate(object.lastModified)) +
    element('ETag', object.etag) +
    checksumElements(object.checksums);
  return xmlReply(xmlDocument('CopyObjectResult', result), 200, [...versionId, ...written(bucket, object)]);
}

/** A copy is one run of bytes: it has a checksum of the whole, also where its source, made of parts, had none. */
function checksumsOfCopy(source: StoredObject, asked: ChecksumAlgorithm | undefined): readonly Checksum[] {
  const algorithm = asked ?? source.checksums[0]?.algorithm ?? DEFAULT_ALGORITHM;
  const same = source.checksums.filter(c => c.algorithm === algorithm && c.type === 'FULL_OBJECT');
  if (same.length > 0 || source.body.length > LARGEST_SUMMED) return same;
  return [{ algorithm, value: digest(algorithm, chunksOf(source.body)).toString('base64'), type: 'FULL_OBJECT' }];
}

/** The object that x-amz-copy-source names, read permission and x-amz-copy-source-if-* included, and the header with its version. */
export function copySource(request: S3Request, context: Context): { object: StoredObject; versionId: string[] } {
  const [path = '', query = ''] = request.header('x-amz-copy-source')!.split('?');
  const found = /^\/?([^/]+)\/(.+)$/s.exec(decode(path));
  if (!found)
    throw new S3Error('InvalidArgument', 'Copy Source must mention the source bucket and key: sourcebucket/sourcekey');
  const bucket = context.store.bucket(found[1]!);
  context.require('read', bucket, found[2]!);
  const version = new URLSearchParams(query).get('versionId') ?? undefined;
  const object = findObject(request, context, bucket, found[2]!, version);
  checkCustomerKey(customerKey(request, 'x-amz-copy-source-server-side-encryption-customer'), object);
  checkArchived(object, context.now);
  checkConditions(request, object);
  return { object, versionId: bucket.versioning ? ['x-amz-copy-source-version-id', object.versionId] : [] };
}

function checkConditions(request: S3Request, object: StoredObject): void {
  const [match, noneMatch, modified, unmodified] = ['match', 'none-match', 'modified-since', 'unmodified-since'].map(
    name => request.header(`x-amz-copy-source-if-${name}`),
  );
  if (match !== undefined && !matches(match, object.etag)) throw preconditionFailed('x-amz-copy-source-If-Match');
  if (noneMatch !== undefined && matches(noneMatch, object.etag))
    throw preconditionFailed('x-amz-copy-source-If-None-Match');
  if (match === undefined && unmodified !== undefined && object.lastModified > Date.parse(unmodified)) {
    throw preconditionFailed('x-amz-copy-source-If-Unmodified-Since');
  }
  if (noneMatch === undefined && modified !== undefined && object.lastModified <= Date.parse(modified)) {
    throw preconditionFailed('x-amz-copy-source-If-Modified-Since');
  }
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path.replaceAll('+', '%20'));
  } catch {
    throw new S3Error('InvalidArgument', 'Invalid copy source encoding.');
  }
}
