import { S3Error } from './errors.ts';
import { checkCustomerKey, checksumHeaders, findObject } from './get-object.ts';
import { type Context, isoDate, type Reply, type S3Request, xmlReply } from './message.ts';
import { evaluateWrite, matches, preconditionFailed } from './preconditions.ts';
import { type Bucket, deleteMarker, md5Hex, newObject, type StoredObject } from './store.ts';
import { customerKey, keptHeaders, parseTags, readUpload } from './uploads.ts';
import { element, list, parseXml, text, xmlDocument } from './xml.ts';

export async function putObject(request: S3Request, context: Context): Promise<Reply> {
  const bucket = context.store.bucket(request.bucket);
  context.require('write', bucket, request.key);
  const [ifMatch, ifNoneMatch] = [request.header('if-match'), request.header('if-none-match')];
  evaluateWrite(ifMatch, ifNoneMatch, current(bucket, request.key));
  const { body, checksums } = await readUpload(request);
  evaluateWrite(ifMatch, ifNoneMatch, current(bucket, request.key));
  const given = {
    key: request.key,
    body,
    checksums,
    headers: keptHeaders(request.headers),
    customerKeyMd5: customerKey(request),
    tags: parseTags(request.amz('x-amz-tagging')),
  };
  const object = newObject(bucket, given, context.now);
  bucket.put(object);
  return {
    status: 200,
    headers: ['ETag', object.etag, ...checksumHeaders(checksums), ...written(bucket, object)],
    body: { length: 0, chunks: [] },
  };
}

export function copyObject(request: S3Request, context: Context): Reply {
  const bucket = context.store.bucket(request.bucket);
  context.require('write', bucket, request.key);
  const source = copySource(request, context);
  evaluateWrite(request.header('if-match'), request.header('if-none-match'), current(bucket, request.key));
  const replace = request.header('x-amz-metadata-directive')?.toUpperCase() === 'REPLACE';
  if (source === bucket.get(request.key) && !replace && request.header('x-amz-storage-class') === undefined) {
    const message =
      "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.";
    throw new S3Error('InvalidRequest', message);
  }
  const retag = request.header('x-amz-tagging-directive')?.toUpperCase() === 'REPLACE';
  const given = {
    key: request.key,
    body: source.body,
    etag: source.parts ? `"${md5Hex(source.body)}"` : source.etag,
    checksums: source.checksums.filter(checksum => checksum.type === 'FULL_OBJECT'),
    headers: replace ? keptHeaders(request.headers) : source.headers,
    customerKeyMd5: customerKey(request),
    tags: retag ? parseTags(request.header('x-amz-tagging')) : source.tags,
  };
  const object = newObject(bucket, given, context.now);
  bucket.put(object);
  const result = element('LastModified', isoDate(object.lastModified)) + element('ETag', object.etag);
  return xmlReply(xmlDocument('CopyObjectResult', result), 200, written(bucket, object));
}

/** The object that x-amz-copy-source names, read permission and x-amz-copy-source-if-* included. */
export function copySource(request: S3Request, context: Context): StoredObject {
  const [path = '', query = ''] = request.header('x-amz-copy-source')!.split('?');
  const found = /^\/?([^/]+)\/(.+)$/.exec(decode(path));
  if (!found)
    throw new S3Error('InvalidArgument', 'Copy Source must mention the source bucket and key: sourcebucket/sourcekey');
  const bucket = context.store.bucket(found[1]!);
  context.require('read', bucket, found[2]!);
  const version = new URLSearchParams(query).get('versionId') ?? undefined;
  const object = findObject(request, context, bucket, found[2]!, version);
  checkCustomerKey(customerKey(request, 'x-amz-copy-source-server-side-encryption-customer'), object);
  const condition = (name: string) => request.header(`x-amz-copy-source-if-${name}`);
  const [match, noneMatch, modified, unmodified] = ['match', 'none-match', 'modified-since', 'unmodified-since'].map(
    condition,
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
  return object;
}

export function deleteObject(request: S3Request, context: Context): Reply {
  const bucket = context.store.bucket(request.bucket);
  context.require('write', bucket, request.key);
  const ifMatch = request.header('if-match');
  if (ifMatch !== undefined) evaluateWrite(ifMatch, undefined, current(bucket, request.key));
  return { status: 204, headers: remove(bucket, request.key, request.query.get('versionId'), context.now) };
}

/** DeleteObjects: a refused key has an Error in the answer, and quiet mode names nothing else. */
export async function deleteObjects(request: S3Request, context: Context): Promise<Reply> {
  const bucket = context.store.bucket(request.bucket);
  const { bytes } = await readUpload(request);
  const asked = parseXml(bytes, 'Delete');
  const quiet = text(asked, 'Quiet')?.trim() === 'true';
  const results = list(asked, 'Object').map(entry => {
    const key = text(entry, 'Key');
    if (key === undefined)
      throw new S3Error(
        'MalformedXML',
        'The XML you provided was not well-formed or did not validate against our published schema',
      );
    const versionId = text(entry, 'VersionId');
    if (!context.may('write', bucket, key)) {
      return `<Error>${element('Key', key)}${element('Code', 'AccessDenied')}${element('Message', 'Access Denied')}</Error>`;
    }
    remove(bucket, key, versionId, context.now);
    return quiet ? '' : `<Deleted>${element('Key', key)}${element('VersionId', versionId)}</Deleted>`;
  });
  return xmlReply(xmlDocument('DeleteResult', results.join('')));
}

function remove(bucket: Bucket, key: string, versionId: string | undefined, now: number): string[] {
  if (versionId !== undefined || !bucket.versioned) {
    bucket.remove(key, versionId);
    return versionId === undefined ? [] : ['x-amz-version-id', versionId];
  }
  const marker = deleteMarker(bucket, key, now);
  bucket.put(marker);
  return ['x-amz-delete-marker', 'true', 'x-amz-version-id', marker.versionId];
}

export function current(bucket: Bucket, key: string): StoredObject | undefined {
  const object = bucket.get(key);
  return object?.deleteMarker ? undefined : object;
}

/** What a write's answer says beside the ETag. */
export function written(bucket: Bucket, object: StoredObject): string[] {
  const headers: string[] = [];
  for (let i = 0; i < object.headers.length; i += 2) {
    if (object.headers[i]!.startsWith('x-amz-server-side-encryption'))
      headers.push(object.headers[i]!, object.headers[i + 1]!);
  }
  if (bucket.versioned) headers.push('x-amz-version-id', object.versionId);
  return headers;
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path.replaceAll('+', '%20'));
  } catch {
    throw new S3Error('InvalidArgument', 'Invalid copy source encoding.');
  }
}
