import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand, type S3ClientConfig } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALICE, type Principal, startOrigin, type TestOrigin } from './index.ts';
import { bytesOf, refusal, sdkClient } from './sdk.ts';

let origin: TestOrigin;
beforeAll(async () => {
  origin = await startOrigin({ buckets: { data: {}, open: { anonymous: 'read' } } });
});
afterAll(() => origin.stop());

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
});
