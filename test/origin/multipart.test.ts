import { randomBytes } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startOrigin, type TestOrigin } from './index.ts';
import { bytesOf, refusal, sdkClient } from './sdk.ts';

let origin: TestOrigin;
beforeAll(async () => {
  origin = await startOrigin({ buckets: { data: {}, open: { anonymous: 'read' } } });
});
afterAll(() => origin.stop());

const client = () => sdkClient(origin);

describe('a multipart upload', () => {
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
    const Parts = [p1, p2.CopyPartResult!, p3].map(({ ETag, ChecksumCRC32 }, i) => ({
      ETag,
      ChecksumCRC32,
      PartNumber: i + 1,
    }));
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
});
