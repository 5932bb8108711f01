import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { classify, TargetParser } from '../../proxy-core/request/index.ts';
import { factsOf } from './helpers.ts';

const parser = new TargetParser();
const HOST = 's3.us-east-1.amazonaws.com';
const PRESIGNED = 'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=a';
const object = { origin: 'aws', bucket: 'b', key: 'k', storeKey: 'aws\0b\0k' };
type Headers = Record<string, string | string[]>;
const kindOf = (method: string, path: string, headers: Headers = {}, host = HOST) =>
  classify(method, factsOf(headers), parser.parse(host, path));

describe('object reads', () => {
  it.each<[method: string, path: string, headers: Headers, over: object]>([
    ['GET', '/b/k', {}, {}],
    ['HEAD', '/b/k', {}, {}],
    ['GET', '/b/k?x-id=GetObject', {}, {}],
    ['GET', '/b/k?partNumber=3', {}, { partNumber: 3 }],
    ['GET', '/b/k', { range: 'bytes=1-2' }, { range: { kind: 'closed', start: 1, end: 2 } }],
    ['HEAD', '/b/k', { range: 'bytes=1-' }, { range: { kind: 'open', start: 1 } }],
    ['GET', '/b/k', { range: 'bytes=-9' }, { range: { kind: 'suffix', length: 9 } }],
    ['GET', '/b/k', { range: 'bytes=9-1' }, {}],
    ['GET', '/b/k', { range: 'pages=1' }, {}],
    ['GET', '/b/k', { 'content-length': '0' }, {}],
    ['GET', '/b/k', { 'cache-control': 'no-cache' }, {}],
    ['GET', '/b/k', { 'x-amz-checksum-mode': 'ENABLED', 'if-match': '"e"', origin: 'https://x' }, {}],
    ['GET', '/b/k', { 'x-amz-request-payer': 'requester' }, {}],
    ['GET', '/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=a', {}, {}],
  ])('%s %s %j', (method, path, headers, over) => {
    expect(kindOf(method, path, headers)).toEqual({
      kind: 'read',
      object,
      method,
      range: undefined,
      partNumber: undefined,
      ...over,
    });
  });
});

describe('relays, with their reason', () => {
  it.each<[method: string, path: string, headers: Headers, reason: string]>([
    ['GET', '/', {}, 'service_request'],
    ['GET', '/b', {}, 'bucket_request'],
    ['HEAD', '/b/', {}, 'bucket_request'],
    ['GET', '/b?list-type=2', {}, 'bucket_request'],
    ['GET', '/b/a+b', {}, 'ambiguous_key'],
    ['GET', '/b/%zz', {}, 'ambiguous_key'],
    ['GET', '/my%2Db/k', {}, 'ambiguous_key'],
    ['GET', '/b/k?versionId=1', {}, 'version_id'],
    ['GET', '/b/k?versionId=1&partNumber=1', {}, 'version_id'],
    ['GET', '/b/k?uploadId=1', {}, 'list_parts'],
    ['GET', '/b/k?acl', {}, 'subresource'],
    ['GET', '/b/k?tagging', {}, 'subresource'],
    ['GET', '/b/k?attributes', {}, 'subresource'],
    ['GET', '/b/k?torrent', {}, 'subresource'],
    ['GET', '/b/k?anything-new', {}, 'subresource'],
    ['GET', '/b/k?response-content-type=a&response-expires=b', {}, 'response_override'],
    ['GET', '/b/k?partNumber=0', {}, 'part_number'],
    ['GET', '/b/k', { 'content-length': '1' }, 'body'],
    ['GET', '/b/k', { 'x-amz-server-side-encryption-customer-algorithm': 'AES256' }, 'sse_c'],
    ['HEAD', '/b/k', { 'x-amz-server-side-encryption-customer-key-md5': 'x' }, 'sse_c'],
    ['GET', '/b/k', { 'cache-control': 'no-store' }, 'no_store'],
    ['GET', '/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256', { authorization: 'AWS a:b' }, 'two_signatures'],
    ['HEAD', '/b/k?partNumber=1', {}, 'part_head'],
    ['GET', '/b/k', { range: 'bytes=0-1,3-4' }, 'multi_range'],
    ['GET', '/b/k', { range: ['bytes=0-1', 'bytes=3-4'] }, 'multi_range'],
    ['GET', '/b/k', { range: 'bytes=0 -1' }, 'unclear_range'],
    ['GET', '/b/k?partNumber=1', { range: 'bytes=0-1' }, 'range_and_part'],
    ['OPTIONS', '/b/k', {}, 'options'],
    ['TRACE', '/b/k', {}, 'trace'],
    ['PUT', '/b', {}, 'bucket_request'],
    ['PUT', '/b?acl', {}, 'bucket_request'],
    ['DELETE', '/b', {}, 'bucket_request'],
    ['POST', '/b', {}, 'bucket_request'],
    ['POST', '/', {}, 'service_request'],
    ['PUT', '/', {}, 'service_request'],
    ['POST', '/b/k?select&select-type=2', {}, 'select'],
  ])('%s %s %j: %s', (method, path, headers, reason) => {
    expect(kindOf(method, path, headers)).toEqual({ kind: 'relay', reason });
  });
  it.each(['GET', 'PUT', 'POST', 'DELETE'])('%s to a host that is not S3', method => {
    expect(kindOf(method, '/b/k', {}, 'example.com')).toEqual({ kind: 'relay', reason: 'not_s3' });
  });
  it.each(['GET', 'PUT'])('%s to a directory bucket', method => {
    const host = 'my--usw2-az1--x-s3.s3express-usw2-az1.us-west-2.amazonaws.com';
    expect(kindOf(method, '/k', {}, host)).toEqual({ kind: 'relay', reason: 's3_express' });
  });
});

