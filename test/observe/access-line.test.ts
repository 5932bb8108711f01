import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { operationOf } from '../../proxy-core/observe/access-operation.ts';
import { type AccessEntry, formatLine } from '../../proxy-core/observe/index.ts';

const entry = (change: Partial<AccessEntry> = {}): AccessEntry => ({
  time: Date.UTC(2019, 1, 6, 0, 0, 38, 999),
  remoteAddress: '192.0.2.3',
  requestId: '3E57427F3EXAMPLE',
  hostId: 's9lzHYrFp76ZVxRcpX9+5cjA=',
  method: 'GET',
  target: '/photos/puppy.jpg?x-id=GetObject',
  httpVersion: '1.1',
  host: 'bucket1.s3.us-west-1.amazonaws.com',
  origin: 'aws',
  bucket: 'bucket1',
  key: 'photos/puppy.jpg',
  isCopy: false,
  status: 200,
  errorCode: undefined,
  bytesSent: 2662992,
  objectSize: 3462992,
  totalTime: 70.4,
  turnAroundTime: 9.6,
  referer: 'http://www.example.com/webservices',
  userAgent: 'curl/7.15.1',
  versionId: undefined,
  signature: { scheme: 'sigv4', presigned: false },
  tls: { cipher: 'TLS_AES_128_GCM_SHA256', protocol: 'TLSv1.3' },
  outcome: 'hit',
  reason: undefined,
  ...change,
});

/** As log analysers read the format: fields apart by spaces, but for brackets and quotes. */
function fields(line: string): string[] {
  return [...line.trimEnd().matchAll(/\[[^\]]*\]|"[^"]*"|[^ ]+/g)].map(match => match[0]);
}

describe('a line of the access log', () => {
  it('has the fields of S3 server access logs in order, then outcome and reason', () => {
    expect(formatLine(entry())).toBe(
      '- bucket1 [06/Feb/2019:00:00:38 +0000] 192.0.2.3 - 3E57427F3EXAMPLE REST.GET.OBJECT photos/puppy.jpg ' +
        '"GET /photos/puppy.jpg?x-id=GetObject HTTP/1.1" 200 - 2662992 3462992 70 10 ' +
        '"http://www.example.com/webservices" "curl/7.15.1" - s9lzHYrFp76ZVxRcpX9+5cjA= SigV4 ' +
        'TLS_AES_128_GCM_SHA256 AuthHeader bucket1.s3.us-west-1.amazonaws.com TLSv1.3 - - - HIT -\n',
    );
  });

  it('takes bucket and key from the address, so that a virtual-hosted request does not log a folder as its bucket', () => {
    const line = fields(formatLine(entry({ target: '/folder/file.txt', bucket: 'my.bucket', key: 'folder/file.txt' })));
    expect([line[1], line[7]]).toEqual(['my.bucket', 'folder/file.txt']);
  });

  it('writes - for what is not known', () => {
    const blank = entry({
      remoteAddress: undefined,
      requestId: undefined,
      hostId: undefined,
      host: undefined,
      origin: undefined,
      bucket: undefined,
      key: undefined,
      bytesSent: 0,
      objectSize: undefined,
      turnAroundTime: undefined,
      referer: undefined,
      userAgent: undefined,
      signature: { scheme: 'anonymous', presigned: false },
      tls: undefined,
      outcome: undefined,
      method: 'GET',
      target: '/',
    });
    expect(formatLine(blank)).toBe(
      '- - [06/Feb/2019:00:00:38 +0000] - - - - - "GET / HTTP/1.1" 200 - - - 70 - "-" "-" - - - - - - - - - - - -\n',
    );
  });

  it('shows how the request was signed, and never with what', () => {
    const secret = 'abcdef0123456789';
    const target = `/k?X-Amz-Credential=${secret}&x%2damz-signature=${secret}&X-Amz-Security-Token=${secret}&X-Amz-Expires=60`;
    const line = formatLine(
      entry({
        target,
        referer: `https://h/?X-Amz-Signature=${secret}`,
        userAgent: `x Signature=${secret}`,
        signature: { scheme: 'sigv4', presigned: true },
      }),
    );
    expect(line).not.toContain(secret);
    expect(fields(line)[19]).toBe('SigV4');
    expect(fields(line)[21]).toBe('QueryString');
    expect(line).toContain('X-Amz-Expires=60');
  });

  it('gives a client no way to end a field or a line', () => {
    const evil = 'a" 200 -\r\n- forged "\\\u0000\u007f\u2028 ]';
    const line = formatLine(
      entry({
        target: `/${evil}`,
        host: evil,
        referer: evil,
        userAgent: evil,
        key: evil,
        method: evil,
        requestId: evil,
        reason: evil,
      }),
    );
    expect(line.match(/\n/g)).toHaveLength(1);
    expect(line).toMatch(/^[\x20-\x7e]+\n$/);
    expect(fields(line)).toHaveLength(29);
  });

  it('has 29 fields and one line whatever it is given', () => {
    const text = fc.option(fc.string({ unit: 'binary', maxLength: 20 }), { nil: undefined });
    fc.assert(
      fc.property(
        text,
        text,
        text,
        text,
        text,
        fc.string({ unit: 'binary' }),
        (host, referer, userAgent, key, bucket, target) => {
          const line = formatLine(entry({ host, referer, userAgent, key, bucket, target: `/${target}` }));
          expect(line).toMatch(/^[\x20-\x7e]+\n$/);
          expect(fields(line)).toHaveLength(29);
        },
      ),
    );
  });

  it('encodes the key byte by byte, as S3 does', () => {
    const key = Buffer.from('Bücher/a b+c%d').toString('latin1');
    expect(fields(formatLine(entry({ key })))[7]).toBe('B%C3%BCcher/a%20b%2Bc%25d');
  });
});

