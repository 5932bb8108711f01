import { createHash, randomBytes } from 'node:crypto';
import { type Body, bufferBody, chunksOf, sliceBody } from './bodies.ts';
import type { Checksum, ChecksumAlgorithm } from './checksums.ts';
import { S3Error } from './errors.ts';
import { hasMd5Etag } from './stored-headers.ts';

/** One version of one object. Headers are flat and raw, as they were uploaded and as they are given back. */
export interface StoredObject {
  readonly key: string;
  readonly body: Body;
  /** With its quotes */
  readonly etag: string;
  /** Milliseconds, whole seconds */
  readonly lastModified: number;
  readonly headers: readonly string[];
  readonly checksums: readonly Checksum[];
  readonly parts: readonly StoredPart[] | undefined;
  readonly customerKeyMd5: string | undefined;
  readonly versionId: string;
  readonly deleteMarker: boolean;
  tags: readonly (readonly [string, string])[];
  retention: Retention | undefined;
  legalHold: boolean | undefined;
  /** Of an archived object: a copy to read is being made, or can be read until then */
  restored: 'ongoing' | { readonly until: number } | undefined;
}

export interface Retention {
  readonly mode: 'GOVERNANCE' | 'COMPLIANCE';
  readonly until: number;
}

export interface StoredPart {
  readonly number: number;
  readonly body: Body;
  readonly etag: string;
  readonly lastModified: number;
  readonly checksums: readonly Checksum[];
  /** Of the algorithm that the whole object is to have */
  readonly sum: Buffer | undefined;
}

export interface Upload {
  readonly id: string;
  readonly bucket: string;
  readonly key: string;
  readonly headers: readonly string[];
  readonly started: number;
  readonly algorithm: ChecksumAlgorithm | undefined;
  readonly checksumType: Checksum['type'];
  readonly customerKeyMd5: string | undefined;
  readonly tags: StoredObject['tags'];
  readonly retention: Retention | undefined;
  readonly legalHold: boolean | undefined;
  readonly parts: Map<number, StoredPart>;
}

export interface BucketOptions {
  /** Who may come without a signature; nobody by default */
  readonly anonymous?: 'none' | 'read' | 'write';
  readonly versioned?: boolean;
  /** Objects can be held; such a bucket is versioned */
  readonly objectLock?: boolean;
  /** Answers browsers (requests with Origin) with Access-Control-Allow-Origin */
  readonly cors?: boolean;
}

export class Bucket {
  readonly name: string;
  readonly created: number;
  readonly anonymous: 'none' | 'read' | 'write';
  readonly cors: boolean;
  readonly objectLock: boolean;
  /** Undefined until it is first enabled; it can't be undone, only suspended */
  versioning: 'Enabled' | 'Suspended' | undefined;
  /** Versions by key, the newest last */
  readonly #versions = new Map<string, StoredObject[]>();
  #sorted: string[] | undefined;

  constructor(name: string, created: number, options: BucketOptions) {
    this.name = name;
    this.created = created;
    this.anonymous = options.anonymous ?? 'none';
    this.cors = options.cors ?? false;
    this.objectLock = options.objectLock ?? false;
    this.versioning = options.versioned || this.objectLock ? 'Enabled' : undefined;
  }

  get versioned(): boolean {
    return this.versioning === 'Enabled';
  }

  /** The id of a version that is written now; `null` is replaced by the next one of that id. */
  newVersionId(): string {
    return this.versioned ? randomBytes(16).toString('base64url') : 'null';
  }

  get(key: string, versionId?: string): StoredObject | undefined {
    const versions = this.#versions.get(key);
    if (versionId === undefined) return versions?.at(-1);
    return versions?.find(v => v.versionId === versionId);
  }

  put(object: StoredObject): void {
    const before = this.#versions.get(object.key);
    if (!before) this.#sorted = undefined;
    const kept = this.versioned ? (before ?? []) : (before ?? []).filter(v => v.versionId !== 'null');
    this.#versions.set(object.key, [...kept, object]);
  }