describe('writes', () => {
  it.each<[method: string, path: string, headers: Headers, reason: string, kind: 'by_status' | 'by_body']>([
    ['PUT', '/b/k', {}, 'put', 'by_status'],
    ['PUT', '/b/k?x-id=PutObject', {}, 'put', 'by_status'],
    ['PUT', '/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=a', {}, 'put', 'by_status'],
    ['PUT', '/b/k?acl', {}, 'subresource', 'by_status'],
    ['PUT', '/b/k?tagging', {}, 'subresource', 'by_status'],
    ['PUT', '/b/k?retention', {}, 'subresource', 'by_status'],
    ['PUT', '/b/k?legal-hold', {}, 'subresource', 'by_status'],
    ['PUT', '/b/k?tagging&versionId=1', {}, 'subresource', 'by_status'],
    ['PUT', '/b/k?uploadId=u', {}, 'subresource', 'by_status'],
    ['PUT', '/b/k?uploadId=u&partNumber=0', {}, 'subresource', 'by_status'],
    ['PUT', '/b/k?uploadId=u&partNumber=1&partNumber=2', {}, 'subresource', 'by_status'],
    ['PUT', '/b/k?uploadId=u&partNumber=1&new', {}, 'subresource', 'by_status'],
    ['PUT', '/b/k?partNumber=1', {}, 'put', 'by_status'],
    ['PUT', '/b/k', { 'x-amz-copy-source': '/b/s' }, 'copy', 'by_body'],
    ['PUT', '/b/k', { 'x-amz-server-side-encryption-customer-algorithm': 'AES256' }, 'put', 'by_status'],
    ['PUT', '/b/k', { 'cache-control': 'no-store' }, 'put', 'by_status'],
    ['POST', '/b/k?uploadId=u', {}, 'complete_multipart_upload', 'by_body'],
    ['POST', '/b/k?uploadId=u&uploads', {}, 'complete_multipart_upload', 'by_body'],
    ['POST', '/b/k?restore', {}, 'restore', 'by_status'],
    ['POST', '/b/k?restore&versionId=1', {}, 'restore', 'by_status'],
    ['POST', '/b/k?select&new', {}, 'subresource', 'by_status'],
    ['POST', '/b/k', {}, 'post', 'by_status'],
    ['PUT', '/b/k?uploadid=u&partNumber=1', {}, 'subresource', 'by_status'],
    ['POST', '/b/k?Uploads', {}, 'subresource', 'by_status'],
    ['PUT', '/b/k?x-amz-meta-a=1', {}, 'subresource', 'by_status'],
    ['PUT', `/b/k?x-amz-copy-source=s&${PRESIGNED}`, {}, 'copy', 'by_body'],
    ['DELETE', '/b/k?versionId=1', {}, 'delete', 'by_status'],
    ['DELETE', '/b/k?tagging', {}, 'subresource', 'by_status'],
    ['DELETE', '/b/k?uploadId=u&versionId=1', {}, 'subresource', 'by_status'],
    ['PATCH', '/b/k', {}, 'patch', 'by_status'],
    ['MOVE', '/b/k', {}, 'write', 'by_status'],
  ])('%s %s %j: %s, %s', (method, path, headers, reason, kind) => {
    expect(kindOf(method, path, headers)).toMatchObject({ kind: 'write', reason, write: { kind, objects: [object] } });
  });
  it.each<[method: string, path: string, source: string | undefined, sources: string[]]>([
    ['PUT', '/b/k?renameObject', 'old', ['old']],
    ['PUT', '/b/k?renameObject', '/dir/old%20name', ['dir/old name', '/dir/old name']],
    ['PUT', '/b/k?renameObject', 'b/old', ['b/old', 'old']],
    ['PUT', '/b/k?renameObject', '/b/%C3%A4', ['b/ä', 'ä', '/b/ä'].map(key => Buffer.from(key).toString('latin1'))],
    ['PUT', '/b/k', 'old', ['old']],
    ['PUT', `/b/k?renameObject&x-amz-rename-source=old%2520name&${PRESIGNED}`, undefined, ['old name']],
  ])('%s %s from %s changes both names', (method, path, source, sources) => {
    const kind = kindOf(method, path, source === undefined ? {} : { 'x-amz-rename-source': source });
    const objects = ['k', ...sources].map(key => ({ key, storeKey: `aws\0b\0${key}` }));
    expect(kind).toMatchObject({ reason: 'rename', write: { kind: 'by_status', objects }, upload: undefined });
  });
  it('DELETE of an object, not of a version, removes it', () => {
    expect(kindOf('DELETE', '/b/k')).toMatchObject({ reason: 'delete', write: { kind: 'delete', object } });
    expect(kindOf('DELETE', '/b/a+b')).toMatchObject({ reason: 'delete', write: { kind: 'by_status' } });
  });
  it.each<[method: string, path: string, reason: string, upload: object, moves: boolean]>([
    ['PUT', '/b/k', 'put', { step: 'put' }, true],
    ['PUT', `/b/k?x-amz-meta-a=1&x-amz-checksum-crc32=x&${PRESIGNED}`, 'put', { step: 'put' }, true],
    ['POST', '/b/k?uploads', 'create_multipart_upload', { step: 'create' }, false],
    ['POST', '/b/k?uploads=&x-id=CreateMultipartUpload', 'create_multipart_upload', { step: 'create' }, false],
    ['PUT', '/b/k?uploadId=u%2B&partNumber=1', 'upload_part', { step: 'part', uploadId: 'u+', number: 1 }, false],
    [
      'PUT',
      `/b/k?x-id=UploadPart&partNumber=10000&uploadId=u&${PRESIGNED}`,
      'upload_part',
      { step: 'part', uploadId: 'u', number: 10_000 },
      false,
    ],
    [
      'PUT',
      `/b/k?uploadId=u&partNumber=1&x-amz-copy-source=s&${PRESIGNED}`,
      'upload_part_copy',
      { step: 'discard', uploadId: 'u' },
      false,
    ],
    ['POST', '/b/k?uploadId=u', 'complete_multipart_upload', { step: 'complete', uploadId: 'u' }, true],
    ['DELETE', '/b/k?uploadId=u', 'abort_multipart_upload', { step: 'discard', uploadId: 'u' }, false],
  ])('%s %s is a step of an upload', (method, path, reason, upload, moves) => {
    const objects = moves ? [object] : [];
    expect(kindOf(method, path)).toMatchObject({
      kind: 'write',
      reason,
      write: { objects },
      upload: { ...upload, object },
    });
  });
  it('an UploadPartCopy is told by its header', () => {
    const kind = kindOf('PUT', '/b/k?uploadId=u&partNumber=1', { 'x-amz-copy-source': '/b/s' });
    expect(kind).toMatchObject({ reason: 'upload_part_copy', write: { kind: 'by_body', objects: [] } });
  });
  it.each([
    ['PUT', '/b/a+b'],
    ['PUT', '/b/k?partNumber=1'],
    ['PUT', '/b/k?tagging'],
    ['PUT', '/b/a+b?uploadId=u&partNumber=1'],
    ['POST', '/b/k?uploadId=u&uploads'],
    ['POST', '/b/k?restore'],
    ['DELETE', '/b/k'],
  ])('%s %s is no step of an upload', (method, path) => {
    expect(kindOf(method, path)).toMatchObject({ kind: 'write', upload: undefined });
  });
  it.each(['/b?delete', '/b/?delete=&x-id=DeleteObjects', '/%62?delete'])('POST %s deletes many', path => {
    expect(kindOf('POST', path)).toEqual({
      kind: 'write',
      reason: 'delete_objects',
      write: { kind: 'delete_objects', origin: 'aws', bucket: 'b' },
    });
  });
  it.each(['multipart/form-data; boundary=x', 'Multipart/Form-Data;boundary=x'])(
    'POST of %s to a bucket is a form upload',
    type => {
      expect(kindOf('POST', '/', { 'content-type': type }, `b.${HOST}`)).toEqual({
        kind: 'write',
        reason: 'form_post',
        write: { kind: 'form_post', origin: 'aws', bucket: 'b' },
      });
    },
  );
  it('of a key with two readings concern both', () => {
    const kind = kindOf('PUT', '/b/a+b');
    expect(kind).toMatchObject({
      kind: 'write',
      write: { kind: 'by_status', objects: [{ key: 'a+b' }, { key: 'a b' }] },
    });
  });
  it('of a bucket in escapes concern the object of the plain spelling', () => {
    expect(kindOf('DELETE', '/%62/k')).toMatchObject({ kind: 'write', write: { objects: [object] } });
  });
});

