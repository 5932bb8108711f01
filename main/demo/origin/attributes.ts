import { S3Error } from './errors.ts';
import { checkCustomerKey, findObject } from './find-object.ts';
import { type Context, checksumElements, httpDate, type Reply, type S3Request, xmlReply } from './message.ts';
import type { StoredObject } from './store.ts';
import { storageClass } from './stored-headers.ts';
import { customerKey } from './uploads.ts';
import { element, xmlDocument } from './xml.ts';

/** GetObjectAttributes: what was asked for, in S3's order; parts are named only where they have checksums. */
export function getAttributes(request: S3Request, context: Context): Reply {
  const bucket = context.store.bucket(request.bucket);
  context.require('read', bucket, request.key);
  const object = findObject(request, context, bucket, request.key, request.query.get('versionId'));
  checkCustomerKey(customerKey(request), object);
  const asked = new Set((request.header('x-amz-object-attributes') ?? '').split(',').map(name => name.trim()));
  const content = Object.entries(ATTRIBUTES)
    .map(([name, say]) => (asked.has(name) ? say(object) : ''))
    .join('');
  if (![...asked].every(name => name in ATTRIBUTES)) {
    throw new S3Error('InvalidArgument', 'Invalid attribute name specified.');
  }
  const headers = ['Last-Modified', httpDate(object.lastModified)];
  if (bucket.versioning) headers.push('x-amz-version-id', object.versionId);
  return xmlReply(xmlDocument('GetObjectAttributesResponse', content), 200, headers);
}

const ATTRIBUTES: Readonly<Record<string, (object: StoredObject) => string>> = {
  ETag: object => element('ETag', object.etag.replaceAll('"', '')),
  Checksum: ({ checksums }) => (checksums.length > 0 ? `<Checksum>${checksumElements(checksums)}</Checksum>` : ''),
  ObjectParts: ({ parts }) => (parts ? `<ObjectParts>${partsOf(parts)}</ObjectParts>` : ''),
  StorageClass: object => element('StorageClass', storageClass(object.headers)),
  ObjectSize: object => element('ObjectSize', object.body.length),
};

function partsOf(parts: NonNullable<StoredObject['parts']>): string {
  const named = parts
    .filter(part => part.checksums.length > 0)
    .map(part => {
      const checksum = checksumElements(part.checksums).replace(/<ChecksumType>.*/, '');
      return `<Part>${checksum}${element('PartNumber', part.number)}${element('Size', part.body.length)}</Part>`;
    });
  return `${element('IsTruncated', false)}${element('PartsCount', parts.length)}${named.join('')}`;
}
