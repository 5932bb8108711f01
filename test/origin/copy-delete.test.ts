import { createHash } from 'node:crypto';
import {
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startOrigin, type TestOrigin } from './index.ts';
import { refusal, sdkClient } from './sdk.ts';

let origin: TestOrigin;
beforeAll(async () => {
  origin = await startOrigin({ buckets: { data: {}, open: { anonymous: 'read' } } });
});
afterAll(() => origin.stop());

const client = () => sdkClient(origin);

describe('a copy, a delete', () => {
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

  it('copies no storage class, redirect or encryption, and gives parts put together a checksum of the whole', async () => {
    const s3 = client();
    const pieces = [Buffer.alloc(5 << 20, 1), Buffer.from('end')];
    const at = { Bucket: 'data', Key: 'of parts' };
    const about = { StorageClass: 'STANDARD_IA', WebsiteRedirectLocation: '/x', ChecksumAlgorithm: 'SHA256' } as const;
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ ...at, ...about, CacheControl: 'no-cache' }));
    const Parts: CompletedPart[] = [];
    for (const [i, Body] of pieces.entries()) {
      const part = { ...at, UploadId, PartNumber: i + 1, Body, ChecksumAlgorithm: 'SHA256' } as const;
      const { ETag, ChecksumSHA256 } = await s3.send(new UploadPartCommand(part));
      Parts.push({ ETag, ChecksumSHA256, PartNumber: i + 1 });
    }
    await s3.send(new CompleteMultipartUploadCommand({ ...at, UploadId, MultipartUpload: { Parts } }));
    const CopySource = encodeURIComponent('data/of parts');
    const copied = await s3.send(new CopyObjectCommand({ Bucket: 'data', Key: 'in one', CopySource }));
    const whole = Buffer.concat(pieces);
    expect(copied.CopyObjectResult).toMatchObject({
      ETag: `"${createHash('md5').update(whole).digest('hex')}"`,
      ChecksumSHA256: createHash('sha256').update(whole).digest('base64'),
      ChecksumType: 'FULL_OBJECT',
    });
    const head = await s3.send(new HeadObjectCommand({ Bucket: 'data', Key: 'in one' }));
    expect(head).toMatchObject({ CacheControl: 'no-cache', ServerSideEncryption: 'AES256' });
    expect([head.StorageClass, head.WebsiteRedirectLocation, head.PartsCount]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('copies where its conditions hold, a version by its id, and says which', async () => {
    const s3 = client();
    origin.createBucket('kept', { versioned: true });
    const one = await s3.send(new PutObjectCommand({ Bucket: 'kept', Key: 'k', Body: 'one' }));
    await s3.send(new PutObjectCommand({ Bucket: 'kept', Key: 'k', Body: 'two' }));
    const copy = (more: object = {}) =>
      s3.send(new CopyObjectCommand({ Bucket: 'kept', Key: 'to', CopySource: 'kept/k', ...more }));
    expect(await refusal(copy({ CopySourceIfMatch: one.ETag }))).toEqual([412, 'PreconditionFailed']);
    expect(await refusal(copy({ CopySource: 'kept/none' }))).toEqual([404, 'NoSuchKey']);
    const done = await copy({ CopySource: `kept/k?versionId=${one.VersionId}`, CopySourceIfMatch: one.ETag });
    expect(done.CopySourceVersionId).toBe(one.VersionId);
    expect(done.VersionId).toBe(origin.object('kept', 'to')!.versionId);
    expect(origin.object('kept', 'to')!.body.read(0, 3).toString()).toBe('one');
    expect(await refusal(copy({ IfNoneMatch: '*' }))).toEqual([412, 'PreconditionFailed']);
  });

  it('deletes 1,000 keys as long as they may be in one request, and refuses 1,001', async () => {
    const name = (i: number) => `${String(i).padStart(4, '0')}/${'é&'.repeat(339)}`;
    const keys = Array.from({ length: 1001 }, (_, i) => name(i));
    for (const key of keys) origin.put('data', key, 'x');
    const Objects = keys.map(Key => ({ Key }));
    const send = (Delete: { Objects: { Key: string }[]; Quiet?: boolean }) =>
      client().send(new DeleteObjectsCommand({ Bucket: 'data', Delete }));
    expect(await refusal(send({ Objects }))).toEqual([400, 'MalformedXML']);
    expect((await send({ Objects: Objects.slice(0, 1000) })).Deleted?.length).toBe(1000);
    expect(keys.filter(key => origin.object('data', key))).toEqual([name(1000)]);
  });

  it('deletes where its condition holds', async () => {
    const { etag } = origin.put('data', 'if', 'x');
    const remove = (IfMatch: string) => client().send(new DeleteObjectCommand({ Bucket: 'data', Key: 'if', IfMatch }));
    expect(await refusal(remove('"other"'))).toEqual([412, 'PreconditionFailed']);
    await remove(etag);
    expect(origin.object('data', 'if')).toBeUndefined();
  });
});
