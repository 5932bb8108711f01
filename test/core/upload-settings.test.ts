import { mkdir, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { generatedBody } from '../origin/index.ts';
import { eventually, filesUnder, MIB, type Place, type PlaceOptions, startPlace } from '../read/helpers.ts';

const HOUR = 3_600_000;
const bodyOf = (size: number, seed = 1) => generatedBody(size, seed).read(0, size);

async function placeWith(cache: PlaceOptions['cache'] = {}): Promise<Place> {
  return startPlace({ cache: { get_ttl: HOUR, head_ttl: HOUR, ram_cache_enabled: false, ...cache } });
}

async function put({ client }: Place, key: string, size: number, seed = 1): Promise<void> {
  expect((await client.send({ method: 'PUT', key, body: bodyOf(size, seed) })).status).toBe(200);
}

/** Whether a GET is right and, but for one byte by which S3 vouches, comes from the cache. */
async function fromCache(place: Place, key: string, size: number, seed = 1): Promise<boolean> {
  const { bytes } = await place.count(async () => {
    const answer = await place.get({ key });
    expect([answer.status, answer.complete]).toEqual([200, true]);
    expect(answer.body.equals(bodyOf(size, seed))).toBe(true);
  }, key);
  return bytes <= 1;
}

const extentsIn = async ({ cacheDir }: Place) =>
  (await filesUnder(`${cacheDir}/buckets`)).filter(file => /\d-\d+$/.test(file)).length;

describe('each setting of uploads shows from outside:', () => {
  it('write_cache_enabled', async () => {
    for (const write_cache_enabled of [true, false]) {
      const place = await placeWith({ write_cache_enabled });
      await put(place, 'k', 200_000);
      expect(await fromCache(place, 'k', 200_000)).toBe(write_cache_enabled);
    }
  });

  it('write_cache_max_object_size', async () => {
    const place = await placeWith({ write_cache_max_object_size: 200_000 });
    await put(place, 'fits', 200_000);
    await put(place, 'large', 200_001);
    expect([await fromCache(place, 'fits', 200_000), await fromCache(place, 'large', 200_001)]).toEqual([true, false]);
  });

  it('write_cache_percent', async () => {
    const place = await placeWith({ max_cache_size: 100 * MIB, write_cache_percent: 5 });
    for (let i = 0; i < 6; i++) await put(place, `k${i}`, MIB, i);
    await eventually(async () => (await extentsIn(place)) === 4);
    const kept = [];
    for (let i = 0; i < 6; i++) kept.push(await fromCache(place, `k${i}`, MIB, i));
    expect(kept).toEqual([false, false, true, true, true, true]);
  });

  it('write_cache_percent, of which what somebody has read takes nothing', async () => {
    const place = await placeWith({ max_cache_size: 100 * MIB, write_cache_percent: 5 });
    for (let i = 0; i < 6; i++) {
      await put(place, `k${i}`, MIB, i);
      expect(await fromCache(place, `k${i}`, MIB, i)).toBe(true);
    }
    await put(place, 'large', 4 * MIB);
    for (let i = 0; i < 6; i++) expect(await fromCache(place, `k${i}`, MIB, i)).toBe(true);
    expect(await fromCache(place, 'large', 4 * MIB)).toBe(true);
  });

  it('put_ttl', async () => {
    for (const put_ttl of [HOUR, 0]) {
      const place = await placeWith({ max_cache_size: 20 * MIB, write_cache_percent: 50, put_ttl });
      const read = async (from: number, to: number) => {
        for (let i = from; i < to; i++) {
          place.origin.put('data', `read${i}`, generatedBody(MIB, i));
          await place.get({ key: `read${i}` });
        }
      };
      await read(0, 16);
      await put(place, 'upload', MIB);
      await read(16, 20);
      // A folder that goes in the middle of the look makes it see nothing.
      await eventually(async () => {
        const extents = await extentsIn(place);
        return extents < 20 && extents > 14;
      });
      expect(await fromCache(place, 'upload', MIB), String(put_ttl)).toBe(put_ttl > 0);
    }
  });

  it('incomplete_upload_ttl', async () => {
    for (const incomplete_upload_ttl of [HOUR, 300]) {
      const place = await placeWith({ incomplete_upload_ttl });
      const begun = await place.client.send({ method: 'POST', query: '?uploads' });
      const id = encodeURIComponent(/<UploadId>(.*?)<\/UploadId>/.exec(begun.body.toString())![1]!);
      const body = bodyOf(200_000);
      const part = await place.client.send({ method: 'PUT', query: `?partNumber=1&uploadId=${id}`, body });
      expect(part.status).toBe(200);
      const staged = async () => (await filesUnder(`${place.cacheDir}/uploads`)).length;
      if (incomplete_upload_ttl === HOUR) expect(await staged()).toBeGreaterThan(0);
      else await eventually(async () => (await staged()) === 0);
      const list = `<Part><PartNumber>1</PartNumber><ETag>${part.header('etag')}</ETag></Part>`;
      const done = await place.client.send({
        method: 'POST',
        query: `?uploadId=${id}`,
        body: Buffer.from(`<CompleteMultipartUpload>${list}</CompleteMultipartUpload>`),
      });
      expect(done.status).toBe(200);
      expect(await fromCache(place, 'k', 200_000)).toBe(incomplete_upload_ttl === HOUR);
    }
  });
});

describe('_settings.json of a bucket', () => {
  it('sets what is kept of uploads apart, for the bucket and for prefixes', async () => {
    const place = await placeWith();
    await put(place, 'before', 1000);
    const [folder] = new Set(
      (await filesUnder(`${place.cacheDir}/buckets`)).map(file => file.split('/buckets/')[1]!.split('/')[0]!),
    );
    await mkdir(`${place.cacheDir}/buckets/${folder}`, { recursive: true });
    await writeFile(
      `${place.cacheDir}/buckets/${folder}/_settings.json`,
      JSON.stringify({
        write_cache_max_object_size: 200_000,
        prefix_overrides: [{ prefix: 'raw/', write_cache_enabled: false }],
      }),
    );
    await place.core.stop();
    const { client } = await place.another();
    const later = { ...place, client, get: (ask = {}) => client.send(ask) };
    for (const [key, size] of [
      ['results/a', 200_000],
      ['results/large', 200_001],
      ['raw/a', 1000],
    ] as const)
      await put(later, key, size);
    expect(await fromCache(later, 'results/a', 200_000)).toBe(true);
    expect(await fromCache(later, 'results/large', 200_001)).toBe(false);
    expect(await fromCache(later, 'raw/a', 1000)).toBe(false);
  });
});
