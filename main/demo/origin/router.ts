import * as buckets from './buckets.ts';
import { S3Error } from './errors.ts';
import { getObject } from './get-object.ts';
import { listObjectsV1, listObjectsV2 } from './list-objects.ts';
import type { Context, Handler, S3Request } from './message.ts';
import * as multipart from './multipart.ts';
import { mayDo, type Principal } from './principals.ts';
import type { Bucket, Store } from './store.ts';
import * as subresources from './subresources.ts';
import * as objects from './write-object.ts';

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

/** The first that fits answers; those without `has` come last and take only requests without a sub-resource. */
const ROUTES: readonly Route[] = [
  { level: 'service', method: 'GET', run: buckets.listBuckets },
  { level: 'bucket', method: 'GET', has: 'list-type', run: listObjectsV2 },
  { level: 'bucket', method: 'GET', has: 'location', run: buckets.bucketLocation },
  { level: 'bucket', method: 'GET', has: 'versioning', run: buckets.getVersioning },
  { level: 'bucket', method: 'PUT', has: 'versioning', run: buckets.putVersioning },
  { level: 'bucket', method: 'GET', has: 'uploads', run: multipart.listUploads },
  { level: 'bucket', method: 'GET', has: 'acl', run: subresources.getAcl },
  { level: 'bucket', method: 'POST', has: 'delete', run: objects.deleteObjects },
  { level: 'bucket', method: 'GET', run: listObjectsV1 },
  { level: 'bucket', method: 'HEAD', run: buckets.headBucket },
  { level: 'bucket', method: 'PUT', run: buckets.createBucket },
  { level: 'bucket', method: 'DELETE', run: buckets.deleteBucket },
  { level: 'object', method: 'GET', has: 'tagging', run: subresources.getTagging },
  { level: 'object', method: 'PUT', has: 'tagging', run: subresources.putTagging },
  { level: 'object', method: 'DELETE', has: 'tagging', run: subresources.deleteTagging },
  { level: 'object', method: 'GET', has: 'acl', run: subresources.getAcl },
  { level: 'object', method: 'PUT', has: 'acl', run: subresources.putAcl },
  { level: 'object', method: 'POST', has: 'uploads', run: multipart.createUpload },
  { level: 'object', method: 'GET', has: 'uploadId', run: multipart.listParts },
  { level: 'object', method: 'PUT', has: 'uploadId', header: 'x-amz-copy-source', run: multipart.uploadPartCopy },
  { level: 'object', method: 'PUT', has: 'uploadId', run: multipart.uploadPart },
  { level: 'object', method: 'POST', has: 'uploadId', run: multipart.completeUpload },
  { level: 'object', method: 'DELETE', has: 'uploadId', run: multipart.abortUpload },
  { level: 'object', method: 'GET', run: getObject },
  { level: 'object', method: 'HEAD', run: getObject },
  { level: 'object', method: 'PUT', header: 'x-amz-copy-source', run: objects.copyObject },
  { level: 'object', method: 'PUT', run: objects.putObject },
  { level: 'object', method: 'DELETE', run: objects.deleteObject },
];

/** Parameters that name another operation of S3: refused, where no route knows them, rather than taken for a plain read or write. */
const SUBRESOURCES = new Set(
  (
    'accelerate acl analytics attributes cors delete encryption intelligent-tiering inventory legal-hold lifecycle list-type location ' +
    'logging metrics notification object-lock ownershipControls policy policyStatus publicAccessBlock replication requestPayment ' +
    'restore retention select tagging torrent uploadId uploads versioning versions website'
  ).split(' '),
);

export function findHandler(request: S3Request): Handler {
  const level: Level = request.bucket === '' ? 'service' : request.key === '' ? 'bucket' : 'object';
  const subresource = [...request.query.keys()].find(name => SUBRESOURCES.has(name));
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

export function contextOf(store: Store, principal: Principal | undefined, now: number): Context {
  const may: Context['may'] = (action, bucket: Bucket, key) => {
    if (principal) return mayDo(principal, action, bucket.name, key);
    return bucket.anonymous === 'write' || (bucket.anonymous === 'read' && action !== 'write');
  };
  const require: Context['require'] = (action, bucket, key) => {
    if (!may(action, bucket, key)) throw new S3Error('AccessDenied', 'Access Denied');
  };
  return { store, now, may, require };
}
