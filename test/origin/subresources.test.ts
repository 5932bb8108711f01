import { createHash, randomBytes } from 'node:crypto';
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectTaggingCommand,
  GetBucketCorsCommand,
  GetObjectAclCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  GetObjectLegalHoldCommand,
  GetObjectRetentionCommand,
  GetObjectTaggingCommand,
  GetObjectTorrentCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  PutObjectAclCommand,
  PutObjectCommand,
  PutObjectLegalHoldCommand,
  PutObjectRetentionCommand,
  PutObjectTaggingCommand,
  RestoreObjectCommand,
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

describe('a sub-resource', () => {
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

  it('of an object changes neither its ETag nor when it was last modified', async () => {
    const s3 = client();
    const at = { Bucket: 'data', Key: 'steady' };
    const { etag, lastModified } = origin.put('data', 'steady', 'x', { lastModified: Date.now() - 86_400_000 });
    await s3.send(new PutObjectTaggingCommand({ ...at, Tagging: { TagSet: [{ Key: 'a', Value: '1' }] } }));
    await s3.send(new PutObjectAclCommand({ ...at, ACL: 'bucket-owner-full-control' }));
    expect(await refusal(s3.send(new PutObjectAclCommand({ ...at, ACL: 'public-read' })))).toEqual([
      400,
      'AccessControlListNotSupported',
    ]);
    expect(await s3.send(new HeadObjectCommand(at))).toMatchObject({
      ETag: etag,
      LastModified: new Date(lastModified),
      TagCount: 1,
    });
    await s3.send(new DeleteObjectTaggingCommand(at));
    expect((await s3.send(new HeadObjectCommand(at))).TagCount).toBeUndefined();
  });

  it('restores an archived object: refused, begun, under way, done', async () => {
    const s3 = client();
    const at = { Bucket: 'data', Key: 'archived' };
    await s3.send(new PutObjectCommand({ ...at, Body: 'cold', StorageClass: 'GLACIER' }));
    const restore = () => s3.send(new RestoreObjectCommand({ ...at, RestoreRequest: { Days: 2 } }));
    const restored = async () => (await s3.send(new HeadObjectCommand(at))).Restore;
    expect(await refusal(s3.send(new GetObjectCommand(at)))).toEqual([403, 'InvalidObjectState']);
    expect(await restored()).toBeUndefined();
    expect((await restore()).$metadata.httpStatusCode).toBe(202);
    expect(await refusal(restore())).toEqual([409, 'RestoreAlreadyInProgress']);
    expect(await restored()).toBe('ongoing-request="true"');
    origin.finishRestore('data', 'archived');
    expect(await restored()).toMatch(/^ongoing-request="false", expiry-date="\w{3}, .* GMT"$/);
    expect(await (await s3.send(new GetObjectCommand(at))).Body!.transformToString()).toBe('cold');
    expect((await restore()).$metadata.httpStatusCode).toBe(200);
    origin.put('data', 'warm', 'x');
    const warm = new RestoreObjectCommand({ Bucket: 'data', Key: 'warm', RestoreRequest: { Days: 1 } });
    expect(await refusal(s3.send(warm))).toEqual([403, 'InvalidObjectState']);
  });

  it('holds a version by retention and by legal hold, in a bucket made for it', async () => {
    const s3 = client();
    const at = { Bucket: 'locks', Key: 'held' };
    await s3.send(new CreateBucketCommand({ Bucket: 'locks', ObjectLockEnabledForBucket: true }));
    const RetainUntilDate = new Date(Date.now() + 60_000);
    const Retention = { Mode: 'GOVERNANCE', RetainUntilDate } as const;
    const { VersionId } = await s3.send(new PutObjectCommand({ ...at, Body: 'x' }));
    await s3.send(new PutObjectRetentionCommand({ ...at, Retention }));
    await s3.send(new PutObjectLegalHoldCommand({ ...at, LegalHold: { Status: 'ON' } }));
    expect((await s3.send(new GetObjectRetentionCommand(at))).Retention?.RetainUntilDate).toEqual(RetainUntilDate);
    expect((await s3.send(new GetObjectLegalHoldCommand(at))).LegalHold?.Status).toBe('ON');
    expect(await s3.send(new HeadObjectCommand(at))).toMatchObject({
      ObjectLockMode: 'GOVERNANCE',
      ObjectLockRetainUntilDate: RetainUntilDate,
      ObjectLockLegalHoldStatus: 'ON',
    });
    const remove = (more: object = {}) => s3.send(new DeleteObjectCommand({ ...at, VersionId, ...more }));
    expect(await refusal(remove({ BypassGovernanceRetention: true }))).toEqual([403, 'AccessDenied']);
    await s3.send(new PutObjectLegalHoldCommand({ ...at, LegalHold: { Status: 'OFF' } }));
    expect(await refusal(remove())).toEqual([403, 'AccessDenied']);
    await remove({ BypassGovernanceRetention: true });
    expect(origin.object('locks', 'held')).toBeUndefined();
    origin.put('data', 'free', 'x');
    const elsewhere = new PutObjectRetentionCommand({ Bucket: 'data', Key: 'free', Retention });
    expect(await refusal(s3.send(elsewhere))).toEqual([400, 'InvalidRequest']);
  });

  it('tells the attributes that are asked for', async () => {
    const s3 = client();
    const at = { Bucket: 'data', Key: 'described' };
    await s3.send(new PutObjectCommand({ ...at, Body: 'abc', ChecksumAlgorithm: 'SHA1' }));
    const ObjectAttributes = ['ETag', 'Checksum', 'ObjectSize', 'StorageClass'] as const;
    expect(
      await s3.send(new GetObjectAttributesCommand({ ...at, ObjectAttributes: [...ObjectAttributes] })),
    ).toMatchObject({
      ETag: createHash('md5').update('abc').digest('hex'),
      Checksum: { ChecksumSHA1: createHash('sha1').update('abc').digest('base64'), ChecksumType: 'FULL_OBJECT' },
      ObjectSize: 3,
      StorageClass: 'STANDARD',
    });
  });

  it('that this origin does not know is refused, not taken for the object', async () => {
    origin.put('data', 'known', 'x');
    const s3 = client();
    expect(await refusal(s3.send(new GetBucketCorsCommand({ Bucket: 'data' })))).toEqual([501, 'NotImplemented']);
    const torrent = s3.send(new GetObjectTorrentCommand({ Bucket: 'data', Key: 'known' }));
    expect(await refusal(torrent)).toEqual([501, 'NotImplemented']);
  });
});
