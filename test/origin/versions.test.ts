import {
  CreateBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startOrigin, type TestOrigin } from './index.ts';
import { refusal, sdkClient } from './sdk.ts';

let origin: TestOrigin;
beforeAll(async () => {
  origin = await startOrigin();
});
afterAll(() => origin.stop());

describe('a bucket with versions', () => {
  it('keeps versions where the bucket has them', async () => {
    const s3 = sdkClient(origin);
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

  it('lists versions and markers, the newest of a key first, in pages', async () => {
    const { s3, at, Bucket } = await bucket('listed');
    const one = await s3.send(new PutObjectCommand({ ...at, Body: 'one' }));
    const two = await s3.send(new PutObjectCommand({ ...at, Body: 'two' }));
    const marker = await s3.send(new DeleteObjectCommand(at));
    await s3.send(new PutObjectCommand({ Bucket, Key: 'l', Body: 'other' }));
    const all = await s3.send(new ListObjectVersionsCommand({ Bucket }));
    expect(all.Versions?.map(version => [version.Key, version.IsLatest])).toEqual([
      ['k', false],
      ['k', false],
      ['l', true],
    ]);
    expect(all.DeleteMarkers).toMatchObject([{ Key: 'k', VersionId: marker.VersionId, IsLatest: true }]);
    const first = await s3.send(new ListObjectVersionsCommand({ Bucket, MaxKeys: 2 }));
    expect(first.Versions?.map(version => version.VersionId)).toEqual([two.VersionId]);
    const { NextKeyMarker: KeyMarker, NextVersionIdMarker: VersionIdMarker } = first;
    const rest = await s3.send(new ListObjectVersionsCommand({ Bucket, KeyMarker, VersionIdMarker }));
    expect(rest.Versions?.map(version => version.Key)).toEqual(['k', 'l']);
    expect(rest.Versions?.[0]?.VersionId).toBe(one.VersionId);
  });

  it('gives the version before it back when the newest, or the marker over it, is deleted', async () => {
    const { s3, at, read } = await bucket('undone');
    const one = await s3.send(new PutObjectCommand({ ...at, Body: 'one' }));
    const two = await s3.send(new PutObjectCommand({ ...at, Body: 'two' }));
    const { VersionId } = await s3.send(new DeleteObjectCommand(at));
    expect(await refusal(read())).toEqual([404, 'NoSuchKey']);
    expect(await s3.send(new DeleteObjectCommand({ ...at, VersionId }))).toMatchObject({
      DeleteMarker: true,
      VersionId,
    });
    expect(await read()).toBe('two');
    await s3.send(new DeleteObjectCommand({ ...at, VersionId: two.VersionId }));
    expect(await read()).toBe('one');
    const { Deleted } = await s3.send(
      new DeleteObjectsCommand({ Bucket: at.Bucket, Delete: { Objects: [{ Key: at.Key, VersionId: one.VersionId }] } }),
    );
    expect(Deleted).toEqual([{ Key: at.Key, VersionId: one.VersionId }]);
    expect(await refusal(read(one.VersionId))).toEqual([404, 'NoSuchVersion']);
  });

  it('keeps what it has when versions are suspended, and one more under the id null', async () => {
    const { s3, at, read } = await bucket('suspended');
    const one = await s3.send(new PutObjectCommand({ ...at, Body: 'one' }));
    const VersioningConfiguration = { Status: 'Suspended' } as const;
    await s3.send(new PutBucketVersioningCommand({ Bucket: at.Bucket, VersioningConfiguration }));
    await s3.send(new PutObjectCommand({ ...at, Body: 'two' }));
    await s3.send(new PutObjectCommand({ ...at, Body: 'three' }));
    expect([await read(), await read('null'), await read(one.VersionId)]).toEqual(['three', 'three', 'one']);
    expect(await s3.send(new DeleteObjectCommand(at))).toMatchObject({ DeleteMarker: true, VersionId: 'null' });
    expect(await read(one.VersionId)).toBe('one');
    expect((await s3.send(new ListObjectVersionsCommand({ Bucket: at.Bucket }))).Versions?.length).toBe(1);
  });

  async function bucket(Bucket: string) {
    const s3 = sdkClient(origin);
    const at = { Bucket, Key: 'k' };
    origin.createBucket(Bucket, { versioned: true });
    const read = async (VersionId?: string) =>
      (await s3.send(new GetObjectCommand({ ...at, VersionId }))).Body!.transformToString();
    return { s3, at, Bucket, read };
  }
});
