import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { startCore } from '../../proxy-core/core.ts';
import { generatedBody } from '../origin/index.ts';
import { bytesOf, collect, eventually, filesUnder, MIB, settingsOf, startPlace } from '../read/helpers.ts';

const HOUR = 3_600_000;
const SIZE = 20 * MIB;
const body = generatedBody(SIZE);

describe('a restart', () => {
  it('keeps the cache: no body moves again, and one question shows who may read', async () => {
    const place = await startPlace({ cache: { get_ttl: HOUR, head_ttl: HOUR } });
    place.origin.put('data', 'k', body);
    place.origin.put('data', 'small', 'small');
    await place.get();
    await place.get({ key: 'small' });
    await place.core.stop();
    const { client } = await place.another();
    const seen = await place.count(async () => {
      expect((await client.send()).body.equals(body.read(0, SIZE))).toBe(true);
    });
    expect(seen).toEqual({ bodies: 0, requests: 1, bytes: 0 });
    expect((await place.count(() => client.send({ key: 'small' }), 'small')).bodies).toBe(0);
    expect((await place.count(() => client.send())).requests).toBe(0);
  });

  it('with authorization: shared needs no question within the ttl', async () => {
    const place = await startPlace({ cache: { get_ttl: HOUR, head_ttl: HOUR, authorization: 'shared' } });
    place.origin.put('data', 'k', body);
    await place.get();
    await place.core.stop();
    const { client } = await place.another();
    expect((await place.count(() => client.send())).requests).toBe(0);
  });

  it('keeps what was read when the stop came in the middle of it', async () => {
    const place = await startPlace({ settings: { server: { shutdown_grace: 0 } } });
    place.origin.put('data', 'k', body);
    place.origin.faults.on({ key: 'k', times: 1 }, { stallAfter: 17 * MIB });
    const response = await place.client.begin();
    await bytesOf(response, 16 * MIB);
    await place.core.stop();
    expect((await collect(response)).complete).toBe(false);
    const { client } = await place.another();
    const seen = await place.count(async () => {
      expect((await client.send()).body.equals(body.read(0, SIZE))).toBe(true);
    });
    expect(seen.bytes).toBeLessThanOrEqual(12 * MIB);
  });
});

describe('a stop', () => {
  it('lets a running transfer finish, and takes no new one', async () => {
    const place = await startPlace({ settings: { server: { shutdown_grace: 10_000 } } });
    place.origin.put('data', 'k', body);
    const stall = place.origin.faults.on({ key: 'k', times: 1 }, { stallAfter: 9 * MIB });
    const response = await place.client.begin();
    await stall.struck;
    const stopped = place.core.stop();
    const refused = await place.client.begin({ key: 'other' }).catch((error: NodeJS.ErrnoException) => error.code);
    expect(refused).toMatch(/ECONNREFUSED|ECONNRESET/);
    stall.release();
    const answer = await collect(response);
    expect(answer.complete).toBe(true);
    expect(answer.body.equals(body.read(0, SIZE))).toBe(true);
    await stopped;
  });

  it('cuts what has not finished in time', async () => {
    const place = await startPlace({ settings: { server: { shutdown_grace: 200 } } });
    place.origin.put('data', 'k', body);
    place.origin.faults.on({ key: 'k', times: 1 }, { stallAfter: 9 * MIB });
    const response = await place.client.begin();
    const rest = collect(response);
    const before = performance.now();
    await place.core.stop();
    expect(performance.now() - before).toBeLessThan(5000);
    expect((await rest).complete).toBe(false);
  });

  it('leaves no half-written file and no heartbeat behind', async () => {
    const place = await startPlace();
    place.origin.put('data', 'k', body);
    await place.get();
    await place.core.stop();
    for (const folder of ['tmp', 'instances']) expect(await filesUnder(`${place.cacheDir}/${folder}`)).toEqual([]);
  });
});

describe('a start', () => {
  it('on a busy port rejects, naming it, and leaves the cache folder free', async () => {
    const place = await startPlace();
    const blocker = createServer().listen(0, '127.0.0.1');
    await new Promise(resolve => blocker.once('listening', resolve));
    const { port } = blocker.address() as { port: number };
    const settings = settingsOf(place.origin, place.folder, { server: { proxy_port: port } });
    await expect(startCore({ ...settings, server: { ...settings.server, proxy_port: port } })).rejects.toMatchObject({
      code: 'EADDRINUSE',
    });
    blocker.close();
    expect(await filesUnder(`${place.cacheDir}/instances`)).toHaveLength(1);
  });

  it('on a cache folder that is no folder rejects with what to do', async () => {
    const place = await startPlace();
    const settings = settingsOf(place.origin, place.folder, {}, { cache_dir: '/dev/null/cache' });
    await expect(startCore(settings)).rejects.toThrow(/cache\.cache_dir.*Choose a folder/);
  });
});

describe('numbers', () => {
  it('count a cut answer as an error, and a client that left as none', async () => {
    const place = await startPlace();
    place.origin.put('data', 'k', body);
    const leaving = await place.client.begin();
    await bytesOf(leaving, MIB);
    leaving.destroy();
    await eventually(() => place.core.status().counters.misses === 1);
    expect(place.core.status().counters.errors).toBe(0);
    place.origin.put('data', 'other', body);
    place.origin.faults.on({ key: 'other' }, { cutAfter: 0 });
    await place.get({ key: 'other' });
    await eventually(() => place.core.status().counters.misses === 2);
    expect(place.core.status().counters.errors).toBe(1);
  });

  it('tell hits, misses and bytes as they were', async () => {
    const place = await startPlace({ cache: { get_ttl: HOUR, head_ttl: HOUR } });
    place.origin.put('data', 'k', generatedBody(100_000));
    await place.get();
    await place.get();
    await place.get({ range: 'bytes=0-9' });
    await place.get({ query: '?acl' });
    await eventually(() => place.core.status().counters.hits === 2);
    expect(place.core.status().counters).toMatchObject({
      requests: 4,
      misses: 1,
      hits: 2,
      bypasses: 1,
      bytes_from_cache: 100_010,
      s3_requests: 2,
      errors: 0,
    });
  });
});
