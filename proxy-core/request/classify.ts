import { objectAddress, pathReadings } from './key.ts';
import { parseRange } from './range.ts';
import type { HeaderFacts, ObjectAddress, RequestKind, TargetFacts, Upload, WriteKind } from './types.ts';

/**
 * What is to be done with a request: a read that the cache may answer, a write that moves objects on, or a relay with the
 * reason. Reads go by an allow list, since what isn't known may change the meaning; writes by the contrary, since moving an
 * object on for nothing costs one question to S3, while a missed write would leave stale bytes.
 */
export function classify(method: string, headers: HeaderFacts, target: TargetFacts): RequestKind {
  if (target.origin === undefined) return relay('not_s3');
  if (target.relayOnly !== undefined) return relay(target.relayOnly);
  switch (method) {
    case 'GET':
    case 'HEAD':
      return classifyRead(method, headers, target);
    case 'OPTIONS':
    case 'TRACE':
    case 'CONNECT':
      return relay(method.toLowerCase());
    case 'POST':
      return target.object === undefined && target.ambiguous.length === 0
        ? classifyBucketPost(headers, target)
        : classifyWrite(method, headers, target);
    default:
      return classifyWrite(method, headers, target);
  }
}

function classifyRead(method: 'GET' | 'HEAD', headers: HeaderFacts, target: TargetFacts): RequestKind {
  const { object } = target;
  if (object === undefined) {
    if (target.ambiguous.length > 0) return relay('ambiguous_key');
    return relay(target.bucket === undefined ? 'service_request' : 'bucket_request');
  }
  if (target.otherParameters.length > 0) return relay(readParameterReason(target.otherParameters));
  if (hasBody(headers)) return relay('body');
  if (headers.customerKey) return relay('sse_c');
  if (headers.noStore) return relay('no_store');
  // S3 answers 400: "Only one auth mechanism allowed".
  if (target.presigned && headers.authorization !== undefined) return relay('two_signatures');
  // A HEAD with partNumber tells a part's length, which must not be taken for the object's.
  if (method === 'HEAD' && target.partNumber !== undefined) return relay('part_head');

  const range = parseRange(headers.range);
  if (range === 'multi') return relay('multi_range');
  if (range === 'unclear') return relay('unclear_range');
  // S3 answers 400: "Cannot specify both Range header and partNumber query parameter".
  if (range !== 'none' && target.partNumber !== undefined) return relay('range_and_part');
  return {
    kind: 'read',
    object,
    method,
    range: range === 'none' || range === 'invalid' ? undefined : range,
    partNumber: target.partNumber,
  };
}

function readParameterReason(others: readonly string[]): string {
  if (others.includes('versionid')) return 'version_id';
  if (others.includes('uploadid')) return 'list_parts';
  if (others.includes('partnumber')) return 'part_number';
  return others.every(name => name.startsWith('response-')) ? 'response_override' : 'subresource';
}

function classifyBucketPost(headers: HeaderFacts, target: TargetFacts): RequestKind {
  const { origin, bucket } = target;
  if (origin === undefined || bucket === undefined) return relay('service_request');
  if (target.otherParameters.includes('delete'))
    return write('delete_objects', { kind: 'delete_objects', origin, bucket });
  if (headers.contentType?.trimStart().toLowerCase().startsWith('multipart/form-data')) {
    return write('form_post', { kind: 'form_post', origin, bucket });
  }
  return relay('bucket_request');
}

