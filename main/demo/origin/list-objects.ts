import { S3Error } from './errors.ts';
import { type Context, checksumElement, isoDate, type Reply, type S3Request, xmlReply } from './message.ts';
import type { StoredObject } from './store.ts';
import { storageClass } from './stored-headers.ts';
import { element, xmlDocument } from './xml.ts';

interface Page {
  readonly objects: readonly StoredObject[];
  readonly prefixes: readonly string[];
  /** The last key or common prefix on this page, when there is more after it */
  readonly next: string | undefined;
}

export function listObjectsV2(request: S3Request, context: Context): Reply {
  const token = request.query.get('continuation-token');
  const after =
    token === undefined ? request.query.get('start-after') : Buffer.from(token, 'base64url').toString('utf8');
  const { page, common, encode } = list(request, context, after);
  const count = page.objects.length + page.prefixes.length;
  const content =
    common +
    element('KeyCount', count) +
    element('ContinuationToken', token) +
    element(
      'NextContinuationToken',
      page.next === undefined ? undefined : Buffer.from(page.next).toString('base64url'),
    ) +
    (token === undefined && after !== undefined ? element('StartAfter', encode(after)) : '');
  return listing(content, page, encode);
}

export function listObjectsV1(request: S3Request, context: Context): Reply {
  const marker = request.query.get('marker');
  const { page, common, encode } = list(request, context, marker);
  const next = page.next !== undefined && request.query.has('delimiter') ? encode(page.next) : undefined;
  return listing(common + element('Marker', encode(marker ?? '')) + element('NextMarker', next), page, encode);
}

function list(request: S3Request, context: Context, after: string | undefined) {
  const bucket = context.store.bucket(request.bucket);
  const prefix = request.query.get('prefix') ?? '';
  context.require('list', bucket, prefix);
  const delimiter = request.query.get('delimiter');
  const asked = request.query.get('max-keys') ?? '1000';
  if (!/^\d{1,10}$/.test(asked))
    throw new S3Error('InvalidArgument', 'Provided max-keys not an integer or within integer range', {
      ArgumentName: 'max-keys',
      ArgumentValue: asked,
    });
  const limit = Math.min(Number(asked), 1000);
  const page = paginate(bucket.list(), prefix, delimiter, after, limit);
  const url = request.query.get('encoding-type') === 'url';
  const encode = (key: string) => (url ? encodeURIComponent(key).replaceAll('%2F', '/').replaceAll('%20', '+') : key);
  const common =
    element('Name', bucket.name) +
    element('Prefix', encode(prefix)) +
    element('Delimiter', delimiter === undefined ? undefined : encode(delimiter)) +
    element('MaxKeys', limit) +
    element('EncodingType', url ? 'url' : undefined) +
    element('IsTruncated', page.next !== undefined);
  return { page, common, encode };
}

/** Keys after `after`, those with a common prefix folded into it; a prefix counts as one. */
function paginate(
  sorted: readonly StoredObject[],
  prefix: string,
  delimiter: string | undefined,
  after: string | undefined,
  limit: number,
): Page {
  const objects: StoredObject[] = [];
  const prefixes: string[] = [];
  let last: string | undefined;
  for (const object of sorted) {
    if (!object.key.startsWith(prefix)) continue;
    const cut = delimiter ? object.key.indexOf(delimiter, prefix.length) : -1;
    const entry = cut < 0 ? object.key : object.key.slice(0, cut + delimiter!.length);
    if (entry === prefixes.at(-1) && cut >= 0) continue;
    if (after !== undefined && !comesAfter(entry, object.key, after, cut >= 0)) continue;
    if (objects.length + prefixes.length >= limit) return { objects, prefixes, next: limit === 0 ? undefined : last };
    if (cut < 0) objects.push(object);
    else prefixes.push(entry);
    last = entry;
  }
  return { objects, prefixes, next: undefined };
}

function comesAfter(entry: string, key: string, after: string, folded: boolean): boolean {
  if (folded && after.startsWith(entry))
    return after !== entry && Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0;
  return Buffer.compare(Buffer.from(entry), Buffer.from(after)) > 0;
}

function listing(content: string, page: Page, encode: (key: string) => string): Reply {
  const objects = page.objects.map(object => {
    const checksum = object.checksums
      .map(c => element('ChecksumAlgorithm', checksumElement(c.algorithm).slice('Checksum'.length)))
      .join('');
    const type = element('ChecksumType', object.checksums[0]?.type);
    const inner =
      element('Key', encode(object.key)) +
      element('LastModified', isoDate(object.lastModified)) +
      element('ETag', object.etag);
    return `<Contents>${inner}${checksum}${type}${element('Size', object.body.length)}${element('StorageClass', storageClass(object.headers))}</Contents>`;
  });
  const prefixes = page.prefixes.map(prefix => `<CommonPrefixes>${element('Prefix', encode(prefix))}</CommonPrefixes>`);
  return xmlReply(xmlDocument('ListBucketResult', content + objects.join('') + prefixes.join('')));
}
