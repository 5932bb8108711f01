import { performance } from 'node:perf_hooks';
import type { Origin, StoredObject } from '../origin/index.ts';
import type { Content } from './content.ts';
import type { Fields, History, Version } from './history.ts';

type Bucket = ReturnType<Origin['store']['bucket']>;

/** What is written down of one object. */
export interface Recorded {
  readonly versions: History<Version | undefined>;
  /** When it was removed (whether there was one or not), and when its tags were set, in order. */
  readonly removals: number[];
  readonly taggings: number[];
}

export interface RecorderOptions {
  recorded(key: string): Recorded | undefined;
  /** What was announced under an id; undefined where only the origin can tell what becomes of it (parts, copies). */
  announced(id: string): Content | undefined;
  /** A moment of the origin's clock that nothing else has, for Last-Modified, ms. */
  tick(): number;
}

/** Whatever way a version comes to be, to change or to go, it is written down at that moment. */
export function record(bucket: Bucket, options: RecorderOptions): void {
  const versions = new WeakMap<StoredObject, Version>();
  const changed = (key: string) => {
    const current = bucket.get(key);
    options.recorded(key)?.versions.change(current && versions.get(current), performance.now());
  };
  const [put, remove] = [bucket.put.bind(bucket), bucket.remove.bind(bucket)];
  bucket.put = object => {
    if (object.deleteMarker) options.recorded(object.key)?.removals.push(performance.now());
    else {
      settle(object, options);
      versions.set(object, versionOf(object, bucket));
      watchTags(object, () => {
        versions.set(object, versionOf(object, bucket));
        options.recorded(object.key)?.taggings.push(performance.now());
        changed(object.key);
      });
    }
    put(object);
    changed(object.key);
  };
  bucket.remove = (key, versionId) => {
    remove(key, versionId);
    options.recorded(key)?.removals.push(performance.now());
    changed(key);
  };
}

/** The object as it is to be: the bytes that were sent, and a Last-Modified of its own. Others hold the object already. */
function settle(object: StoredObject, { announced, tick }: RecorderOptions): void {
  const id = idOf(object);
  const made = object as { -readonly [K in keyof StoredObject]: StoredObject[K] };
  const bytes = announced(id)?.bytes;
  const body = object.body.read(0, object.body.length);
  if (bytes && !body.equals(bytes)) throw new Error(`version ${id} came to the origin with other bytes than were sent`);
  // Of pooled bytes where they are known, so that what is kept here costs nothing.
  const kept = bytes ?? body;
  made.body = { ...object.body, length: kept.length, read: (start, end) => kept.subarray(start, end) };
  // One that was made of uploaded parts has the moment at which its upload was begun.
  if (!object.parts?.some(({ etag }) => etag !== '')) made.lastModified = tick();
  if (object.checksums.length > 0) return;
  const value = Buffer.from(id.padStart(4, '0')).toString('base64');
  made.checksums = [{ algorithm: 'crc32', value, type: 'FULL_OBJECT' }];
}

function watchTags(object: StoredObject, onChange: () => void): void {
  let { tags } = object;
  Object.defineProperty(object, 'tags', {
    enumerable: true,
    get: () => tags,
    set: (to: StoredObject['tags']) => {
      tags = to;
      onChange();
    },
  });
}

/** Written apart from the origin's own code for answers. */
function versionOf(object: StoredObject, { versioning }: Bucket): Version {
  const { tags, parts, checksums, headers } = object;
  const fields: Record<string, string> = {
    'content-type': 'binary/octet-stream',
    'accept-ranges': 'bytes',
    server: 'AmazonS3',
  };
  for (let i = 0; i + 1 < headers.length; i += 2) fields[headers[i]!.toLowerCase()] = headers[i + 1]!;
  if (tags.length > 0) fields['x-amz-tagging-count'] = String(tags.length);
  if (versioning !== undefined) fields['x-amz-version-id'] = object.versionId;
  let end = 0;
  const type = checksums[0]?.type;
  return {
    id: idOf(object),
    etag: object.etag,
    lastModified: new Date(object.lastModified).toUTCString(),
    bytes: object.body.read(0, object.body.length),
    ends: parts?.map(({ body }) => {
      end += body.length;
      return end;
    }),
    fields,
    checksums: checksumFields(checksums, type),
    partChecksums: (parts ?? [{ checksums }]).map(part => checksumFields(part.checksums, type)),
  };
}

function checksumFields(checksums: StoredObject['checksums'], type: string | undefined): Fields {
  const fields: Record<string, string> = {};
  for (const { algorithm, value } of checksums) fields[`x-amz-checksum-${algorithm}`] = value;
  if (checksums.length > 0 && type !== undefined) fields['x-amz-checksum-type'] = type;
  return fields;
}

function idOf({ headers }: StoredObject): string {
  return headers[headers.indexOf('x-amz-meta-version') + 1]!;
}
