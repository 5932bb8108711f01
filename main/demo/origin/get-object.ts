import { chunksOf } from './bodies.ts';
import type { Checksum } from './checksums.ts';
import { S3Error } from './errors.ts';
import { checkArchived, checkCustomerKey, findObject } from './find-object.ts';
import { type Context, checksumHeaders, httpDate, type Reply, type S3Request } from './message.ts';
import { lockHeaders } from './object-lock.ts';
import { evaluateRead, matches } from './preconditions.ts';
import { resolveRange, type Span } from './ranges.ts';
import type { Bucket, StoredObject } from './store.ts';
import { customerKey, customerKeyHeaders } from './uploads.ts';

/** GetObject and HeadObject: one answer, with or without its body (the server leaves it out for HEAD). */
export function getObject(request: S3Request, context: Context): Reply {
  const bucket = context.store.bucket(request.bucket);
  context.require('read', bucket, request.key);
  const object = findObject(request, context, bucket, request.key, request.query.get('versionId'));
  checkCustomerKey(customerKey(request), object);
  if (request.method === 'GET') checkArchived(object, context.now);
  const about = objectHeaders(object, bucket, request);
  const outcome = evaluateRead(
    {
      ifMatch: request.header('if-match'),
      ifNoneMatch: request.header('if-none-match'),
      ifModifiedSince: request.header('if-modified-since'),
      ifUnmodifiedSince: request.header('if-unmodified-since'),
    },
    object,
  );
  if (outcome === 'not-modified') return { status: 304, headers: about.validators };
  const { span, checksums, extra } = wanted(request, object);
  const headers = [...about.validators, ...about.kept, ...extra, 'Accept-Ranges', 'bytes'];
  if (request.amz('x-amz-checksum-mode')?.toUpperCase() === 'ENABLED') headers.push(...checksumHeaders(checksums));
  if (span) headers.push('Content-Range', `bytes ${span.start}-${span.end}/${object.body.length}`);
  headers.push(...overridden(request, about.described));
  const [start, end] = span ? [span.start, span.end + 1] : [0, object.body.length];
  return {
    status: span ? 206 : 200,
    headers,
    body: { length: end - start, chunks: chunksOf(object.body, start, end) },
  };
}

function objectHeaders(object: StoredObject, bucket: Bucket, request: S3Request) {
  const validators = ['Last-Modified', httpDate(object.lastModified), 'ETag', object.etag];
  if (object.tags.length > 0) validators.push('x-amz-tagging-count', String(object.tags.length));
  if (bucket.versioning !== undefined) validators.push('x-amz-version-id', object.versionId);
  if (bucket.cors && request.header('origin') !== undefined) {
    validators.push('Access-Control-Allow-Origin', '*', 'Access-Control-Expose-Headers', 'ETag');
    validators.push('Vary', 'Origin, Access-Control-Request-Headers, Access-Control-Request-Method');
  }
  const kept: string[] = [];
  const described: string[] = [];
  for (let i = 0; i < object.headers.length; i += 2) {
    const into = object.headers[i]!.startsWith('x-amz-') ? kept : described;
    into.push(object.headers[i]!, object.headers[i + 1]!);
  }
  kept.push(...customerKeyHeaders(object.customerKeyMd5), ...lockHeaders(object));
  if (object.restored) kept.push('x-amz-restore', restoreHeader(object.restored));
  if (!described.includes('Content-Type')) described.push('Content-Type', 'binary/octet-stream');
  return { validators, kept, described };
}

function restoreHeader(restored: NonNullable<StoredObject['restored']>): string {
  if (restored === 'ongoing') return 'ongoing-request="true"';
  return `ongoing-request="false", expiry-date="${httpDate(restored.until)}"`;
}

interface Wanted {
  readonly span: Span | undefined;
  readonly checksums: readonly Checksum[];
  readonly extra: readonly string[];
}

function wanted(request: S3Request, object: StoredObject): Wanted {
  const part = request.query.get('partNumber');
  const range = request.header('range');
  if (part !== undefined) return wantedPart(part, range, object);
  const ifRange = request.header('if-range');
  const honoured =
    ifRange === undefined || matches(ifRange, object.etag) || Date.parse(ifRange) === object.lastModified;
  const resolved = honoured ? resolveRange(range, object.body.length) : 'all';
  if (resolved === 'unsatisfiable') {
    throw new S3Error('InvalidRange', 'The requested range is not satisfiable', {
      RangeRequested: range!,
      ActualObjectSize: String(object.body.length),
    });
  }
  if (resolved === 'all') return { span: undefined, checksums: object.checksums, extra: [] };
  return { span: resolved, checksums: checksumsOfPartAt(object, resolved), extra: [] };
}

/** A range that is exactly a part carries the part's checksum, any other range none. */
function checksumsOfPartAt(object: StoredObject, span: Span): readonly Checksum[] {
  let start = 0;
  for (const part of object.parts ?? []) {
    if (start === span.start && start + part.body.length - 1 === span.end) return ofObject(part.checksums, object);
    start += part.body.length;
  }
  return [];
}

/** Beside a part's checksum stands the type that the object's has. */
function ofObject(checksums: readonly Checksum[], object: StoredObject): readonly Checksum[] {
  const type = object.checksums[0]?.type;
  return type === undefined ? checksums : checksums.map(checksum => ({ ...checksum, type }));
}

function wantedPart(asked: string, range: string | undefined, object: StoredObject): Wanted {
  if (range !== undefined)
    throw new S3Error('InvalidRequest', 'Cannot specify both Range header and partNumber query parameter');
  const number = /^\d{1,5}$/.test(asked) ? Number(asked) : 0;
  if (number < 1 || number > 10_000) {
    const message = 'Part number must be an integer between 1 and 10000, inclusive';
    throw new S3Error('InvalidArgument', message, { ArgumentName: 'partNumber', ArgumentValue: asked });
  }
  const parts = object.parts ?? [{ body: object.body, checksums: object.checksums }];
  const part = parts[number - 1];
  if (!part) {
    throw new S3Error('InvalidPartNumber', 'The requested partnumber is not satisfiable', {
      PartNumberRequested: asked,
      ActualPartCount: String(parts.length),
    });
  }
  const start = parts.slice(0, number - 1).reduce((sum, before) => sum + before.body.length, 0);
  const extra = object.parts ? ['x-amz-mp-parts-count', String(parts.length)] : [];
  const span = part.body.length === 0 ? undefined : { start, end: start + part.body.length - 1 };
  return { span, checksums: ofObject(part.checksums, object), extra };
}

const OVERRIDES: Record<string, string> = {
  'response-cache-control': 'Cache-Control',
  'response-content-disposition': 'Content-Disposition',
  'response-content-encoding': 'Content-Encoding',
  'response-content-language': 'Content-Language',
  'response-content-type': 'Content-Type',
  'response-expires': 'Expires',
};

/** `response-*` parameters replace what the object says; S3 takes them only from who signed. */
function overridden(request: S3Request, described: readonly string[]): string[] {
  const headers = new Map<string, string>();
  for (let i = 0; i < described.length; i += 2) headers.set(described[i]!, described[i + 1]!);
  for (const [parameter, name] of Object.entries(OVERRIDES)) {
    const value = request.query.get(parameter);
    if (value === undefined) continue;
    if (!request.principal) {
      throw new S3Error(
        'InvalidRequest',
        'Request specific response headers cannot be used for anonymous GET requests.',
      );
    }
    headers.set(name, Buffer.from(value, 'utf8').toString('latin1'));
  }
  return [...headers].flat();
}
