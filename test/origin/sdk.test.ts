import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetBucketVersioningCommand,
  GetObjectAclCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListMultipartUploadsCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ALICE, BOB, CAROL, type Principal, startOrigin, type TestOrigin } from './index.ts';

let origin: TestOrigin;
const clients: S3Client[] = [];

beforeAll(async () => {
  origin = await startOrigin({ buckets: { data: {}, open: { anonymous: 'read' } } });
});
afterEach(() => {
  for (const client of clients.splice(0)) client.destroy();
});
afterAll(() => origin.stop());

function client(principal: Principal = ALICE, more: ConstructorParameters<typeof S3Client>[0] = {}): S3Client {
  const { accessKeyId, secretAccessKey, sessionToken } = principal;
  const made = new S3Client({
    endpoint: origin.url,
    region: 'eu-central-1',
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) },
    ...more,
  });
  clients.push(made);
  return made;
}

async function bytesOf(body: { transformToByteArray(): Promise<Uint8Array> } | undefined): Promise<Buffer> {
  return Buffer.from(await body!.transformToByteArray());
}

/** What a refused command throws: [status, code]. */
async function refusal(sent: Promise<unknown>): Promise<[number | undefined, string]> {
  try {
    await sent;
  } catch (error) {
    const { name, $metadata } = error as { name: string; $metadata?: { httpStatusCode?: number } };
    return [$metadata?.httpStatusCode, name];
  }
  throw new Error('The command was not refused.');
}

