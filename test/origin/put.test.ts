import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand, type S3ClientConfig } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exchangeRaw, requestText } from './exchange.ts';
import { ALICE, type Principal, presign, signHeaders, startOrigin, type TestOrigin } from './index.ts';
import { bytesOf, refusal, sdkClient } from './sdk.ts';

let origin: TestOrigin;
beforeAll(async () => {
  origin = await startOrigin({ buckets: { data: {}, open: { anonymous: 'read' } } });
});
afterAll(() => origin.stop());

/** fetch wants to be told that a stream goes out before the answer comes in */
const HALF = { duplex: 'half' } as RequestInit;
const HELLO = Buffer.from('hello');
const client = (principal?: Principal, more?: S3ClientConfig) => sdkClient(origin, principal, more);

describe('an upload', () => {
  it.each([
    ['a plain key', 'plain.txt'],
    ['spaces, plus, percent and non-ASCII in a key', 'a dir/ü + 100%/日本~(1)!.txt'],
    ['double slashes and dots in a key', 'a//b/../c/./d'],
  ])('puts and gets with %s', async (_, Key) => {
    const Body = randomBytes(1000);
    const put = await client().send(
      new PutObjectCommand({ Bucket: 'data', Key, Body, ContentType: 'text/x-test', Metadata: { who: 'me' } }),
    );
    expect(put.ETag).toBe(`"${createHash('md5').update(Body).digest('hex')}"`);
    const got = await client().send(new GetObjectCommand({ Bucket: 'data', Key }));
    expect((await bytesOf(got.Body)).equals(Body)).toBe(true);
    expect(got).toMatchObject({
      ContentType: 'text/x-test',
      Metadata: { who: 'me' },
      ETag: put.ETag,
      AcceptRanges: 'bytes',
      ContentLength: 1000,
    });
    expect(origin.requests.at(-1)).toMatchObject({ key: Key, principal: 'alice', status: 200, bytesSent: 1000 });
  });

  it.each(['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const)(
    'verifies and gives back a %s checksum that the SDK accepts',
    async algorithm => {
      const Body = randomBytes(100_001);
      await client().send(new PutObjectCommand({ Bucket: 'data', Key: 'summed', Body, ChecksumAlgorithm: algorithm }));
      const got = await client().send(new GetObjectCommand({ Bucket: 'data', Key: 'summed', ChecksumMode: 'ENABLED' }));
      expect((await bytesOf(got.Body)).equals(Body)).toBe(true);
      expect(got[`Checksum${algorithm}`]).toBeTruthy();
      const without = await client(ALICE, { responseChecksumValidation: 'WHEN_REQUIRED' }).send(
        new HeadObjectCommand({ Bucket: 'data', Key: 'summed' }),
      );
      expect(without[`Checksum${algorithm}`]).toBeUndefined();
    },
  );

  it('takes a stream of known length, sent aws-chunked with a trailer', async () => {
    const bytes = randomBytes(300_000);
    const Body = Readable.from([bytes.subarray(0, 100_000), bytes.subarray(100_000)]);
    await client().send(
      new PutObjectCommand({
        Bucket: 'data',
        Key: 'streamed',
        Body,
        ContentLength: bytes.length,
        ContentEncoding: 'gzip',
      }),
    );
    const record = origin.requests.at(-1)!;
    expect(record.headers['x-amz-content-sha256']).toBe('STREAMING-UNSIGNED-PAYLOAD-TRAILER');
    const got = await client().send(new GetObjectCommand({ Bucket: 'data', Key: 'streamed' }));
    expect(got.ContentEncoding).toBe('gzip');
    expect((await bytesOf(got.Body)).equals(bytes)).toBe(true);
  });

  it('refuses conditional writes whose condition does not hold', async () => {
    origin.put('data', 'once', 'first');
    const put = (more: object) =>
      client().send(new PutObjectCommand({ Bucket: 'data', Key: 'once', Body: 'second', ...more }));
    expect(await refusal(put({ IfNoneMatch: '*' }))).toEqual([412, 'PreconditionFailed']);
    expect(await refusal(put({ IfMatch: '"other"' }))).toEqual([412, 'PreconditionFailed']);
    expect(origin.object('data', 'once')!.body.read(0, 5).toString()).toBe('first');
    await put({ IfMatch: origin.object('data', 'once')!.etag });
    expect(origin.object('data', 'once')!.body.read(0, 6).toString()).toBe('second');
  });

  it('gives back every header that S3 keeps, and its defaults for the rest', async () => {
    const Expires = new Date('2030-01-02T03:04:05Z');
    const about = {
      ContentType: 'text/csv',
      ContentEncoding: 'gzip',
      ContentDisposition: 'attachment',
      ContentLanguage: 'de',
      CacheControl: 'max-age=1',
      Expires,
      Metadata: { who: 'me', 'how-many': '2' },
      StorageClass: 'STANDARD_IA',
      WebsiteRedirectLocation: '/elsewhere',
      ServerSideEncryption: 'aws:kms',
      SSEKMSKeyId: 'a-key',
    } as const;
    const at = { Bucket: 'data', Key: 'kept' };
    const put = await client().send(new PutObjectCommand({ ...at, Body: 'abc', Tagging: 'a=1&b=2', ...about }));
    expect(put).toMatchObject({ ServerSideEncryption: 'aws:kms', SSEKMSKeyId: 'a-key' });
    expect(put.ETag).not.toContain(createHash('md5').update('abc').digest('hex'));
    const { Expires: _, ...rest } = about;
    const head = await client().send(new HeadObjectCommand(at));
    expect(head).toMatchObject({ ...rest, ETag: put.ETag, ExpiresString: Expires.toUTCString(), TagCount: 2 });
    await client().send(new PutObjectCommand({ ...at, Body: 'abc' }));
    const plain = await client().send(new HeadObjectCommand(at));
    expect(plain).toMatchObject({ ServerSideEncryption: 'AES256', Metadata: {}, ContentLength: 3 });
    expect(plain.ContentType).toBe('application/octet-stream');
    expect([plain.CacheControl, plain.StorageClass, plain.WebsiteRedirectLocation]).toEqual(Array(3).fill(undefined));
  });

  it('brings no checksum, and gets the one that S3 makes', async () => {
    const s3 = client(ALICE, { requestChecksumCalculation: 'WHEN_REQUIRED' });
    const put = await s3.send(new PutObjectCommand({ Bucket: 'data', Key: 'bare', Body: '123456789' }));
    // The check value of CRC-64/NVME
    const expected = { ChecksumCRC64NVME: Buffer.from('ae8b14860a799888', 'hex').toString('base64') };
    expect(put).toMatchObject({ ...expected, ChecksumType: 'FULL_OBJECT' });
    const head = new HeadObjectCommand({ Bucket: 'data', Key: 'bare', ChecksumMode: 'ENABLED' });
    expect(await s3.send(head)).toMatchObject({ ...expected, ChecksumType: 'FULL_OBJECT' });
  });

  it('is refused when a digest or a limit does not hold, and what was there stays', async () => {
    origin.put('data', 'right', 'stays');
    const put = (more: object) =>
      refusal(client().send(new PutObjectCommand({ Bucket: 'data', Key: 'right', Body: 'abc', ...more })));
    expect(await put({ ChecksumCRC32: 'AAAAAA==' })).toEqual([400, 'BadDigest']);
    expect(await put({ ChecksumSHA256: createHash('sha256').update('x').digest('base64') })).toEqual([
      400,
      'BadDigest',
    ]);
    expect(await put({ ChecksumCRC32: 'AAAA' })).toEqual([400, 'InvalidRequest']);
    expect(await put({ ContentMD5: createHash('md5').update('x').digest('base64') })).toEqual([400, 'BadDigest']);
    expect(await put({ ContentMD5: 'nonsense' })).toEqual([400, 'InvalidDigest']);
    expect(await put({ Metadata: { a: 'x'.repeat(2048) } })).toEqual([400, 'MetadataTooLarge']);
    expect(await put({ ACL: 'public-read' })).toEqual([400, 'AccessControlListNotSupported']);
    expect(await put({ Key: 'x'.repeat(1025) })).toEqual([400, 'KeyTooLongError']);
    expect(origin.object('data', 'right')!.body.read(0, 5).toString()).toBe('stays');
    await client().send(new PutObjectCommand({ Bucket: 'data', Key: 'x'.repeat(1024), Body: '' }));
    expect(origin.object('data', 'x'.repeat(1024))!.body.length).toBe(0);
  });

  it('is told to go on when it waits for that, and answered at once when it is refused', async () => {
    const send = (key: string, headers: readonly string[] = []) => {
      const target = `/data/${key}`;
      const about = ['Content-Length', '5', 'Expect', '100-continue', ...headers];
      const signed = signHeaders(ALICE, { method: 'PUT', host: origin.address, target, headers: about, body: HELLO });
      return exchangeRaw(
        origin.port,
        Buffer.concat([Buffer.from(requestText('PUT', target, [...signed, 'Connection', 'close']), 'latin1'), HELLO]),
      );
    };
    expect((await send('expects')).head).toMatch(/^HTTP\/1.1 100 Continue/);
    expect(origin.object('data', 'expects')!.body.length).toBe(5);
    expect((await send('expects', ['If-None-Match', '*'])).head).toMatch(/^HTTP\/1.1 412 /);
  });

  it('comes by a presigned URL, its length known; without one S3 takes it in no way', async () => {
    const target = '/data/presigned';
    const url = origin.url + presign(ALICE, { method: 'PUT', host: origin.address, target, expires: 60 });
    expect((await fetch(url, { method: 'PUT', body: 'hello', headers: { 'Content-Type': 'text/x' } })).status).toBe(
      200,
    );
    expect(origin.object('data', 'presigned')!.headers).toContain('text/x');
    const streamed = await fetch(url, { method: 'PUT', body: new Blob(['other']).stream(), ...HALF });
    expect([streamed.status, await streamed.text()]).toEqual([501, expect.stringContaining('Transfer-Encoding')]);
    const bare = requestText('PUT', url.slice(origin.url.length), ['Host', origin.address]);
    expect((await exchangeRaw(origin.port, bare)).status).toBe(411);
    expect(origin.object('data', 'presigned')!.body.read(0, 5).toString()).toBe('hello');
  });
});

describe('an origin that is no S3', () => {
  it('may take a plain body in chunked transfer coding', async () => {
    const other = await startOrigin({ takesPlainChunks: true });
    try {
      const target = '/data/k';
      const url = other.url + presign(ALICE, { method: 'PUT', host: other.address, target, expires: 60 });
      const body = new Blob(['streamed']).stream();
      expect((await fetch(url, { method: 'PUT', body, ...HALF })).status).toBe(200);
      expect(other.object('data', 'k')!.body.length).toBe(8);
    } finally {
      await other.stop();
    }
  });
});
