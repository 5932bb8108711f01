import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
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
});