describe('the SDK, as an independent judge of the origin', () => {
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

  it.each([
    ['bytes=0-9', 0, 10],
    ['bytes=990-', 990, 1000],
    ['bytes=-7', 993, 1000],
    ['bytes=500-5000', 500, 1000],
  ])('answers Range %s', async (Range, start, end) => {
    const Body = randomBytes(1000);
    await client().send(new PutObjectCommand({ Bucket: 'data', Key: 'ranged', Body }));
    const got = await client().send(new GetObjectCommand({ Bucket: 'data', Key: 'ranged', Range }));
    expect(got.$metadata.httpStatusCode).toBe(206);
    expect(got.ContentRange).toBe(`bytes ${start}-${end - 1}/1000`);
    expect((await bytesOf(got.Body)).equals(Body.subarray(start, end))).toBe(true);
  });

  it('refuses a range past the end and a part that is not there', async () => {
    origin.put('data', 'small', 'abc');
    const get = (more: object) => client().send(new GetObjectCommand({ Bucket: 'data', Key: 'small', ...more }));
    expect(await refusal(get({ Range: 'bytes=3-' }))).toEqual([416, 'InvalidRange']);
    expect(await refusal(get({ PartNumber: 2 }))).toEqual([416, 'InvalidPartNumber']);
    expect((await get({ PartNumber: 1 })).ContentRange).toBe('bytes 0-2/3');
  });

  it('evaluates preconditions in the order of RFC 9110', async () => {
    const { etag } = origin.put('data', 'conditional', 'abc', { lastModified: Date.parse('2024-01-02T00:00:00Z') });
    const older = new Date('2024-01-01T00:00:00Z');
    const newer = new Date('2024-01-03T00:00:00Z');
    const get = async (more: object) => {
      try {
        return (await client().send(new GetObjectCommand({ Bucket: 'data', Key: 'conditional', ...more }))).$metadata
          .httpStatusCode;
      } catch (error) {
        return (error as { $metadata: { httpStatusCode: number } }).$metadata.httpStatusCode;
      }
    };
    expect(await get({ IfMatch: etag })).toBe(200);
    expect(await get({ IfMatch: '"other"' })).toBe(412);
    expect(await get({ IfMatch: etag, IfUnmodifiedSince: older })).toBe(200);
    expect(await get({ IfUnmodifiedSince: older })).toBe(412);
    expect(await get({ IfNoneMatch: etag })).toBe(304);
    expect(await get({ IfNoneMatch: '"other"', IfModifiedSince: newer })).toBe(200);
    expect(await get({ IfModifiedSince: newer })).toBe(304);
    expect(await get({ IfModifiedSince: older })).toBe(200);
    expect(await get({ IfMatch: '"other"', IfNoneMatch: etag })).toBe(412);
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

  it('assembles a multipart upload, copied part included, and serves it by part', async () => {
    const Bucket = 'data';
    const Key = 'multi';
    const s3 = client();
    const [one, two, three] = [randomBytes(5 << 20), randomBytes(5 << 20), randomBytes(10)];
    origin.put('data', 'source', Buffer.concat([Buffer.from('skip'), two]));
    const { UploadId } = await s3.send(
      new CreateMultipartUploadCommand({ Bucket, Key, ChecksumAlgorithm: 'CRC32', ContentType: 'text/multi' }),
    );
    const p1 = await s3.send(
      new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 1, Body: one, ChecksumAlgorithm: 'CRC32' }),
    );
    const p2 = await s3.send(
      new UploadPartCopyCommand({
        Bucket,
        Key,
        UploadId,
        PartNumber: 2,
        CopySource: 'data/source',
        CopySourceRange: `bytes=4-${two.length + 3}`,
      }),
    );
    const p3 = await s3.send(
      new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 3, Body: three, ChecksumAlgorithm: 'CRC32' }),
    );
    const listed = await s3.send(new ListPartsCommand({ Bucket, Key, UploadId }));
    expect(listed.Parts?.map(part => part.Size)).toEqual([one.length, two.length, three.length]);
    expect((await s3.send(new ListMultipartUploadsCommand({ Bucket }))).Uploads?.map(u => u.Key)).toContain(Key);
    const Parts = [p1.ETag, p2.CopyPartResult?.ETag, p3.ETag].map((ETag, i) => ({ ETag, PartNumber: i + 1 }));
    const done = await s3.send(
      new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }),
    );
    expect(done.ETag).toMatch(/^"[0-9a-f]{32}-3"$/);
    expect(done.ChecksumCRC32).toMatch(/-3$/);
    const whole = await s3.send(new GetObjectCommand({ Bucket, Key }));
    expect((await bytesOf(whole.Body)).equals(Buffer.concat([one, two, three]))).toBe(true);
    expect(whole.ContentType).toBe('text/multi');
    const part = await s3.send(new GetObjectCommand({ Bucket, Key, PartNumber: 3 }));
    expect((await bytesOf(part.Body)).equals(three)).toBe(true);
    expect(part).toMatchObject({ PartsCount: 3, ETag: done.ETag });
    expect(await refusal(s3.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId })))).toEqual([
      404,
      'NoSuchUpload',
    ]);
  });

  it('refuses to complete with a wrong part, out of order, or with a small part in the middle', async () => {
    const Bucket = 'data';
    const Key = 'wrong';
    const s3 = client();
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key }));
    const a = await s3.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 1, Body: 'a' }));
    const b = await s3.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 2, Body: 'b' }));
    const complete = (Parts: { ETag: string | undefined; PartNumber: number }[]) =>
      refusal(s3.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } })));
    const [first, second] = [
      { ETag: a.ETag, PartNumber: 1 },
      { ETag: b.ETag, PartNumber: 2 },
    ];
    expect((await complete([{ ETag: b.ETag, PartNumber: 1 }]))[1]).toBe('InvalidPart');
    expect((await complete([second, first]))[1]).toBe('InvalidPartOrder');
    expect((await complete([first, second]))[1]).toBe('EntityTooSmall');
  });

  it('lists in pages, with delimiter, in both versions, keys of any characters', async () => {
    origin.createBucket('listed');
    const keys = ['a', 'b/1', 'b/2', 'b/3', 'c & <d>', 'ü 日+', 'z/1'];
    for (const key of keys) origin.put('listed', key, key);
    const collected: string[] = [];
    let ContinuationToken: string | undefined;
    do {
      const page = await client().send(new ListObjectsV2Command({ Bucket: 'listed', MaxKeys: 2, ContinuationToken }));
      collected.push(...(page.Contents ?? []).map(entry => entry.Key!));
      ContinuationToken = page.NextContinuationToken;
    } while (ContinuationToken);
    expect(collected.sort()).toEqual([...keys].sort());
    const folded: string[] = [];
    let Marker: string | undefined;
    do {
      const page = await client().send(
        new ListObjectsCommand({ Bucket: 'listed', MaxKeys: 1, Delimiter: '/', Marker, EncodingType: 'url' }),
      );
      folded.push(
        ...(page.Contents ?? []).map(entry => entry.Key!),
        ...(page.CommonPrefixes ?? []).map(entry => entry.Prefix!),
      );
      Marker = page.NextMarker && decodeURIComponent(page.NextMarker.replaceAll('+', ' '));
    } while (Marker);
    expect(folded).toEqual(['a', 'b/', 'c+%26+%3Cd%3E', 'z/', '%C3%BC+%E6%97%A5%2B']);
    const prefixed = await client().send(
      new ListObjectsV2Command({ Bucket: 'listed', Prefix: 'b/', StartAfter: 'b/1' }),
    );
    expect(prefixed.Contents?.map(entry => entry.Key)).toEqual(['b/2', 'b/3']);
  });

  it('copies with the metadata of the source or with new metadata', async () => {
    const s3 = client();
    await s3.send(
      new PutObjectCommand({
        Bucket: 'data',
        Key: 'from ü',
        Body: 'content',
        Metadata: { a: '1' },
        ContentType: 'text/a',
      }),
    );
    const CopySource = `data/${encodeURIComponent('from ü')}`;
    await s3.send(new CopyObjectCommand({ Bucket: 'data', Key: 'to', CopySource }));
    expect(await s3.send(new HeadObjectCommand({ Bucket: 'data', Key: 'to' }))).toMatchObject({
      Metadata: { a: '1' },
      ContentType: 'text/a',
    });
    await s3.send(
      new CopyObjectCommand({
        Bucket: 'data',
        Key: 'to',
        CopySource: 'data/to',
        MetadataDirective: 'REPLACE',
        Metadata: { b: '2' },
      }),
    );
    expect((await s3.send(new HeadObjectCommand({ Bucket: 'data', Key: 'to' }))).Metadata).toEqual({ b: '2' });
    expect(
      (await refusal(s3.send(new CopyObjectCommand({ Bucket: 'data', Key: 'to', CopySource: 'data/to' }))))[1],
    ).toBe('InvalidRequest');
  });

  it('deletes one and many, quietly or not', async () => {
    const s3 = client();
    for (const key of ['d1', 'd2', 'd3 & 4', 'd5']) origin.put('data', key, 'x');
    await s3.send(new DeleteObjectCommand({ Bucket: 'data', Key: 'd1' }));
    expect(await refusal(s3.send(new GetObjectCommand({ Bucket: 'data', Key: 'd1' })))).toEqual([404, 'NoSuchKey']);
    const loud = await s3.send(
      new DeleteObjectsCommand({ Bucket: 'data', Delete: { Objects: [{ Key: 'd2' }, { Key: 'd3 & 4' }] } }),
    );
    expect(loud.Deleted?.map(entry => entry.Key)).toEqual(['d2', 'd3 & 4']);
    const quiet = await s3.send(
      new DeleteObjectsCommand({ Bucket: 'data', Delete: { Objects: [{ Key: 'd5' }], Quiet: true } }),
    );
    expect(quiet.Deleted).toBeUndefined();
    expect(origin.object('data', 'd3 & 4')).toBeUndefined();
    expect(origin.object('data', 'd5')).toBeUndefined();
  });

  it('keeps versions where the bucket has them', async () => {
    const s3 = client();
    const Bucket = 'versions';
    const Key = 'k';
    await s3.send(new CreateBucketCommand({ Bucket }));
    await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }));
    expect((await s3.send(new GetBucketVersioningCommand({ Bucket }))).Status).toBe('Enabled');
    const one = await s3.send(new PutObjectCommand({ Bucket, Key, Body: 'one' }));
    const two = await s3.send(new PutObjectCommand({ Bucket, Key, Body: 'two' }));
    expect(one.VersionId).not.toBe(two.VersionId);
    const get = async (VersionId?: string) =>
      (await s3.send(new GetObjectCommand({ Bucket, Key, VersionId }))).Body!.transformToString();
    expect([await get(), await get(one.VersionId)]).toEqual(['two', 'one']);
    expect((await s3.send(new DeleteObjectCommand({ Bucket, Key }))).DeleteMarker).toBe(true);
    expect(await refusal(s3.send(new GetObjectCommand({ Bucket, Key })))).toEqual([404, 'NoSuchKey']);
    expect(await get(two.VersionId)).toBe('two');
  });

  it('handles buckets, tags, ACLs and SSE-C', async () => {
    const s3 = client();
    await s3.send(new CreateBucketCommand({ Bucket: 'made-here' }));
    await s3.send(new HeadBucketCommand({ Bucket: 'made-here' }));
    expect((await s3.send(new ListBucketsCommand({}))).Buckets?.map(b => b.Name)).toContain('made-here');
    await s3.send(new DeleteBucketCommand({ Bucket: 'made-here' }));
    expect(await refusal(s3.send(new HeadBucketCommand({ Bucket: 'made-here' })))).toEqual([404, 'NotFound']);
    await s3.send(new PutObjectCommand({ Bucket: 'data', Key: 'tagged', Body: 'x', Tagging: 'a=1' }));
    await s3.send(
      new PutObjectTaggingCommand({
        Bucket: 'data',
        Key: 'tagged',
        Tagging: { TagSet: [{ Key: 'b', Value: '2 & 3' }] },
      }),
    );
    expect((await s3.send(new GetObjectTaggingCommand({ Bucket: 'data', Key: 'tagged' }))).TagSet).toEqual([
      { Key: 'b', Value: '2 & 3' },
    ]);
    expect((await s3.send(new GetObjectAclCommand({ Bucket: 'data', Key: 'tagged' }))).Grants?.[0]?.Permission).toBe(
      'FULL_CONTROL',
    );
    const sse = { SSECustomerAlgorithm: 'AES256', SSECustomerKey: randomBytes(32).toString('latin1') };
    await s3.send(new PutObjectCommand({ Bucket: 'data', Key: 'locked', Body: 'x', ...sse }));
    expect((await refusal(s3.send(new GetObjectCommand({ Bucket: 'data', Key: 'locked' }))))[0]).toBe(400);
    expect(
      await (await s3.send(new GetObjectCommand({ Bucket: 'data', Key: 'locked', ...sse }))).Body!.transformToString(),
    ).toBe('x');
  });
});

