import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { ALICE } from '../origin/index.ts';
import { describeWith, requireTool } from '../tools/index.ts';
import { putFile, sampleBytes } from './files.ts';
import { BUCKET, type Place } from './places.ts';
import { succeed } from './run.ts';
import { describeWrites, type Reading } from './written.ts';

const MINUTES = 120_000;
const SCRIPT = join(import.meta.dirname, 'boto3_writes.py');
/** The next part begins where no unit of 64 KiB does. */
const PART = 5 * 2 ** 20 + 12_345;
const FIRST: readonly Reading[] = ['checksums', 'GET', 'HEAD', 'range', 'unsigned range'];

type Step = readonly [operation: string, args: Readonly<Record<string, unknown>>];

describeWith('boto3', 'uploads by boto3', () => {
  describeWrites(place => {
    let algorithms: readonly string[];
    beforeAll(async () => {
      algorithms = await boto3(place);
      await putFile(join(place.folder, 'small'), sampleBytes(20_000, 1));
      await putFile(join(place.folder, 'medium'), sampleBytes(200_003, 2));
      await putFile(join(place.folder, 'parts'), sampleBytes(PART + 70_001, 3));
    });

    it('are kept with each checksum algorithm', { timeout: MINUTES }, async () => {
      const put = (name: string): Step => ['put', { path: 'medium', Key: `put/${name}`, ChecksumAlgorithm: name }];
      await boto3(place, ...algorithms.map(put));
      for (const [i, name] of algorithms.entries()) {
        const first = FIRST[i]!;
        // Range is signed, and without a type in the request only S3 knows all headers: its answer to the range tells them.
        await place.expectAsDirectly(`put/${name}`, first === 'range' ? { first, atMost: 2000 } : { first });
      }
    });

    it('are kept with all that describes them', { timeout: MINUTES }, async () => {
      const about = {
        CacheControl: 'no-cache, max-age=0',
        ContentDisposition: 'attachment; filename="x y.csv"',
        ContentEncoding: 'gzip',
        ContentLanguage: 'de-CH',
        ContentType: 'text/csv; charset=utf-8',
        Expires: '2030-01-01T00:00:00Z',
        Metadata: { who: 'boto3', 'with-dash': 'a  b' },
        StorageClass: 'STANDARD_IA',
        Tagging: 'a=1&b=2',
        ServerSideEncryption: 'AES256',
      };
      const keys = FIRST.map(reading => `about/${reading}`);
      await boto3(
        place,
        ...keys.map((Key, i): Step => [i % 2 ? 'put' : 'upload', { path: i % 2 ? 'small' : 'medium', Key, ...about }]),
      );
      for (const [i, first] of FIRST.entries()) await place.expectAsDirectly(keys[i]!, { first });
      await boto3(place, ['delete', { keys }]);
      await place.expectGone(...keys);
    });

    it('are kept in parts, with each checksum algorithm', { timeout: MINUTES }, async () => {
      const names = algorithms.filter(name => name !== 'SHA1');
      await boto3(
        place,
        ...names.map((name, i): Step => {
          const about = { path: 'parts', part_size: PART, ChecksumAlgorithm: name, ContentType: 'application/x-parts' };
          return ['upload', { ...about, Key: `parts/${name}`, forward: i % 2 === 1 }];
        }),
      );
      for (const [i, name] of names.entries()) {
        expect(place.origin.object(BUCKET, `parts/${name}`)!.parts).toHaveLength(2);
        const first = (['part 2', 'checksums', 'range', 'HEAD', 'GET'] as const)[i]!;
        // What S3 says of one part's checksum is only certain where the object's is made of them.
        const atMost = name === 'CRC64NVME' ? PART + 70_001 + 2 : 2;
        await place.expectAsDirectly(`parts/${name}`, { parts: 2, first, atMost });
      }
    });
  });
});

async function boto3(place: Place, ...steps: readonly Step[]): Promise<string[]> {
  const env = {
    ...place.proxyVariables,
    AWS_ACCESS_KEY_ID: ALICE.accessKeyId,
    AWS_SECRET_ACCESS_KEY: ALICE.secretAccessKey,
  };
  const args = [SCRIPT, place.way.style, place.endpoint, BUCKET, JSON.stringify(steps)];
  return JSON.parse(await succeed(requireTool('boto3'), args, { env, cwd: place.folder }));
}
