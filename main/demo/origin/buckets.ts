import { S3Error } from './errors.ts';
import { type Context, EMPTY, isoDate, type Reply, type S3Request, xmlReply } from './message.ts';
import { Bucket } from './store.ts';
import { readUpload, readXml } from './uploads.ts';
import { element, text, xmlDocument } from './xml.ts';

const OWNER = `<Owner>${element('ID', 'cistern-demo')}${element('DisplayName', 'demo')}</Owner>`;

export function listBuckets(request: S3Request, context: Context): Reply {
  if (!request.principal) throw new S3Error('AccessDenied', 'Access Denied');
  const names = [...context.store.buckets.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const entries = names.map(
    b => `<Bucket>${element('Name', b.name)}${element('CreationDate', isoDate(b.created))}</Bucket>`,
  );
  return xmlReply(xmlDocument('ListAllMyBucketsResult', `${OWNER}<Buckets>${entries.join('')}</Buckets>`));
}

export async function createBucket(request: S3Request, context: Context): Promise<Reply> {
  if (!request.principal) throw new S3Error('AccessDenied', 'Access Denied');
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(request.bucket)) {
    throw new S3Error('InvalidBucketName', 'The specified bucket is not valid.', { BucketName: request.bucket });
  }
  await readUpload(request);
  if (context.store.buckets.has(request.bucket)) {
    throw new S3Error(
      'BucketAlreadyOwnedByYou',
      'Your previous request to create the named bucket succeeded and you already own it.',
      { BucketName: request.bucket },
    );
  }
  const objectLock = request.header('x-amz-bucket-object-lock-enabled')?.toLowerCase() === 'true';
  context.store.buckets.set(request.bucket, new Bucket(request.bucket, context.now, { objectLock }));
  return { status: 200, headers: ['Location', `/${request.bucket}`], body: EMPTY };
}

export function headBucket(request: S3Request, context: Context): Reply {
  context.require('list', context.store.bucket(request.bucket), undefined);
  return { status: 200, headers: ['x-amz-bucket-region', 'us-east-1', 'Content-Type', 'application/xml'], body: EMPTY };
}

export function deleteBucket(request: S3Request, context: Context): Reply {
  const bucket = context.store.bucket(request.bucket);
  context.require('write', bucket, undefined);
  if (!bucket.empty)
    throw new S3Error('BucketNotEmpty', 'The bucket you tried to delete is not empty', { BucketName: bucket.name });
  context.store.buckets.delete(bucket.name);
  return { status: 204, headers: [] };
}

export function bucketLocation(request: S3Request, context: Context): Reply {
  context.require('list', context.store.bucket(request.bucket), undefined);
  return xmlReply(xmlDocument('LocationConstraint', ''));
}

export function getVersioning(request: S3Request, context: Context): Reply {
  const bucket = context.store.bucket(request.bucket);
  context.require('list', bucket, undefined);
  return xmlReply(xmlDocument('VersioningConfiguration', element('Status', bucket.versioning)));
}

export async function putVersioning(request: S3Request, context: Context): Promise<Reply> {
  const bucket = context.store.bucket(request.bucket);
  context.require('write', bucket, undefined);
  const status = text(await readXml(request, 'VersioningConfiguration'), 'Status')?.trim();
  if (status !== 'Enabled' && status !== 'Suspended') {
    throw new S3Error('MalformedXML', 'The XML you provided was not well-formed or did not validate.');
  }
  bucket.versioning = status;
  return { status: 200, headers: [], body: EMPTY };
}
