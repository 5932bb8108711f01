import { type Context, isoDate, type Reply, type S3Request, xmlReply } from './message.ts';
import type { StoredObject } from './store.ts';
import { storageClass } from './stored-headers.ts';
import { element, xmlDocument } from './xml.ts';

/** ListObjectVersions, in pages; without a delimiter, which nobody who lists versions here needs. */
export function listVersions(request: S3Request, context: Context): Reply {
  const bucket = context.store.bucket(request.bucket);
  const prefix = request.query.get('prefix') ?? '';
  context.require('list', bucket, prefix);
  const keyMarker = request.query.get('key-marker') ?? '';
  const idMarker = request.query.get('version-id-marker') ?? '';
  const limit = Math.min(Number(request.query.get('max-keys') ?? 1000), 1000);
  const url = request.query.get('encoding-type') === 'url';
  const encode = (key: string) => (url ? encodeURIComponent(key) : key);
  const all = bucket.listVersions().filter(object => object.key.startsWith(prefix));
  const at = all.findIndex(object => object.key === keyMarker && object.versionId === idMarker);
  const after =
    at >= 0 ? all.slice(at + 1) : all.filter(object => Buffer.compare(bytes(object.key), bytes(keyMarker)) > 0);
  const page = after.slice(0, limit);
  const more = after.length > page.length;
  const head =
    element('Name', bucket.name) +
    element('Prefix', encode(prefix)) +
    element('KeyMarker', encode(keyMarker)) +
    element('VersionIdMarker', idMarker) +
    element('NextKeyMarker', more ? encode(page.at(-1)!.key) : undefined) +
    element('NextVersionIdMarker', more ? page.at(-1)!.versionId : undefined) +
    element('MaxKeys', limit) +
    element('EncodingType', url ? 'url' : undefined) +
    element('IsTruncated', more);
  const entries = page.map(object => entryOf(object, bucket.get(object.key) === object, encode));
  return xmlReply(xmlDocument('ListVersionsResult', head + entries.join('')));
}

function entryOf(object: StoredObject, isLatest: boolean, encode: (key: string) => string): string {
  const common =
    element('Key', encode(object.key)) +
    element('VersionId', object.versionId) +
    element('IsLatest', isLatest) +
    element('LastModified', isoDate(object.lastModified));
  if (object.deleteMarker) return `<DeleteMarker>${common}</DeleteMarker>`;
  const content =
    element('ETag', object.etag) +
    element('Size', object.body.length) +
    element('StorageClass', storageClass(object.headers));
  return `<Version>${common}${content}</Version>`;
}

function bytes(key: string): Buffer {
  return Buffer.from(key, 'utf8');
}
