import { S3Error } from './errors.ts';
import { findObject } from './find-object.ts';
import { type Context, EMPTY, type Reply, type S3Request, xmlReply } from './message.ts';
import { readUpload } from './uploads.ts';
import { element, xmlDocument } from './xml.ts';

/** Every object belongs to the one owner: buckets are as S3 makes them by default, with ACLs disabled. */
export function getAcl(request: S3Request, context: Context): Reply {
  if (request.key === '') context.require('read', context.store.bucket(request.bucket), undefined);
  else find(request, context, 'read');
  const grantee = `<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">${element('ID', 'cistern-demo')}</Grantee>`;
  const grants = `<AccessControlList><Grant>${grantee}${element('Permission', 'FULL_CONTROL')}</Grant></AccessControlList>`;
  return xmlReply(xmlDocument('AccessControlPolicy', `<Owner>${element('ID', 'cistern-demo')}</Owner>${grants}`));
}

export async function putAcl(request: S3Request, context: Context): Promise<Reply> {
  find(request, context, 'write');
  checkAcl(request);
  await readUpload(request);
  return { status: 200, headers: [], body: EMPTY };
}

/** "Requests to set ACLs or update ACLs fail" where they are disabled, but for the two that change nothing. */
export function checkAcl(request: S3Request): void {
  const canned = request.amz('x-amz-acl');
  const grants = request.headers.some((name, i) => i % 2 === 0 && /^x-amz-grant-/i.test(name));
  if (!grants && (canned === undefined || canned === 'private' || canned === 'bucket-owner-full-control')) return;
  throw new S3Error('AccessControlListNotSupported', 'The bucket does not allow ACLs');
}

function find(request: S3Request, context: Context, action: 'read' | 'write'): void {
  const bucket = context.store.bucket(request.bucket);
  context.require(action, bucket, request.key);
  findObject(request, context, bucket, request.key, request.query.get('versionId'));
}
