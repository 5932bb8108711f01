import { S3Error } from './errors.ts';
import { findObject } from './get-object.ts';
import { type Context, type Reply, type S3Request, xmlReply } from './message.ts';
import { readUpload } from './uploads.ts';
import { element, list, parseXml, record, text, xmlDocument } from './xml.ts';

const EMPTY = { length: 0, chunks: [] };

export function getTagging(request: S3Request, context: Context): Reply {
  const tags = target(request, context, 'read').tags;
  const entries = tags.map(([key, value]) => `<Tag>${element('Key', key)}${element('Value', value)}</Tag>`);
  return xmlReply(xmlDocument('Tagging', `<TagSet>${entries.join('')}</TagSet>`));
}

export async function putTagging(request: S3Request, context: Context): Promise<Reply> {
  const object = target(request, context, 'write');
  const { bytes } = await readUpload(request);
  const set = record(parseXml(bytes, 'Tagging').TagSet) ?? {};
  object.tags = list(set, 'Tag').map(tag => [text(tag, 'Key') ?? '', text(tag, 'Value') ?? '']);
  return { status: 200, headers: [], body: EMPTY };
}

export function deleteTagging(request: S3Request, context: Context): Reply {
  target(request, context, 'write').tags = [];
  return { status: 204, headers: [] };
}

/** Every object belongs to the one owner; there is nothing else to say, and S3 takes only that with ACLs disabled. */
export function getAcl(request: S3Request, context: Context): Reply {
  if (request.key === '') context.require('read', context.store.bucket(request.bucket), undefined);
  else target(request, context, 'read');
  const grantee = `<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">${element('ID', 'cistern-demo')}</Grantee>`;
  const grants = `<AccessControlList><Grant>${grantee}${element('Permission', 'FULL_CONTROL')}</Grant></AccessControlList>`;
  return xmlReply(xmlDocument('AccessControlPolicy', `<Owner>${element('ID', 'cistern-demo')}</Owner>${grants}`));
}

export async function putAcl(request: S3Request, context: Context): Promise<Reply> {
  target(request, context, 'write');
  await readUpload(request);
  const acl = request.amz('x-amz-acl');
  if (acl !== undefined && acl !== 'private' && acl !== 'bucket-owner-full-control') {
    throw new S3Error('NotImplemented', `The canned ACL ${acl} is not implemented here.`);
  }
  return { status: 200, headers: [], body: EMPTY };
}

function target(request: S3Request, context: Context, action: 'read' | 'write') {
  const bucket = context.store.bucket(request.bucket);
  context.require(action, bucket, request.key);
  return findObject(request, context, bucket, request.key, request.query.get('versionId'));
}
