import { join } from 'node:path';
import { Readable } from 'node:stream';
import {
  ChecksumAlgorithm,
  DeleteObjectsCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, filesUnder } from '../read/helpers.ts';
import { sampleBytes } from './files.ts';
import { BUCKET, BY_NAME, BY_PATH_TTL_0 } from './places.ts';
import { AGENTS, sdkClient } from './sdk-client.ts';
import { describeWrites, type Reading } from './written.ts';

const MINUTES = 120_000;
const Bucket = BUCKET;
const PART = 5 * 2 ** 20;
const FIRST: readonly Reading[] = ['checksums', 'range', 'GET', 'HEAD', 'unsigned range'];

describe.each(AGENTS)('uploads by the JavaScript SDK over %s', (_, agentTo) => {
  describeWrites(
    place => {
      let s3: S3Client;
      beforeAll(() => {
        s3 = sdkClient(place, agentTo(place.proxyUrl!));
      });
      afterAll(() => s3?.destroy());

      it('are kept with each checksum algorithm, in one piece and from a stream', { timeout: MINUTES }, async () => {
        const keys: string[] = [];
        for (const [i, algorithm] of [ChecksumAlgorithm.CRC32, 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'].entries()) {
          const bytes = sampleBytes(50_000 + i * 30_001, i);
          const Body = i % 2 === 0 ? Readable.from([bytes.subarray(0, 20_000), bytes.subarray(20_000)]) : bytes;
          const Key = `put/${algorithm} ü`;
          const about = { ContentType: 'text/plain', Metadata: { algorithm }, ContentLength: bytes.length };
          const ChecksumAlgorithm = algorithm as ChecksumAlgorithm;
          await s3.send(new PutObjectCommand({ Bucket, Key, Body, ChecksumAlgorithm, ...about }));
          await place.expectAsDirectly(Key, { first: FIRST[i]! });
          keys.push(Key);
        }
        await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: keys.map(Key => ({ Key })) } }));
        await place.expectGone(...keys);
      });

      it('by lib-storage are kept in parts that go up at the same time, and an aborted one leaves nothing', {
        timeout: MINUTES,
      }, async () => {
        const Key = 'streamed';
        const bytes = sampleBytes(2 * PART + 12_345, 10);
        const pieces = Array.from({ length: 11 }, (_, i) => bytes.subarray(i * 1_000_000, (i + 1) * 1_000_000));
        const about = { Bucket, Key, ContentType: 'image/tiff', CacheControl: 'max-age=1' };
        await new Upload({ client: s3, params: { ...about, Body: Readable.from(pieces) }, partSize: PART }).done();
        await place.expectAsDirectly(Key, { parts: 3, first: 'part 3' });

        const endless = Readable.from(
          (function* () {
            for (;;) yield bytes.subarray(0, 1_000_000);
          })(),
        );
        const aborted = new Upload({ client: s3, params: { ...about, Body: endless }, partSize: PART });
        const progress = new Promise(resolve => aborted.on('httpUploadProgress', resolve));
        const done = expect(aborted.done()).rejects.toMatchObject({ name: 'AbortError' });
        await progress;
        await aborted.abort();
        await done;
        // lib-storage aborts when its parts under way have ended, and waits for neither.
        await place.origin.waitFor(({ method, status }) => method === 'DELETE' && status === 204);
        await eventually(async () => (await filesUnder(join(place.folder, 'cache', 'uploads'))).length === 0);
        expect((await s3.send(new ListMultipartUploadsCommand({ Bucket }))).Uploads ?? []).toEqual([]);
        await place.expectAsDirectly(Key, { parts: 3 });
      });
    },
    [BY_NAME, BY_PATH_TTL_0],
  );
});
