import { findObject } from './find-object.ts';
import { type Context, EMPTY, type Reply, type S3Request, xmlReply } from './message.ts';
import type { StoredObject } from './store.ts';
import { readXml } from './uploads.ts';
import { element, list, record, text, xmlDocument } from './xml.ts';

export function getTagging(request: S3Request, context: Context): Reply {
  const { tags, versionId } = target(request, context, 'read');
  const entries = tags.map(([key, value]) => `<Tag>${element('Key', key)}${element('Value', value)}</Tag>`);
  const document = xmlDocument('Tagging', `<TagSet>${entries.join('')}</TagSet>`);
  return xmlReply(document, 200, version(request, context, versionId));
}

export async function putTagging(request: S3Request, context: Context): Promise<Reply> {
  const object = target(request, context, 'write');
  object.tags = tagsOf(await readXml(request, 'Tagging'));
  return { status: 200, headers: version(request, context, object.versionId), body: EMPTY };
}

export function deleteTagging(request: S3Request, context: Context): Reply {
  const object = target(request, context, 'write');
  object.tags = [];
  return { status: 204, headers: version(request, context, object.versionId) };
}

/** The tags in a `<Tagging>`, as a form upload carries them, too. */
export function tagsOf(tagging: Record<string, unknown>): [string, string][] {
  const set = record(tagging.TagSet) ?? {};
  return list(set, 'Tag').map(tag => [text(tag, 'Key') ?? '', text(tag, 'Value') ?? '']);
}

function version(request: S3Request, { store }: Context, id: string): string[] {
  return store.bucket(request.bucket).versioning === undefined ? [] : ['x-amz-version-id', id];
}

function target(request: S3Request, context: Context, action: 'read' | 'write'): StoredObject {
  const bucket = context.store.bucket(request.bucket);
  context.require(action, bucket, request.key);
  return findObject(request, context, bucket, request.key, request.query.get('versionId'));
}
