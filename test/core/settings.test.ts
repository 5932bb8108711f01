import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CAROL, generatedBody } from '../origin/index.ts';
import { eventually, filesUnder, MIB, type Place, type PlaceOptions, startPlace } from '../read/helpers.ts';

const HOUR = 3_600_000;

async function placeWith(cache: PlaceOptions['cache'], size = 200_000): Promise<Place> {
  const place = await startPlace({ cache: { get_ttl: HOUR, head_ttl: HOUR, ...cache } });
  place.origin.put('data', 'k', generatedBody(size));
  return place;
}

const extents = async ({ cacheDir }: Place) =>
  (await filesUnder(`${cacheDir}/buckets`)).filter(file => /\d+-\d+$/.test(file));

/** Reads, and answers what S3 was asked. */
async function asked(place: Place, ask = {}) {
  const { requests, bodies } = await place.count(() => place.get(ask));
  return { requests, bodies };
}

const HIT = { requests: 0, bodies: 0 };
const ASKED = { requests: 1, bodies: 0 };
const FETCHED = { requests: 1, bodies: 1 };

describe('each setting of the cache shows from outside:', () => {
  it('get_ttl and head_ttl, apart', async () => {
    for (const [cache, get, head] of [
      [{ get_ttl: 0 }, ASKED, HIT],
      [{ head_ttl: 0 }, HIT, ASKED],
    ] as const) {
      const place = await placeWith(cache);
      await place.get();
      expect(await asked(place), JSON.stringify(cache)).toEqual(get);
      expect(await asked(place, { method: 'HEAD' }), JSON.stringify(cache)).toEqual(head);
    }
  });

  it('read_cache_enabled: false fetches each time and keeps nothing', async () => {
    const place = await placeWith({ read_cache_enabled: false });
    await place.get();
    expect(await asked(place)).toEqual(FETCHED);
    expect(await extents(place)).toEqual([]);
  });

  it('authorization: shared asks nobody about a second caller', async () => {
    for (const [authorization, expected] of [
      ['caller', ASKED],
      ['shared', HIT],
    ] as const) {
      const place = await placeWith({ authorization });
      await place.get();
      expect(await asked(place, { who: CAROL })).toEqual(expected);
    }
  });

  it('evaluate_conditions_from_cache: false asks S3 about requests with a condition', async () => {
    for (const [evaluate_conditions_from_cache, expected] of [
      [true, HIT],
      [false, ASKED],
    ] as const) {
      const place = await placeWith({ evaluate_conditions_from_cache });
      await place.get();
      expect(await asked(place, { headers: ['If-None-Match', place.origin.object('data', 'k')!.etag] })).toEqual(
        expected,
      );
    }
  });

  it('cache_bypass_headers_enabled: false takes no notice of what clients say about caching', async () => {
    for (const [cache_bypass_headers_enabled, expected] of [
      [true, ASKED],
      [false, HIT],
    ] as const) {
      const place = await placeWith({ cache_bypass_headers_enabled });
      await place.get();
      expect(await asked(place, { headers: ['Pragma', 'no-cache'] })).toEqual(expected);
    }
  });

  it('ram_cache_enabled: false keeps nothing in memory, and the disk serves', async () => {
    for (const ram_cache_enabled of [true, false]) {
      const place = await placeWith({ ram_cache_enabled });
      await place.get();
      await place.get();
      expect(place.core.status().cache.ram_bytes > 0).toBe(ram_cache_enabled);
      expect(await asked(place)).toEqual(HIT);
    }
  });

  it('max_ram_cache_size bounds what is in memory', async () => {
    const place = await placeWith({ max_ram_cache_size: 2 * MIB });
    for (let i = 0; i < 30; i++) {
      place.origin.put('data', `k${i}`, generatedBody(300_000, i));
      await place.get({ key: `k${i}` });
      await place.get({ key: `k${i}` });
    }
    const { ram_bytes } = place.core.status().cache;
    expect(ram_bytes).toBeGreaterThan(MIB);
    expect(ram_bytes).toBeLessThanOrEqual(2 * MIB);
  });

  it('max_cache_size bounds what is on disk', async () => {
    const place = await placeWith({ max_cache_size: 8 * MIB });
    for (let i = 0; i < 12; i++) {
      place.origin.put('data', `k${i}`, generatedBody(2 * MIB, i));
      await place.get({ key: `k${i}` });
    }
    const kept = async () => {
      const files = await filesUnder(`${place.cacheDir}/buckets`);
      const stats = await Promise.all(files.map(file => stat(file).catch(() => undefined)));
      return stats.reduce((sum, found) => sum + (found?.blocks ?? 0) * 512, 0);
    };
    // While several are being written, room for them is kept free.
    let most = 0;
    await eventually(async () => {
      const bytes = await kept();
      most = Math.max(most, bytes);
      return bytes > MIB && bytes <= 8 * MIB;
    });
    expect(most).toBeLessThanOrEqual(8 * MIB);
  });

  it('min_free_space leaves the volume room: nothing is kept where it has less', async () => {
    const place = await placeWith({ min_free_space: { bytes: Number.MAX_SAFE_INTEGER }, ram_cache_enabled: false });
    // The first look at the volume's space may come after the first read.
    await eventually(async () => (await place.get()).status === 200 && place.core.status().problems.length > 0);
    place.origin.put('data', 'k2', generatedBody(MIB));
    await place.get({ key: 'k2' });
    expect((await place.count(() => place.get({ key: 'k2' }), 'k2')).bodies).toBe(1);
  });

  it('file_mode decides who else may read the files', async () => {
    for (const [file_mode, file, folder] of [
      ['private', 0o600, 0o700],
      ['shared', 0o660, 0o2770],
    ] as const) {
      const place = await placeWith({ file_mode });
      await place.get();
      await eventually(async () => (await extents(place)).length > 0);
      const mode = async (path: string) => ((await stat(path)).mode & 0o7777).toString(8);
      for (const path of await filesUnder(`${place.cacheDir}/buckets`)) expect(await mode(path)).toBe(file.toString(8));
      for (const path of [`${place.cacheDir}/buckets`, dirname((await extents(place))[0]!)])
        expect(await mode(path), path).toBe(folder.toString(8));
    }
  });

  it('metadata_cache.max_entries bounds the heads in memory; the rest are looked for on the disk', async () => {
    for (const [max_entries, expected] of [
      [100, HIT],
      [1, FETCHED],
    ] as const) {
      const place = await placeWith({ metadata_cache: { max_entries } });
      place.origin.put('data', 'other', generatedBody(1000));
      await place.get();
      await place.get();
      await place.get({ key: 'other' });
      await eventually(async () => (await filesUnder(`${place.cacheDir}/buckets`)).length === 3);
      await rm(`${place.cacheDir}/buckets`, { recursive: true, force: true });
      expect(await asked(place), String(max_entries)).toEqual(expected);
    }
  });

  it('range_merge_gap_threshold decides whether near gaps are one fetch', async () => {
    for (const [range_merge_gap_threshold, requests] of [
      [MIB, 1],
      [0, 2],
    ] as const) {
      const place = await placeWith({ range_merge_gap_threshold }, 3 * MIB);
      await place.get({ range: `bytes=${MIB}-${MIB + 200_000}` });
      await eventually(async () => (await extents(place)).length === 1);
      const seen = await asked(place);
      expect(seen.requests).toBe(requests);
    }
  });

  it('compression.enabled and .threshold decide what is stored smaller', async () => {
    const sizeWith = async (compression: { enabled?: boolean; threshold?: number }) => {
      const place = await startPlace({ settings: { compression } });
      place.origin.put('data', 'k', 'compresses well '.repeat(20_000), { headers: ['Content-Type', 'text/plain'] });
      await place.get();
      await eventually(async () => (await extents(place)).length === 1);
      return (await stat((await extents(place))[0]!)).size;
    };
    expect(await sizeWith({ enabled: true })).toBeLessThan(50_000);
    expect(await sizeWith({ enabled: false })).toBeGreaterThan(320_000);
    expect(await sizeWith({ threshold: 10 * MIB })).toBeGreaterThan(320_000);
  });

  it('memory_budget, used up, lets reads go through unkept, and right', async () => {
    const body = generatedBody(9 * MIB).read(0, 9 * MIB);
    for (const [memory_budget, skips] of [
      [256 * MIB, false],
      [MIB, true],
    ] as const) {
      const place = await placeWith({ memory_budget });
      const keys = Array.from({ length: 8 }, (_, i) => `k${i}`);
      for (const key of keys) place.origin.put('data', key, generatedBody(9 * MIB));
      for (const answer of await Promise.all(keys.map(key => place.get({ key }))))
        expect([answer.complete, answer.body.equals(body)]).toEqual([true, true]);
      expect(place.core.status().counters.disk_skipped > 0, String(memory_budget)).toBe(skips);
    }
  });

  it('disk_timeout is how long a file that hangs holds a read up', async () => {
    for (const disk_timeout of [100, 1500]) {
      const place = await placeWith({ disk_timeout, ram_cache_enabled: false });
      await place.get();
      await eventually(async () => (await filesUnder(`${place.cacheDir}/buckets`)).length === 2);
      await place.core.stop();
      const [extent] = await extents(place);
      await rm(extent!);
      execFileSync('mkfifo', [extent!]);
      const { client, core } = await place.another();
      const begun = performance.now();
      expect((await client.send()).body.equals(generatedBody(200_000).read(0, 200_000))).toBe(true);
      const took = performance.now() - begun;
      expect(took).toBeGreaterThan(disk_timeout * 0.9);
      expect(took).toBeLessThan(disk_timeout + 1000);
      const writer = openSync(extent!, constants.O_RDWR | constants.O_NONBLOCK);
      await core.stop();
      closeSync(writer);
    }
  });
});

