import { S3Error } from './errors.ts';
import type { Context, S3Request } from './message.ts';
import type { Bucket, StoredObject } from './store.ts';
import { isArchive, storageClass } from './stored-headers.ts';

/** The object, or what S3 says of its absence: only who may list learns that there is none. */
export function findObject(
  request: S3Request,
  context: Context,
  bucket: Bucket,
  key: string,
  versionId?: string,
): StoredObject {
  const object = bucket.get(key, versionId);
  if (object && !object.deleteMarker) return object;
  if (!context.may('list', bucket, key)) throw new S3Error('AccessDenied', 'Access Denied');
  if (object?.deleteMarker && versionId !== undefined) {
    throw new S3Error('MethodNotAllowed', 'The specified method is not allowed against this resource.', {
      Method: request.method,
    });
  }
  if (versionId !== undefined)
    throw new S3Error('NoSuchVersion', 'The specified version does not exist.', { Key: key, VersionId: versionId });
  const marker = object ? ['x-amz-delete-marker', 'true', 'x-amz-version-id', object.versionId] : [];
  throw new S3Error('NoSuchKey', 'The specified key does not exist.', { Key: key }, marker);
}

export function checkCustomerKey(given: string | undefined, object: StoredObject): void {
  if (object.customerKeyMd5 === given) return;
  if (object.customerKeyMd5 !== undefined && given !== undefined) throw new S3Error('AccessDenied', 'Access Denied');
  const message =
    given === undefined
      ? 'The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.'
      : 'The encryption parameters are not applicable to this object.';
  throw new S3Error('InvalidRequest', message);
}

/** The content of an archived object can be had only while a restored copy of it lasts. */
export function checkArchived(object: StoredObject, now: number): void {
  if (!isArchive(object.headers)) return;
  if (typeof object.restored === 'object' && object.restored.until > now) return;
  const message = "The operation is not valid for the object's storage class";
  throw new S3Error('InvalidObjectState', message, { StorageClass: storageClass(object.headers) });
}
