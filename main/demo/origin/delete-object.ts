import { S3Error } from './errors.ts';
import { type Context, type Reply, type S3Request, xmlReply } from './message.ts';
import { checkLock } from './object-lock.ts';
import { evaluateWrite } from './preconditions.ts';
import { current } from './put-object.ts';
import { type Bucket, deleteMarker } from './store.ts';
import { readXml } from './uploads.ts';
import { element, list, text, xmlDocument } from './xml.ts';

const MOST_KEYS = 1000;

export function deleteObject(request: S3Request, context: Context): Reply {
  const bucket = context.store.bucket(request.bucket);
  const removed = remove(request, context, bucket, {
    key: request.key,
    versionId: request.query.get('versionId'),
    etag: request.header('if-match'),
  });
  const headers: string[] = [];
  if (removed.deleteMarker) headers.push('x-amz-delete-marker', 'true');
  if (removed.versionId !== undefined) headers.push('x-amz-version-id', removed.versionId);
  return { status: 204, headers };
}

/** DeleteObjects: each key by itself; a refused one has an Error in the answer, and quiet mode names nothing else. */
export async function deleteObjects(request: S3Request, context: Context): Promise<Reply> {
  const bucket = context.store.bucket(request.bucket);
  const asked = await readXml(request, 'Delete');
  const quiet = text(asked, 'Quiet')?.trim() === 'true';
  const entries = list(asked, 'Object').map(entry => ({
    key: text(entry, 'Key') ?? '',
    versionId: text(entry, 'VersionId')?.trim(),
    etag: text(entry, 'ETag')?.trim(),
  }));
  if (entries.length === 0 || entries.length > MOST_KEYS || entries.some(entry => entry.key === '')) {
    const message = 'The XML you provided was not well-formed or did not validate against our published schema';
    throw new S3Error('MalformedXML', message);
  }
  const results = entries.map(entry => resultOf(request, context, bucket, entry, quiet));
  return xmlReply(xmlDocument('DeleteResult', results.join('')));
}

interface Entry {
  readonly key: string;
  readonly versionId: string | undefined;
  readonly etag: string | undefined;
}

function resultOf(request: S3Request, context: Context, bucket: Bucket, entry: Entry, quiet: boolean): string {
  const named = element('Key', entry.key) + element('VersionId', entry.versionId);
  const refused = context.refused(entry.key);
  if (refused) return failed(named, refused, 'scripted');
  try {
    const { deleteMarker: marker, versionId } = remove(request, context, bucket, entry);
    const about = marker ? element('DeleteMarker', true) + element('DeleteMarkerVersionId', versionId) : '';
    return quiet ? '' : `<Deleted>${named}${about}</Deleted>`;
  } catch (error) {
    if (error instanceof S3Error) return failed(named, error.code, error.message);
    throw error;
  }
}

function failed(named: string, code: string, message: string): string {
  return `<Error>${named}${element('Code', code)}${element('Message', message)}</Error>`;
}

interface Removed {
  /** A marker was made, or was what was removed */
  readonly deleteMarker: boolean;
  readonly versionId: string | undefined;
}

/** Without a version, a bucket that has or had versions gets a delete marker ("Deleting object versions"). */
function remove(request: S3Request, context: Context, bucket: Bucket, entry: Entry): Removed {
  const { key, versionId, etag } = entry;
  context.require('write', bucket, key);
  if (etag !== undefined) evaluateWrite(etag, undefined, current(bucket, key));
  if (versionId !== undefined) {
    const before = bucket.get(key, versionId);
    checkLock(before, request, context.now);
    bucket.remove(key, versionId);
    return { deleteMarker: before?.deleteMarker ?? false, versionId };
  }
  if (bucket.versioning === undefined) {
    bucket.remove(key);
    return { deleteMarker: false, versionId: undefined };
  }
  const marker = deleteMarker(bucket, key, context.now);
  bucket.put(marker);
  return { deleteMarker: true, versionId: marker.versionId };
}
