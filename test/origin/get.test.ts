import { randomBytes } from 'node:crypto';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startOrigin, type TestOrigin } from './index.ts';
import { bytesOf, refusal, sdkClient } from './sdk.ts';

let origin: TestOrigin;
beforeAll(async () => {
  origin = await startOrigin({ buckets: { data: {}, open: { anonymous: 'read' } } });
});
afterAll(() => origin.stop());

const client = () => sdkClient(origin);

describe('a read', () => {
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
});
