import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ALICE } from '../origin/index.ts';
import { describeWith, requireTool } from '../tools/index.ts';
import { putFile, sampleBytes, sha256, sha256OfFile } from './files.ts';
import { BUCKET, describeWays, type Place, WAYS } from './places.ts';
import { succeed } from './run.ts';

const MINUTES = 120_000;
const SCRIPT = join(import.meta.dirname, 'boto3_client.py');

describeWith('boto3', 'boto3', () => {
  describeWays(WAYS, place => {
    const cached = place.way.reach !== 'directly';
    const at = (name: string) => join(place.folder, name);

    it('uploads an object, downloads it twice, reads a range, lists and deletes it', { timeout: MINUTES }, async () => {
      const bytes = sampleBytes(1_000_003, 1);
      const key = 'boto/日本 +&.bin';
      await putFile(at('up'), bytes);
      expect(await boto3(place, 'upload', BUCKET, key, at('up'))).toEqual({ who: 'boto3' });
      for (const down of ['down-1', 'down-2']) {
        const downloaded = () => boto3(place, 'download', BUCKET, key, at(down));
        expect(await place.bytes(downloaded)).toBe(cached ? 0 : bytes.length);
      }
      expect([await sha256OfFile(at('down-1')), await sha256OfFile(at('down-2'))]).toEqual([
        sha256(bytes),
        sha256(bytes),
      ]);

      const wanted = { length: 100_000, sha256: sha256(bytes.subarray(500_000, 600_000)) };
      const ranged = async () =>
        expect(await boto3(place, 'get_range', BUCKET, key, 'bytes=500000-599999')).toMatchObject(wanted);
      expect(await place.bodies(ranged)).toBe(cached ? 0 : 1);

      for (const name of ['boto/1', 'boto/2', 'other']) place.origin.put(BUCKET, name, 'x');
      expect(await boto3(place, 'list_keys', BUCKET, 'boto/')).toEqual(['boto/1', 'boto/2', key]);
      expect(await boto3(place, 'delete', BUCKET, key)).toBe('NoSuchKey');
    });

    it('downloads an object of several parts, whose every part carries If-Match and a checksum mode', {
      timeout: MINUTES,
    }, async () => {
      const bytes = sampleBytes(24 * 2 ** 20 + 5, 2);
      place.origin.put(BUCKET, 'large.bin', bytes, { partSize: 8 * 2 ** 20 });
      await boto3(place, 'download', BUCKET, 'large.bin', at('large-1'));
      const parts = place.origin.requestsFor('large.bin', 'GET');
      expect(parts.length).toBeGreaterThan(0);
      expect(parts.every(({ headers }) => headers['if-match'] !== undefined)).toBe(true);
      const second = await place.bodies(() => boto3(place, 'download', BUCKET, 'large.bin', at('large-2')));
      if (cached) expect(second).toBe(0);
      expect([await sha256OfFile(at('large-1')), await sha256OfFile(at('large-2'))]).toEqual([
        sha256(bytes),
        sha256(bytes),
      ]);
    });

    it('sees an overwrite made through the same way at once', { timeout: MINUTES }, async () => {
      const [first, second] = [sampleBytes(5000, 3), sampleBytes(6000, 4)];
      await putFile(at('first'), first);
      await putFile(at('second'), second);
      await boto3(place, 'upload', BUCKET, 'changing', at('first'));
      expect(await boto3(place, 'get', BUCKET, 'changing')).toMatchObject({ sha256: sha256(first) });
      expect(await boto3(place, 'get', BUCKET, 'changing')).toMatchObject({ sha256: sha256(first) });
      await boto3(place, 'upload', BUCKET, 'changing', at('second'));
      expect(await boto3(place, 'get', BUCKET, 'changing')).toMatchObject({ sha256: sha256(second) });
    });
  });
});

async function boto3(place: Place, ...args: readonly string[]): Promise<unknown> {
  const style = place.way.style;
  const env = {
    ...place.proxyVariables,
    AWS_ACCESS_KEY_ID: ALICE.accessKeyId,
    AWS_SECRET_ACCESS_KEY: ALICE.secretAccessKey,
  };
  return JSON.parse(
    await succeed(requireTool('boto3'), [SCRIPT, style, place.endpoint, ...args], { env, cwd: place.folder }),
  );
}