describe('whatever comes', () => {
  const query = fc
    .array(
      fc.tuple(
        fc.oneof(
          fc.constantFrom('partNumber', 'uploadId', 'uploads', 'delete', 'versionId', 'acl', 'x-id'),
          fc.stringMatching(/^[a-z-]{1,8}$/),
        ),
        fc.stringMatching(/^[0-9a-z]{0,3}$/),
      ),
    )
    .map(pairs => pairs.map(([name, value]) => `${name}=${value}`).join('&'));
  const headers = fc.dictionary(
    fc.constantFrom(
      'range',
      'content-length',
      'x-amz-copy-source',
      'content-type',
      'cache-control',
      'if-match',
      'authorization',
    ),
    fc.string(),
  );
  it('nothing throws, and each reason is a token', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), headers, (method, path, values) => {
        for (const name of [method, 'GET', 'PUT', 'POST', 'DELETE']) {
          const kind = kindOf(name, `/${path}`, values);
          if (kind.kind !== 'read') expect(kind.reason).toMatch(/^[a-z][a-z0-9_]*$/);
        }
      }),
    );
  });
  it('a read never carries a parameter outside the allow list', () => {
    fc.assert(
      fc.property(fc.constantFrom('GET', 'HEAD'), query, (method, text) => {
        if (kindOf(method, `/b/k?${text}`).kind !== 'read') return;
        for (const pair of text.split('&')) expect(['', 'x-id', 'partNumber']).toContain(pair.split('=')[0]);
      }),
    );
  });
  it('a PUT or DELETE on an object is a write unless it names an upload', () => {
    fc.assert(
      fc.property(fc.constantFrom('PUT', 'DELETE', 'PATCH'), query, headers, (method, text, values) => {
        fc.pre(!text.includes('uploadId'));
        const kind = kindOf(method, `/b/k?${text}`, values);
        const write = kind.kind === 'write' && kind.write.kind === 'delete' ? { object } : { objects: [object] };
        expect(kind).toMatchObject({ kind: 'write', write });
      }),
    );
  });
});
