import { ListObjectsCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startOrigin, type TestOrigin } from './index.ts';
import { sdkClient } from './sdk.ts';

let origin: TestOrigin;
beforeAll(async () => {
  origin = await startOrigin({ buckets: { data: {}, open: { anonymous: 'read' } } });
});
afterAll(() => origin.stop());

const client = () => sdkClient(origin);

describe('a listing', () => {
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
});
