import { S3Error } from './errors.ts';
import { type Context, checksumElements, isoDate, type Reply, type S3Request, xmlReply } from './message.ts';
import { authorised } from './multipart-parts.ts';
import type { Upload } from './store.ts';
import { storageClass } from './stored-headers.ts';
import { element, xmlDocument } from './xml.ts';

const PERSON = `${element('ID', 'cistern-demo')}${element('DisplayName', 'demo')}`;
const OWNERS = `<Initiator>${PERSON}</Initiator><Owner>${PERSON}</Owner>`;

/** ListParts, in pages. */
export function listParts(request: S3Request, context: Context): Reply {
  const upload = authorised(request, context);
  const marker = number(request, 'part-number-marker', 0);
  const limit = Math.min(number(request, 'max-parts', 1000), 1000);
  const after = [...upload.parts.values()].sort((a, b) => a.number - b.number).filter(part => part.number > marker);
  const page = after.slice(0, limit);
  const parts = page.map(part => {
    const inner =
      element('PartNumber', part.number) +
      element('LastModified', isoDate(part.lastModified)) +
      element('ETag', part.etag) +
      element('Size', part.body.length) +
      checksumElements(part.checksums).replace(/<ChecksumType>.*/, '');
    return `<Part>${inner}</Part>`;
  });
  const head =
    element('Bucket', upload.bucket) +
    element('Key', upload.key) +
    element('UploadId', upload.id) +
    element('PartNumberMarker', marker) +
    element('NextPartNumberMarker', page.at(-1)?.number ?? marker) +
    element('MaxParts', limit) +
    element('IsTruncated', after.length > page.length) +
    checksumOf(upload) +
    element('StorageClass', storageClass(upload.headers));
  return xmlReply(xmlDocument('ListPartsResult', head + OWNERS + parts.join('')));
}

/** ListMultipartUploads, in pages, by key and then by the time of their beginning. */
export function listUploads(request: S3Request, context: Context): Reply {
  const bucket = context.store.bucket(request.bucket);
  context.require('list', bucket, undefined);
  const prefix = request.query.get('prefix') ?? '';
  const keyMarker = request.query.get('key-marker') ?? '';
  const idMarker = request.query.get('upload-id-marker') ?? '';
  const limit = Math.min(number(request, 'max-uploads', 1000), 1000);
  const encode = request.query.get('encoding-type') === 'url' ? encodeURIComponent : (key: string) => key;
  const all = [...context.store.uploads.values()].filter(
    upload => upload.bucket === bucket.name && upload.key.startsWith(prefix),
  );
  all.sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)) || a.started - b.started);
  const at = all.findIndex(upload => upload.key === keyMarker && upload.id === idMarker);
  const after = at >= 0 ? all.slice(at + 1) : all.filter(upload => keyMarker === '' || upload.key > keyMarker);
  const page = after.slice(0, limit);
  const more = after.length > page.length;
  const entries = page.map(upload => {
    const about =
      element('Key', encode(upload.key)) +
      element('UploadId', upload.id) +
      OWNERS +
      element('StorageClass', storageClass(upload.headers)) +
      element('Initiated', isoDate(upload.started)) +
      checksumOf(upload);
    return `<Upload>${about}</Upload>`;
  });
  const head =
    element('Bucket', bucket.name) +
    element('KeyMarker', encode(keyMarker)) +
    element('UploadIdMarker', idMarker) +
    element('NextKeyMarker', more ? encode(page.at(-1)!.key) : undefined) +
    element('NextUploadIdMarker', more ? page.at(-1)!.id : undefined) +
    element('Prefix', prefix === '' ? undefined : encode(prefix)) +
    element('MaxUploads', limit) +
    element('IsTruncated', more);
  return xmlReply(xmlDocument('ListMultipartUploadsResult', head + entries.join('')));
}

function checksumOf({ algorithm, checksumType }: Upload): string {
  if (!algorithm) return '';
  return element('ChecksumAlgorithm', algorithm.toUpperCase()) + element('ChecksumType', checksumType);
}

function number(request: S3Request, name: string, otherwise: number): number {
  const asked = request.query.get(name);
  if (asked === undefined) return otherwise;
  if (/^\d{1,10}$/.test(asked)) return Number(asked);
  throw new S3Error('InvalidArgument', `Provided ${name} not an integer or within integer range`, {
    ArgumentName: name,
    ArgumentValue: asked,
  });
}
