import { Readable } from 'node:stream';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterEach, describe, expect, it } from 'vitest';
import { sampleBytes, sha256 } from './files.ts';
import { BUCKET, BY_NAME, BY_PATH, BY_PATH_TTL_0, describeWays } from './places.ts';
import { AGENTS, sdkClient } from './sdk-client.ts';

describe.each(AGENTS)('@aws-sdk/client-s3 over %s', (_, agentTo) => {
  describeWays([BY_PATH, BY_NAME, BY_PATH_TTL_0], place => {
    const clients: S3Client[] = [];
    afterEach(() => {
      for (const client of clients.splice(0)) client.destroy();
    });
    const open = (): S3Client => {
      const client = sdkClient(place, agentTo(place.proxyUrl!));
      clients.push(client);
      return client;
    };

    it('uploads, downloads twice, reads a range and a part, lists and deletes', { timeout: 60_000 }, async () => {
      const s3 = open();
      const Bucket = BUCKET;
      const Key = 'sdk/ü +1.bin';
      const bytes = sampleBytes(1_000_003, 1);
      await s3.send(new PutObjectCommand({ Bucket, Key, Body: bytes, Metadata: { who: 'sdk' } }));
      const read = async (more: object = {}) => {
        const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key, ...more }));
        return sha256(await Body!.transformToByteArray());
      };
      const reads = (expected: Buffer, more?: object) => async () => expect(await read(more)).toBe(sha256(expected));
      // What was uploaded is there: S3 is asked for one byte, and its headers.
      expect(await place.bytes(reads(bytes))).toBe(1);
      expect(await place.bytes(reads(bytes))).toBe(0);
      expect(await place.bodies(reads(bytes.subarray(10, 20), { Range: 'bytes=10-19' }))).toBe(0);
      expect(await place.bodies(reads(bytes.subarray(-7), { Range: 'bytes=-7' }))).toBe(0);
      expect((await s3.send(new HeadObjectCommand({ Bucket, Key }))).Metadata).toEqual({ who: 'sdk' });
      const listed = await s3.send(new ListObjectsV2Command({ Bucket, Prefix: 'sdk/' }));
      expect(listed.Contents?.map(({ Key: key, Size }) => [key, Size])).toEqual([[Key, bytes.length]]);
      await s3.send(new DeleteObjectCommand({ Bucket, Key }));
      await expect(read()).rejects.toMatchObject({ name: 'NoSuchKey' });
    });

    it('uploads a stream aws-chunked, and sees an overwrite at once', { timeout: 60_000 }, async () => {
      const s3 = open();
      const Bucket = BUCKET;
      const Key = 'streamed';
      for (const seed of [5, 6]) {
        const bytes = sampleBytes(300_000, seed);
        const Body = Readable.from([bytes.subarray(0, 100_000), bytes.subarray(100_000)]);
        await s3.send(new PutObjectCommand({ Bucket, Key, Body, ContentLength: bytes.length }));
        for (let i = 0; i < 2; i++) {
          const got = await s3.send(new GetObjectCommand({ Bucket, Key }));
          expect(sha256(await got.Body!.transformToByteArray())).toBe(sha256(bytes));
        }
      }
    });

    it('moves an object in parts, and reads it by part number from the cache', { timeout: 60_000 }, async () => {
      const s3 = open();
      const Bucket = BUCKET;
      const Key = 'parts';
      const pieces = [sampleBytes(5 * 2 ** 20, 7), sampleBytes(1000, 8)];
      const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key }));
      const Parts = [];
      for (const [i, Body] of pieces.entries()) {
        const { ETag } = await s3.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: i + 1, Body }));
        Parts.push({ ETag, PartNumber: i + 1 });
      }
      await s3.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }));
      const readPart = async (PartNumber: number) => {
        const got = await s3.send(new GetObjectCommand({ Bucket, Key, PartNumber }));
        expect(got.PartsCount).toBe(2);
        expect(sha256(await got.Body!.transformToByteArray())).toBe(sha256(pieces[PartNumber - 1]!));
      };
      for (const number of [1, 2]) expect(await place.bodies(() => readPart(number))).toBe(1);
      for (const number of [1, 2]) expect(await place.bodies(() => readPart(number))).toBe(0);
    });
  });
});
