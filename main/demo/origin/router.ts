import { getAcl, putAcl } from './access-list.ts';
import { getAttributes } from './attributes.ts';
import * as buckets from './buckets.ts';
import { copyObject } from './copy-object.ts';
import { deleteObject, deleteObjects } from './delete-object.ts';
import { S3Error } from './errors.ts';
import { getObject } from './get-object.ts';
import { listObjectsV1, listObjectsV2 } from './list-objects.ts';
import { listVersions } from './list-versions.ts';
import type { Context, Handler, S3Request } from './message.ts';
import { completeUpload } from './multipart-complete.ts';
import * as lists from './multipart-lists.ts';
import * as parts from './multipart-parts.ts';
import * as locks from './object-lock.ts';
import { mayDo, type Principal } from './principals.ts';
import { putObject } from './put-object.ts';
import { restoreObject } from './restore.ts';
import type { Bucket, Store } from './store.ts';
import * as tagging from './tagging.ts';

type Level = 'service' | 'bucket' | 'object';

interface Route {
  readonly level: Level;
  readonly method: string;
  /** A query parameter that must be there */
  readonly has?: string;
  /** A header that must be there */
  readonly header?: string;
  readonly run: Handler;
}

const COPY = 'x-amz-copy-source';

/** The first that fits answers; those without `has` come last and take only requests without a sub-resource. */
const ROUTES: readonly Route[] = [
  { level: 'service', method: 'GET', run: buckets.listBuckets },
  { level: 'bucket', method: 'GET', has: 'list-type', run: listObjectsV2 },
  { level: 'bucket', method: 'GET', has: 'location', run: buckets.bucketLocation },
  { level: 'bucket', method: 'GET', has: 'versioning', run: buckets.getVersioning },
  { level: 'bucket', method: 'PUT', has: 'versioning', run: buckets.putVersioning },
  { level: 'bucket', method: 'GET', has: 'uploads', run: lists.listUploads },
  { level: 'bucket', method: 'GET', has: 'versions', run: listVersions },
  { level: 'bucket', method: 'GET', has: 'acl', run: getAcl },
  { level: 'bucket', method: 'GET', has: 'object-lock', run: locks.getLockConfiguration },
  { level: 'bucket', method: 'POST', has: 'delete', run: deleteObjects },
  { level: 'bucket', method: 'GET', run: listObjectsV1 },
  { level: 'bucket', method: 'HEAD', run: buckets.headBucket },
  { level: 'bucket', method: 'PUT', run: buckets.createBucket },
  { level: 'bucket', method: 'DELETE', run: buckets.deleteBucket },
  { level: 'object', method: 'GET', has: 'tagging', run: tagging.getTagging },
  { level: 'object', method: 'PUT', has: 'tagging', run: tagging.putTagging },
  { level: 'object', method: 'DELETE', has: 'tagging', run: bodiless(tagging.deleteTagging) },
  { level: 'object', method: 'GET', has: 'acl', run: getAcl },
  { level: 'object', method: 'PUT', has: 'acl', run: putAcl },
  { level: 'object', method: 'GET', has: 'retention', run: locks.getRetention },
  { level: 'object', method: 'PUT', has: 'retention', run: locks.putRetention },
  { level: 'object', method: 'GET', has: 'legal-hold', run: locks.getLegalHold },
  { level: 'object', method: 'PUT', has: 'legal-hold', run: locks.putLegalHold },
  { level: 'object', method: 'GET', has: 'attributes', run: getAttributes },
  { level: 'object', method: 'POST', has: 'restore', run: restoreObject },
  { level: 'object', method: 'POST', has: 'uploads', run: bodiless(parts.createUpload) },
  { level: 'object', method: 'GET', has: 'uploadId', run: lists.listParts },
  { level: 'object', method: 'PUT', has: 'uploadId', header: COPY, run: bodiless(parts.uploadPartCopy) },
  { level: 'object', method: 'PUT', has: 'uploadId', run: parts.uploadPart },
  { level: 'object', method: 'POST', has: 'uploadId', run: completeUpload },
  { level: 'object', method: 'DELETE', has: 'uploadId', run: bodiless(parts.abortUpload) },
  { level: 'object', method: 'GET', run: getObject },
  { level: 'object', method: 'HEAD', run: getObject },
  { level: 'object', method: 'PUT', header: COPY, run: bodiless(copyObject) },
  { level: 'object', method: 'PUT', run: putObject },
  { level: 'object', method: 'DELETE', run: bodiless(deleteObject) },
];

/** Parameters that name an operation of which this origin knows one method or more. */
const KNOWN = new Set(ROUTES.map(route => route.has).filter(name => name !== undefined));
/**
 * And those of which it knows nothing: settings of buckets, S3 Select and torrents. They are refused, with NotImplemented,
 * rather than taken for a plain read or write.
 */
const EXOTIC = new Set(
  (
    'accelerate analytics cors encryption intelligent-tiering inventory lifecycle logging metadataConfiguration metadataTable ' +
    'metrics notification ownershipControls policy policyStatus publicAccessBlock renameObject replication requestPayment ' +
    'select torrent website'
  ).split(' '),
);

/** A write without a body is done when the (empty) body is in, as any other: that is where hooks step in. */
function bodiless(run: Handler): Handler {
  return async (request, context) => {
    for await (const _ of request.body());
    return run(request, context);
  };
}

export function findHandler(request: S3Request): Handler {
  const size = Buffer.byteLength(request.key);
  if (size > 1024) {
    throw new S3Error('KeyTooLongError', 'Your key is too long', { Size: String(size), MaxSizeAllowed: '1024' });
  }
  const level: Level = request.bucket === '' ? 'service' : request.key === '' ? 'bucket' : 'object';
  const subresource = [...request.query.keys()].find(name => KNOWN.has(name) || EXOTIC.has(name));
  const route = ROUTES.find(
    candidate =>
      candidate.level === level &&
      candidate.method === request.method &&
      candidate.has === subresource &&
      (candidate.header === undefined || request.header(candidate.header) !== undefined),
  );
  if (route) return route.run;
  if (subresource !== undefined) {
    throw new S3Error(
      'NotImplemented',
      `The operation ${request.method} ?${subresource} is not implemented by this origin.`,
    );
  }
  throw new S3Error('MethodNotAllowed', 'The specified method is not allowed against this resource.', {
    Method: request.method,
  });
}

export function contextOf(store: Store, principal: Principal | undefined, now: number): Omit<Context, 'refused'> {
  const may: Context['may'] = (action, bucket: Bucket, key) => {
    if (principal) return mayDo(principal, action, bucket.name, key);
    return bucket.anonymous === 'write' || (bucket.anonymous === 'read' && action !== 'write');
  };
  const require: Context['require'] = (action, bucket, key) => {
    if (!may(action, bucket, key)) throw new S3Error('AccessDenied', 'Access Denied');
  };
  return { store, now, may, require };
}