/** Any other method than those of reads may change an object, be it one that only some S3-compatible store knows. */
function classifyWrite(method: string, headers: HeaderFacts, target: TargetFacts): RequestKind {
  const { object } = target;
  const objects = object === undefined ? target.ambiguous : [object];
  if (objects.length === 0) return relay(target.bucket === undefined ? 'service_request' : 'bucket_request');
  const others = parametersOfWrite(target);
  const only = (...names: string[]) => others.every(name => names.includes(name));
  const has = (name: string) => others.includes(name);
  const byStatus = (reason: string, changed = objects) => write(reason, { kind: 'by_status', objects: changed });
  const byBody = (reason: string, changed = objects) => write(reason, { kind: 'by_body', objects: changed });
  // S3 tells capitals apart: what is spelled otherwise is another parameter, which may mean nothing.
  const uploadId = target.query.get('uploadId');

  switch (method) {
    case 'PUT': {
      const isCopy = headers.copySource !== undefined || target.otherParameters.includes('x-amz-copy-source');
      if (uploadId !== undefined && only('uploadid') && target.partNumber !== undefined) {
        if (isCopy) return keepable(byBody('upload_part_copy', []), object && { step: 'discard', object, uploadId });
        // Changes nothing that a reader can see until the upload is completed.
        return keepable(
          byStatus('upload_part', []),
          object && { step: 'part', object, uploadId, number: target.partNumber },
        );
      }
      const renamed = renamedObjects(headers, target);
      if (renamed.length > 0) return byStatus('rename', [...objects, ...renamed]);
      if (others.length > 0) break;
      if (isCopy) return byBody('copy');
      return keepable(byStatus('put'), object && target.partNumber === undefined ? { step: 'put', object } : undefined);
    }
    case 'POST':
      if (target.query.has('uploads') && only('uploads')) {
        return keepable(byBody('create_multipart_upload', []), object && { step: 'create', object });
      }
      if (has('select') && only('select', 'select-type')) return relay('select');
      if (has('uploadid')) {
        const isComplete = object && uploadId !== undefined && only('uploadid');
        return keepable(
          byBody('complete_multipart_upload'),
          isComplete ? { step: 'complete', object, uploadId } : undefined,
        );
      }
      if (has('restore')) return byStatus('restore');
      break;
    case 'DELETE':
      if (uploadId !== undefined && only('uploadid')) {
        return keepable(byStatus('abort_multipart_upload', []), object && { step: 'discard', object, uploadId });
      }
      if (others.length === 0 && object) return write('delete', { kind: 'delete', object });
      break;
    default:
  }
  return byStatus(others.length === 0 || only('versionid') ? method.toLowerCase() : 'subresource');
}

/**
 * The parameters that say what a write is about. SDKs that presign move `x-amz-` headers into the query (metadata, checksums,
 * storage class), where they mean what they mean as headers.
 */
function parametersOfWrite({ presigned, otherParameters }: TargetFacts): readonly string[] {
  return presigned ? otherParameters.filter(name => !name.startsWith('x-amz-')) : otherParameters;
}

/**
 * What a RenameObject takes from its old name, within the bucket (S3 API reference, "RenameObject"). AWS has it for directory
 * buckets alone, which are never cached; S3-compatible stores have it for any. Whether the source begins with a slash or with the
 * bucket isn't said there, so that all readings count.
 */
function renamedObjects({ renameSource }: HeaderFacts, { origin, bucket, query }: TargetFacts): ObjectAddress[] {
  const source = renameSource ?? query.get('x-amz-rename-source');
  if (source === undefined || origin === undefined || bucket === undefined) return [];
  const keys = [source.replace(/^\//, ''), source].flatMap(path => pathReadings(path, bucket));
  return [...new Set(keys)].map(key => objectAddress(origin, bucket, key));
}

type Write = Extract<RequestKind, { kind: 'write' }>;

function relay(reason: string): RequestKind {
  return { kind: 'relay', reason };
}

function write(reason: string, kind: WriteKind): Write {
  return { kind: 'write', reason: REASONS.has(reason) ? reason : 'write', write: kind, upload: undefined };
}

function keepable(what: Write, upload: Upload | undefined): Write {
  return { ...what, upload };
}

/** Reasons become keys of counters, so an invented method must not become one. */
const REASONS: ReadonlySet<string> = new Set([
  'put',
  'post',
  'delete',
  'patch',
  'subresource',
  'restore',
  'copy',
  'rename',
  'upload_part',
  'upload_part_copy',
  'create_multipart_upload',
  'complete_multipart_upload',
  'abort_multipart_upload',
  'delete_objects',
  'form_post',
]);

function hasBody(headers: HeaderFacts): boolean {
  return headers.contentLength !== undefined && headers.contentLength !== '0';
}
