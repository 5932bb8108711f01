import { parseRange } from './range.ts';
import type { HeaderFacts, ObjectAddress, RequestKind, TargetFacts } from './types.ts';

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
  if (target.otherParameters.includes('delete')) {
    return { kind: 'write', reason: 'delete_objects', write: { kind: 'delete_objects', origin, bucket } };
  }
  if (headers.contentType?.trimStart().toLowerCase().startsWith('multipart/form-data')) {
    return { kind: 'write', reason: 'form_post', write: { kind: 'form_post', origin, bucket } };
  }
  return relay('bucket_request');
}

/** Any other method than those of reads may change an object, be it one that only some S3-compatible store knows. */
function classifyWrite(method: string, headers: HeaderFacts, target: TargetFacts): RequestKind {
  const objects = target.object === undefined ? target.ambiguous : [target.object];
  if (objects.length === 0) return relay(target.bucket === undefined ? 'service_request' : 'bucket_request');
  const others = target.otherParameters;
  const only = (...names: string[]) => others.every(name => names.includes(name));
  const has = (name: string) => others.includes(name);

  switch (method) {
    case 'PUT':
      // UploadPart and UploadPartCopy change nothing that a reader can see until the upload is completed.
      if (has('uploadid') && only('uploadid') && target.partNumber !== undefined) return relay('upload_part');
      if (others.length === 0 && headers.copySource !== undefined) return byBody('copy', objects);
      break;
    case 'POST':
      if (has('uploads') && only('uploads')) return relay('create_multipart_upload');
      if (has('select') && only('select', 'select-type')) return relay('select');
      if (has('uploadid')) return byBody('complete_multipart_upload', objects);
      if (has('restore')) return byStatus('restore', objects);
      break;
    case 'DELETE':
      if (has('uploadid') && only('uploadid')) return relay('abort_multipart_upload');
      break;
    default:
  }
  return byStatus(others.length === 0 || only('versionid') ? method.toLowerCase() : 'subresource', objects);
}

function relay(reason: string): RequestKind {
  return { kind: 'relay', reason };
}

function byStatus(reason: string, objects: readonly ObjectAddress[]): RequestKind {
  return { kind: 'write', reason: isToken(reason) ? reason : 'write', write: { kind: 'by_status', objects } };
}

function byBody(reason: string, objects: readonly ObjectAddress[]): RequestKind {
  return { kind: 'write', reason, write: { kind: 'by_body', objects } };
}

/** Reasons become keys of counters, so an invented method must not become one. */
function isToken(reason: string): boolean {
  return ['put', 'post', 'delete', 'patch', 'subresource', 'restore'].includes(reason);
}

function hasBody(headers: HeaderFacts): boolean {
  if (headers.transferEncoding !== undefined) return true;
  return headers.contentLength !== undefined && headers.contentLength !== '0';
}