describe('_settings.json of a bucket', () => {
  async function write({ cacheDir }: Place, content: object): Promise<void> {
    const folders = new Set(
      (await filesUnder(`${cacheDir}/buckets`)).map(file => file.split('/buckets/')[1]!.split('/')[0]!),
    );
    expect(folders.size).toBe(1);
    const folder = `${cacheDir}/buckets/${[...folders][0]}`;
    await mkdir(folder, { recursive: true });
    await writeFile(`${folder}/_settings.json`, JSON.stringify(content));
  }

  async function cachedPlace(cache: PlaceOptions['cache'] = {}): Promise<Place> {
    const place = await placeWith(cache);
    await place.get();
    await eventually(async () => (await filesUnder(`${place.cacheDir}/buckets`)).length >= 2);
    expect(await asked(place)).toEqual(HIT);
    return place;
  }

  it.each([
    ['read_cache_enabled: false', { read_cache_enabled: false }, FETCHED],
    ['get_ttl: 0s', { get_ttl: '0s' }, ASKED],
    ['an override for the prefix of the key', { prefix_overrides: [{ prefix: '/k', get_ttl: '0s' }] }, ASKED],
    ['evaluate_conditions_from_cache: false', { evaluate_conditions_from_cache: false }, ASKED],
  ])('%s acts on what is already cached, within seconds', async (_, content, expected) => {
    const place = await cachedPlace();
    await write(place, content);
    const begun = performance.now();
    await eventually(() => performance.now() - begun > 2100);
    // A request never waits for the look at the file; the one after it does by what it says.
    await place.get();
    const ask =
      'evaluate_conditions_from_cache' in content
        ? { headers: ['If-None-Match', place.origin.object('data', 'k')!.etag] }
        : {};
    await eventually(async () => JSON.stringify(await asked(place, ask)) === JSON.stringify(expected), 3000);
  });

  it('that is there at the start holds from the first request on', async () => {
    const place = await cachedPlace();
    await write(place, { get_ttl: '0s' });
    await place.core.stop();
    const { client } = await place.another();
    await client.send();
    expect((await place.count(() => client.send())).requests).toBe(1);
  });

  it('that makes no sense leaves the bucket as it was, and is shown as a problem', async () => {
    const place = await cachedPlace();
    await write(place, { get_ttl: 'soon' });
    await eventually(async () => {
      expect(await asked(place)).toEqual(HIT);
      return place.core.status().problems.some(problem => problem.includes('_settings.json'));
    });
  });

  it('ram_cache_eligible: false keeps the bucket out of memory', async () => {
    const place = await placeWith({});
    place.origin.put('data', 'first', 'x');
    await place.get({ key: 'first' });
    await eventually(async () => (await filesUnder(`${place.cacheDir}/buckets`)).length >= 1);
    await write(place, { ram_cache_eligible: false, compression_enabled: false });
    await place.core.stop();
    const { client, core } = await place.another();
    for (let i = 0; i < 3; i++) await client.send();
    expect(core.status().cache.ram_bytes).toBe(0);
    expect((await place.count(() => client.send())).requests).toBe(0);
    await eventually(async () => (await extents(place)).length > 0);
    expect((await readFile((await extents(place))[0]!)).length).toBeGreaterThan(200_000);
  });
});
