import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeWith } from '../tools/index.ts';
import { aws } from './aws.ts';
import { putFile, sampleBytes } from './files.ts';
import { BUCKET, BY_NAME, BY_PATH_TTL_0, type Place } from './places.ts';
import { describeWrites } from './written.ts';

const MINUTES = 120_000;
const PART = 5 * 2 ** 20;

describeWith('aws', 'aws s3api, part by part', () => {
  describeWrites(
    place => {
      const put = (name: string, length: number, seed: number) =>
        putFile(join(place.folder, name), sampleBytes(length, seed));

      it('keeps parts that come out of order, twice, and through two processes, and nothing of an aborted upload', {
        timeout: MINUTES,
      }, async () => {
        const through = [place, place.throughOther] as const;
        await Promise.all([put('one', PART, 1), put('again', PART + 11, 2), put('two', 300_007, 3)]);
        const upload = await Upload.create(through[0], 'by hand', '--content-type', 'x/y', '--metadata', 'a=b');
        await Promise.all([upload.part(through[1], 2, 'two'), upload.part(through[0], 1, 'one')]);
        await upload.part(through[1], 1, 'again');
        await upload.complete(through[1]);
        await place.expectAsDirectly('by hand', { parts: 2, first: 'checksums', atMost: UNKNOWN_CHECKSUMS });

        const aborted = await Upload.create(through[1], 'by hand');
        await aborted.part(through[0], 1, 'one');
        await aborted.abort(through[0]);
        await place.expectAsDirectly('by hand', { parts: 2 });
      });

      it('finds what was made with UploadPartCopy as S3 has it', { timeout: MINUTES }, async () => {
        place.origin.put(BUCKET, 'source', sampleBytes(6 * 2 ** 20, 4));
        await put('end', 5000, 5);
        const upload = await Upload.create(place, 'put together');
        await Promise.all([upload.copy(place, 1, 'source', `bytes=10-${PART + 9}`), upload.part(place, 2, 'end')]);
        await upload.complete(place);
        await place.expectAsDirectly('put together', { parts: 2, atMost: Number.POSITIVE_INFINITY });
        expect(place.origin.object(BUCKET, 'put together')!.body.length).toBe(PART + 5000);
      });
    },
    [BY_NAME, BY_PATH_TTL_0],
  );
});

/** S3 makes one checksum of the whole where the client leaves it to S3: those of its parts are only known when asked for. */
const UNKNOWN_CHECKSUMS = PART + 11 + 300_007 + 2;

/** One multipart upload, each step of it a run of the AWS CLI. */
class Upload {
  readonly #key: string;
  readonly #id: string;
  readonly #etags = new Map<number, string>();

  private constructor(key: string, id: string) {
    this.#key = key;
    this.#id = id;
  }

  static async create(place: Place, key: string, ...about: readonly string[]): Promise<Upload> {
    const args = ['s3api', 'create-multipart-upload', '--bucket', BUCKET, '--key', key, ...about];
    return new Upload(key, JSON.parse(await aws(place, ...args)).UploadId);
  }

  async part(place: Place, number: number, file: string): Promise<void> {
    const { ETag } = JSON.parse(await this.#run(place, 'upload-part', '--part-number', `${number}`, '--body', file));
    this.#etags.set(number, ETag);
  }

  async copy(place: Place, number: number, source: string, range: string): Promise<void> {
    const from = ['--copy-source', `${BUCKET}/${source}`, '--copy-source-range', range];
    const answer = await this.#run(place, 'upload-part-copy', '--part-number', `${number}`, ...from);
    this.#etags.set(number, JSON.parse(answer).CopyPartResult.ETag);
  }

  async complete(place: Place): Promise<void> {
    const Parts = [...this.#etags].map(([PartNumber, ETag]) => ({ PartNumber, ETag }));
    Parts.sort((a, b) => a.PartNumber - b.PartNumber);
    await this.#run(place, 'complete-multipart-upload', '--multipart-upload', JSON.stringify({ Parts }));
  }

  async abort(place: Place): Promise<void> {
    await this.#run(place, 'abort-multipart-upload');
  }

  #run(place: Place, operation: string, ...args: readonly string[]): Promise<string> {
    return aws(place, 's3api', operation, '--bucket', BUCKET, '--key', this.#key, '--upload-id', this.#id, ...args);
  }
}
