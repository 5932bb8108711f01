import { afterEach, describe, expect, it } from 'vitest';
import { exchangeRaw, requestText } from './exchange.ts';
import {
  ALICE,
  CAROL,
  type Principal,
  presign,
  type SignInput,
  signHeaders,
  startOrigin,
  type TestOrigin,
} from './index.ts';

// The worked examples of the S3 API reference ("Signature Calculations …"), whose signatures AWS computed.
const EXAMPLE: Principal = {
  name: 'example',
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
};
const DATE = Date.parse('2013-05-24T00:00:00Z');
const SCOPE = 'AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request';
const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

let origin: TestOrigin;
let now = DATE;
afterEach(() => origin.stop());

async function start(principals = [EXAMPLE, ALICE, CAROL]): Promise<void> {
  now = DATE;
  origin = await startOrigin({ buckets: { examplebucket: { anonymous: 'none' } }, principals, now: () => now });
  origin.put('examplebucket', 'test.txt', 'the content of the example');
}

async function send(
  method: string,
  target: string,
  headers: readonly string[],
  body: Buffer | string = '',
): Promise<[number, string]> {
  const answer = await exchangeRaw(
    origin.port,
    Buffer.concat([Buffer.from(requestText(method, target, headers), 'latin1'), Buffer.from(body)]),
  );
  return [answer.status, /<Code>(\w+)</.exec(answer.body.toString())?.[1] ?? answer.body.toString()];
}

function authorization(signedHeaders: string, signature: string): string {
  return `AWS4-HMAC-SHA256 Credential=${SCOPE},SignedHeaders=${signedHeaders},Signature=${signature}`;
}

