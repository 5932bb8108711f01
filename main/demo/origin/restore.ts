import { S3Error } from './errors.ts';
import { findObject } from './find-object.ts';
import { type Context, EMPTY, type Reply, type S3Request } from './message.ts';
import { isArchive, storageClass } from './stored-headers.ts';
import { readXml } from './uploads.ts';
import { text } from './xml.ts';

const DAY = 86_400_000;

/** RestoreObject: 202 begins it, 200 prolongs what is there. It is done when `Origin.finishRestore` says so. */
export async function restoreObject(request: S3Request, context: Context): Promise<Reply> {
  const bucket = context.store.bucket(request.bucket);
  context.require('write', bucket, request.key);
  const object = findObject(request, context, bucket, request.key, request.query.get('versionId'));
  const days = Number(text(await readXml(request, 'RestoreRequest'), 'Days') ?? 1);
  if (!isArchive(object.headers)) {
    const message = "Restore is not allowed for the object's current storage class";
    throw new S3Error('InvalidObjectState', message, { StorageClass: storageClass(object.headers) });
  }
  if (object.restored === 'ongoing') {
    throw new S3Error('RestoreAlreadyInProgress', 'Object restore is already in progress');
  }
  if (object.restored) {
    object.restored = { until: context.now + days * DAY };
    return { status: 200, headers: [], body: EMPTY };
  }
  object.restored = 'ongoing';
  return { status: 202, headers: [], body: EMPTY };
}
