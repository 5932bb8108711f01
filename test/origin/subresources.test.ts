import { randomBytes } from 'node:crypto';
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  GetObjectAclCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadBucketCommand,
  ListBucketsCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
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
});