describe("AWS's own examples", () => {
  it('GET with a signed Range', async () => {
    await start();
    const headers = [
      'Host',
      'examplebucket.s3.amazonaws.com',
      'Range',
      'bytes=0-9',
      'x-amz-content-sha256',
      EMPTY,
      'x-amz-date',
      '20130524T000000Z',
    ];
    const signature = 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41';
    const signed = [
      ...headers,
      'Authorization',
      authorization('host;range;x-amz-content-sha256;x-amz-date', signature),
    ];
    expect(await send('GET', '/test.txt', signed)).toEqual([206, 'the conten']);
    signed[3] = 'bytes=0-8';
    expect(await send('GET', '/test.txt', signed)).toEqual([403, 'SignatureDoesNotMatch']);
  });

  it('PUT with a Date header, a key to be encoded and the hash of its body', async () => {
    await start();
    const body = 'Welcome to Amazon S3.';
    const headers = (host: string) => [
      ...['Host', host, 'Date', 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-date', '20130524T000000Z'],
      ...['x-amz-storage-class', 'REDUCED_REDUNDANCY', 'Content-Length', String(body.length)],
      ...['x-amz-content-sha256', '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072'],
      'Authorization',
      authorization(
        'date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class',
        '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
      ),
    ];
    expect(await send('PUT', '/test$file.text', headers('examplebucket.s3.amazonaws.com'), body)).toEqual([200, '']);
    expect(await send('PUT', '/test%24file.text', headers('examplebucket.s3.amazonaws.com'), body)).toEqual([200, '']);
    expect(
      (await send('PUT', '/test$file.text', headers('examplebucket.s3.amazonaws.com'), 'Welcome to Amazon S4.'))[1],
    ).toBe('XAmzContentSHA256Mismatch');
    expect((await send('PUT', '/test$file.text', headers('examplebucket.s3.us-east-1.amazonaws.com'), body))[1]).toBe(
      'SignatureDoesNotMatch',
    );
  });

  it('a listing with query parameters', async () => {
    await start();
    const headers = [
      'Host',
      'examplebucket.s3.amazonaws.com',
      'x-amz-content-sha256',
      EMPTY,
      'x-amz-date',
      '20130524T000000Z',
      'Authorization',
    ];
    const signed = [
      ...headers,
      authorization(
        'host;x-amz-content-sha256;x-amz-date',
        '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
      ),
    ];
    expect((await send('GET', '/?max-keys=2&prefix=J', signed))[0]).toBe(200);
    expect((await send('GET', '/?prefix=J&max-keys=2', signed))[0]).toBe(200);
    expect((await send('GET', '/?max-keys=3&prefix=J', signed))[1]).toBe('SignatureDoesNotMatch');
  });

  it('a presigned URL, until it expires', async () => {
    await start();
    const query = `X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${encodeURIComponent(SCOPE)}&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host`;
    const target = `/test.txt?${query}&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404`;
    const get = () => send('GET', target, ['Host', 'examplebucket.s3.amazonaws.com']);
    expect((await get())[0]).toBe(200);
    now = DATE + 86_400_000;
    expect((await get())[0]).toBe(200);
    now += 1;
    expect(await get()).toEqual([403, 'AccessDenied']);
  });

  const chunk = (size: number, signature: string) =>
    `${size.toString(16)};chunk-signature=${signature}\r\n${'a'.repeat(size)}\r\n`;

  it('a body in signed chunks', async () => {
    await start();
    const body =
      chunk(65_536, 'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648') +
      chunk(1024, '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497') +
      chunk(0, 'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9');
    const headers = [
      ...['Host', 's3.amazonaws.com', 'x-amz-date', '20130524T000000Z', 'x-amz-storage-class', 'REDUCED_REDUNDANCY'],
      ...['x-amz-content-sha256', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD', 'Content-Encoding', 'aws-chunked'],
      ...['x-amz-decoded-content-length', '66560', 'Content-Length', '66824', 'Authorization'],
      authorization(
        'content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class',
        '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9',
      ),
    ];
    expect(await send('PUT', '/examplebucket/chunkObject.txt', headers, body)).toEqual([200, '']);
    const stored = origin.object('examplebucket', 'chunkObject.txt')!;
    expect(stored.body.length).toBe(66_560);
    expect(stored.headers).not.toContain('Content-Encoding');
    const tampered = body.replace('aaaa\r\n400', 'aaab\r\n400');
    expect((await send('PUT', '/examplebucket/chunkObject.txt', headers, tampered))[1]).toBe('SignatureDoesNotMatch');
  });

  it('a body in signed chunks with a signed trailer', async () => {
    await start();
    const trailer = (checksum: string) =>
      `0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\nx-amz-checksum-crc32c:${checksum}\r\nx-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n`;
    const chunks =
      chunk(65_536, 'b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2') +
      chunk(1024, '1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7');
    const headers = (body: string) => [
      ...['Host', 's3.amazonaws.com', 'x-amz-date', '20130524T000000Z', 'x-amz-storage-class', 'REDUCED_REDUNDANCY'],
      ...['x-amz-content-sha256', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER', 'Content-Encoding', 'aws-chunked'],
      ...['x-amz-decoded-content-length', '66560', 'x-amz-trailer', 'x-amz-checksum-crc32c'],
      ...['Content-Length', String(body.length), 'Authorization'],
      authorization(
        'content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer',
        '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e',
      ),
    ];
    const good = chunks + trailer('sOO8/Q==');
    expect(await send('PUT', '/examplebucket/chunkObject.txt', headers(good), good)).toEqual([200, '']);
    expect(origin.object('examplebucket', 'chunkObject.txt')!.checksums).toEqual([
      { algorithm: 'crc32c', value: 'sOO8/Q==', type: 'FULL_OBJECT' },
    ]);
    const bad = chunks + trailer('sOO8/A==');
    expect((await send('PUT', '/examplebucket/chunkObject.txt', headers(bad), bad))[1]).toBe('SignatureDoesNotMatch');
  });
});

describe('a signature', () => {
  const request = (more: Partial<SignInput> = {}): SignInput => ({
    method: 'GET',
    host: 'examplebucket.s3.amazonaws.com',
    target: '/test.txt',
    at: now,
    ...more,
  });
  const get = (headers: readonly string[], target = '/test.txt') => send('GET', target, headers);

  it('is refused when its clock is more than 15 minutes off, either way', async () => {
    await start();
    const at = async (offset: number) => (await get(signHeaders(ALICE, request({ at: DATE + offset }))))[1];
    expect(await at(-15 * 60_000)).toBe('the content of the example');
    expect(await at(15 * 60_000)).toBe('the content of the example');
    expect(await at(-15 * 60_000 - 1000)).toBe('RequestTimeTooSkewed');
    expect(await at(15 * 60_000 + 1000)).toBe('RequestTimeTooSkewed');
  });

  it('must cover every x-amz-* header that arrives, so an added one is noticed', async () => {
    await start();
    const headers = signHeaders(ALICE, request());
    expect((await get(headers))[0]).toBe(200);
    expect((await get([...headers, 'If-None-Match', '"other"']))[0]).toBe(200);
    expect((await get([...headers, 'x-amz-checksum-mode', 'ENABLED']))[1]).toBe('AccessDenied');
  });

  it('covers header values byte by byte, UTF-8 and inner spaces included', async () => {
    await start();
    const value = Buffer.from('grüße  日本', 'utf8').toString('latin1');
    const body = Buffer.from('x');
    const headers = signHeaders(
      ALICE,
      request({ method: 'PUT', target: '/meta', body, headers: ['x-amz-meta-greeting', value, 'Content-Length', '1'] }),
    );
    expect((await send('PUT', '/meta', headers, body))[0]).toBe(200);
    const answer = await exchangeRaw(
      origin.port,
      requestText('GET', '/meta', signHeaders(ALICE, request({ target: '/meta' }))),
    );
    expect(answer.head).toContain(`x-amz-meta-greeting: ${value}`);
  });

  it('with a session token is refused without it', async () => {
    await start();
    const headers = signHeaders(CAROL, request());
    expect((await get(headers))[0]).toBe(200);
    const at = headers.indexOf('x-amz-security-token');
    expect((await get([...headers.slice(0, at), ...headers.slice(at + 2)]))[1]).toBe('InvalidToken');
    expect(
      (await get(['Host', 'examplebucket.s3.amazonaws.com'], presign(CAROL, { ...request(), expires: 60 })))[0],
    ).toBe(200);
  });

  it('of the wrong Region is refused with the right one named', async () => {
    origin = await startOrigin({ region: 'eu-west-1' });
    const host = origin.address;
    origin.put('data', 'k', 'x');
    const signed = (region: string) => signHeaders(ALICE, { method: 'GET', host, target: '/data/k', region });
    expect((await get(signed('eu-west-1'), '/data/k'))[0]).toBe(200);
    expect((await get(signed('us-east-1'), '/data/k'))[1]).toBe('AuthorizationHeaderMalformed');
  });
});