describe('the operation', () => {
  const operation = (method: string, target: string, key: string | undefined, more = {}): string | undefined =>
    operationOf({ method, target, origin: 'aws', bucket: 'b', key, isCopy: false, ...more });

  it.each([
    ['GET', '/k', 'REST.GET.OBJECT'],
    ['HEAD', '/k', 'REST.HEAD.OBJECT'],
    ['GET', '/k?partNumber=2', 'REST.GET.OBJECT'],
    ['GET', '/k?X-Amz-Signature=x', 'REST.GET.OBJECT'],
    ['PUT', '/k?partNumber=2&uploadId=x', 'REST.PUT.PART'],
    ['POST', '/k?uploads', 'REST.POST.UPLOADS'],
    ['POST', '/k?uploadId=x', 'REST.POST.UPLOAD'],
    ['DELETE', '/k?uploadId=x', 'REST.DELETE.UPLOAD'],
    ['GET', '/k?tagging', 'REST.GET.OBJECT_TAGGING'],
    ['PUT', '/k?acl', 'REST.PUT.ACL'],
    ['GET', '/k?toString', 'REST.GET.OBJECT'],
  ])('of %s %s on an object is named as S3 names it', (method, target, name) => {
    expect(operation(method, target, 'k')).toBe(name);
  });

  it.each([
    ['GET', '/?list-type=2', 'REST.GET.BUCKET'],
    ['GET', '/?versions', 'REST.GET.BUCKETVERSIONS'],
    ['GET', '/?versioning', 'REST.GET.VERSIONING'],
    ['GET', '/?logging', 'REST.GET.LOGGING_STATUS'],
    ['GET', '/?policy', 'REST.GET.BUCKETPOLICY'],
    ['POST', '/?delete', 'REST.POST.MULTI_OBJECT_DELETE'],
    ['GET', '/?tagging', 'REST.GET.TAGGING'],
  ])('of %s %s on a bucket is named as S3 names it', (method, target, name) => {
    expect(operation(method, target, undefined)).toBe(name);
  });

  it('tells copies, the service and what is not S3 apart', () => {
    expect(operation('PUT', '/k', 'k', { isCopy: true })).toBe('REST.COPY.OBJECT');
    expect(operation('PUT', '/k?partNumber=1&uploadId=x', 'k', { isCopy: true })).toBe('REST.COPY.PART');
    expect(operation('GET', '/', undefined, { bucket: undefined })).toBe('REST.GET.SERVICE');
    expect(operation('GET', '/', undefined, { origin: undefined, bucket: undefined })).toBeUndefined();
  });
});