  remove(key: string, versionId?: string): void {
    const kept = versionId === undefined ? [] : (this.#versions.get(key) ?? []).filter(v => v.versionId !== versionId);
    if (kept.length > 0) this.#versions.set(key, kept);
    else if (this.#versions.delete(key)) this.#sorted = undefined;
  }

  /** All versions and delete markers of every key, as S3 lists them: by key, the newest first */
  listVersions(): StoredObject[] {
    return this.#keys().flatMap(key => [...this.#versions.get(key)!].reverse());
  }

  /** Current objects in the order of their keys' UTF-8 bytes, as S3 lists them */
  list(): StoredObject[] {
    return this.#keys()
      .map(key => this.get(key)!)
      .filter(object => !object.deleteMarker);
  }

  #keys(): readonly string[] {
    this.#sorted ??= [...this.#versions.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    return this.#sorted;
  }

  get empty(): boolean {
    return this.#versions.size === 0;
  }
}

export class Store {
  readonly buckets = new Map<string, Bucket>();
  readonly uploads = new Map<string, Upload>();
  readonly #expected = new Map<string, { readonly body: Body; readonly partSize: number | undefined }>();

  /** What will be uploaded, for as long as the store lives: whole, or in parts of this size. */
  expect(bucket: string, key: string, body: Body, partSize: number | undefined): void {
    this.#expected.set(`${bucket}\0${key}`, { body, partSize });
  }

  /** What is expected of an upload, or of its part of this number. */
  expected(bucket: string, key: string, part?: number): Body | undefined {
    const { body, partSize } = this.#expected.get(`${bucket}\0${key}`) ?? {};
    if (!body || part === undefined) return body;
    const start = (part - 1) * (partSize ?? 0);
    const end = Math.min(start + (partSize ?? 0), body.length);
    return start < end ? sliceBody(body, start, end) : undefined;
  }

  bucket(name: string): Bucket {
    const bucket = this.buckets.get(name);
    if (!bucket) throw new S3Error('NoSuchBucket', 'The specified bucket does not exist', { BucketName: name });
    return bucket;
  }

  upload(id: string, bucket: string, key: string): Upload {
    const upload = this.uploads.get(id);
    if (!upload || upload.bucket !== bucket || upload.key !== key) {
      const message =
        'The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.';
      throw new S3Error('NoSuchUpload', message, { UploadId: id });
    }
    return upload;
  }
}

/** A new version with S3's defaults for what is not given. */
export function newObject(
  bucket: Bucket,
  given: Pick<StoredObject, 'key' | 'body'> & Partial<StoredObject>,
  now: number,
): StoredObject {
  return {
    etag: `"${etagHex(given)}"`,
    lastModified: wholeSeconds(now),
    headers: [],
    checksums: [],
    parts: undefined,
    customerKeyMd5: undefined,
    versionId: bucket.newVersionId(),
    deleteMarker: false,
    tags: [],
    retention: undefined,
    legalHold: undefined,
    restored: undefined,
    ...given,
  };
}

export function deleteMarker(bucket: Bucket, key: string, now: number): StoredObject {
  return newObject(bucket, { key, body: bufferBody(Buffer.alloc(0)), deleteMarker: true }, now);
}

/** "The ETag may or may not be an MD5 digest of the object data": not with SSE-KMS and SSE-C. */
export function etagHex(given: Pick<StoredObject, 'body'> & Partial<StoredObject>): string {
  const isMd5 = given.customerKeyMd5 === undefined && hasMd5Etag(given.headers ?? []);
  return isMd5 ? md5Hex(given.body) : randomBytes(16).toString('hex');
}

export function md5Hex(body: Body): string {
  if (body.digest !== undefined) return body.digest;
  const hash = createHash('md5');
  for (const chunk of chunksOf(body)) hash.update(chunk);
  return hash.digest('hex');
}

export function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1000) * 1000;
}