describe('who may do what', () => {
  it('refuses an unknown key, a wrong secret and a wrong or missing session token', async () => {
    const head = (principal: Principal) =>
      refusal(client(principal).send(new GetObjectCommand({ Bucket: 'data', Key: 'plain.txt' })));
    expect(await head({ ...ALICE, accessKeyId: 'AKIANOBODY' })).toEqual([403, 'InvalidAccessKeyId']);
    expect(await head({ ...ALICE, secretAccessKey: 'wrong' })).toEqual([403, 'SignatureDoesNotMatch']);
    expect(await head({ ...CAROL, sessionToken: 'other' })).toEqual([400, 'InvalidToken']);
    origin.put('data', 'plain.txt', 'hello');
    expect(
      await (
        await client(CAROL).send(new GetObjectCommand({ Bucket: 'data', Key: 'plain.txt' }))
      ).Body!.transformToString(),
    ).toBe('hello');
  });

  it('refuses a principal under a prefix that is denied to it, and hides what is not there from who may not list', async () => {
    origin.put('data', 'secret/a', 'x');
    origin.put('data', 'public/a', 'x');
    const bob = origin.principals.find(p => p.name === BOB.name)!;
    bob.deny = [{ resource: 'data/secret/' }, { actions: ['list'], resource: 'data' }];
    const get = (Key: string) => client(BOB).send(new GetObjectCommand({ Bucket: 'data', Key }));
    expect(await refusal(get('secret/a'))).toEqual([403, 'AccessDenied']);
    expect(await refusal(get('public/none'))).toEqual([403, 'AccessDenied']);
    expect((await get('public/a')).$metadata.httpStatusCode).toBe(200);
    expect(origin.bytesServed('secret/a')).toBe(0);
    bob.deny = [];
    expect(await refusal(get('public/none'))).toEqual([404, 'NoSuchKey']);
  });

  it('lets anyone read an open bucket and nobody write to it unsigned', async () => {
    origin.put('open', 'k', 'free');
    const url = `${origin.url}/open/k`;
    expect(await (await fetch(url)).text()).toBe('free');
    expect((await fetch(url, { method: 'PUT', body: 'x' })).status).toBe(403);
    expect((await fetch(`${origin.url}/data/plain.txt`)).status).toBe(403);
    expect((await fetch(`${url}?response-content-type=text/html`)).status).toBe(400);
  });
});
