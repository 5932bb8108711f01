import { checkAcl } from './access-list.ts';
import { DEFAULT_ALGORITHM } from './checksums.ts';
import { type Context, checksumHeaders, EMPTY, type Reply, type S3Request } from './message.ts';
import { lockOf } from './object-lock.ts';
import { evaluateWrite } from './preconditions.ts';
import { type Bucket, newObject, type StoredObject } from './store.ts';
import { encryptionHeaders, keptHeaders } from './stored-headers.ts';
import { customerKey, customerKeyHeaders, parseTags, readUpload } from './uploads.ts';

export async function putObject(request: S3Request, context: Context): Promise<Reply> {
  const bucket = context.store.bucket(request.bucket);
  context.require('write', bucket, request.key);
  checkAcl(request);
  const [ifMatch, ifNoneMatch] = [request.header('if-match'), request.header('if-none-match')];
  const about = {
    headers: keptHeaders(request.headers),
    customerKeyMd5: customerKey(request),
    tags: parseTags(request.amz('x-amz-tagging')),
    ...lockOf(request, bucket),
  };
  evaluateWrite(ifMatch, ifNoneMatch, current(bucket, request.key));
  const known = context.store.expected(request.bucket, request.key);
  const { body, checksums: came, sum } = await readUpload(request, DEFAULT_ALGORITHM, known);
  evaluateWrite(ifMatch, ifNoneMatch, current(bucket, request.key));
  const own = { algorithm: DEFAULT_ALGORITHM, value: sum!.toString('base64'), type: 'FULL_OBJECT' } as const;
  const checksums = came.length > 0 ? came : [own];
  const object = newObject(bucket, { key: request.key, body, checksums, ...about }, context.now);
  bucket.put(object);
  return {
    status: 200,
    headers: ['ETag', object.etag, ...checksumHeaders(checksums), ...written(bucket, object)],
    body: EMPTY,
  };
}

/** The newest version, unless that is a delete marker. */
export function current(bucket: Bucket, key: string): StoredObject | undefined {
  const object = bucket.get(key);
  return object?.deleteMarker ? undefined : object;
}

/** What a write's answer says beside ETag and checksum. */
export function written(bucket: Bucket, object: StoredObject): string[] {
  const headers = [...encryptionHeaders(object.headers), ...customerKeyHeaders(object.customerKeyMd5)];
  return bucket.versioned ? [...headers, 'x-amz-version-id', object.versionId] : headers;
}
