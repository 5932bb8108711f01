import { rm } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { generatedBody } from '../origin/index.ts';
import { bytesOf, collect, eventually, filesUnder, MIB, type Place, startPlace } from './helpers.ts';

const SIZE = 20 * MIB;
const HOUR = 3_600_000;
const first = generatedBody(SIZE, 1);
const second = generatedBody(SIZE, 2);

async function placeWith(ttl = HOUR): Promise<Place> {
  const place = await startPlace({ cache: { get_ttl: ttl, head_ttl: ttl, ram_cache_enabled: false } });
  place.origin.put('data', 'k', first);
  return place;
}

const isFirst = (bytes: Buffer, start = 0) => bytes.equals(first.read(start, start + bytes.length));
const isSecond = (bytes: Buffer, start = 0) => bytes.equals(second.read(start, start + bytes.length));

describe('an object overwritten behind the cache', () => {
  it('while its first bytes are missing is read anew, from one version', async () => {
    const { get, origin, count } = await placeWith();
    await get({ range: `bytes=${8 * MIB}-${12 * MIB - 1}` });
    origin.put('data', 'k', second);
    const seen = await count(async () => {
      const answer = await get();
      expect(answer).toMatchObject({ status: 200, complete: true });
      expect(answer.header('etag')).toBe(origin.object('data', 'k')!.etag);
      expect(isSecond(answer.body)).toBe(true);
    });
    expect(seen.bytes).toBe(SIZE);
  });

  it('while later bytes are missing is cut, never mixed, and right when asked for again', async () => {
    const { get, origin, cacheDir } = await placeWith();
    await get({ range: `bytes=0-${9 * MIB - 1}` });
    await eventually(async () => (await filesUnder(`${cacheDir}/buckets`)).length === 3);
    origin.put('data', 'k', second);
    const cut = await get();
    expect(cut.complete).toBe(false);
    expect(cut.body.length).toBeLessThanOrEqual(9 * MIB);
    expect(isFirst(cut.body)).toBe(true);
    const again = await get();
    expect(again.complete).toBe(true);
    expect(isSecond(again.body)).toBe(true);
  });

  it('or rather removed, while later bytes are missing, is cut once, then S3’s 404', async () => {
    const { get, origin, cacheDir } = await placeWith();
    await get({ range: `bytes=0-${9 * MIB - 1}` });
    await eventually(async () => (await filesUnder(`${cacheDir}/buckets`)).length === 3);
    origin.remove('data', 'k');
    expect((await get()).complete).toBe(false);
    expect((await get()).status).toBe(404);
  });

  it('is cut once, and not again and again, where another proxy uses the directory, too', async () => {
    const { get, origin, cacheDir, another } = await placeWith();
    await another();
    await get({ range: `bytes=0-${9 * MIB - 1}` });
    await eventually(async () => (await filesUnder(`${cacheDir}/buckets`)).length === 3);
    origin.put('data', 'k', second);
    expect((await get()).complete).toBe(false);
    // What is known is read again from the volume.
    const at = performance.now();
    await eventually(() => performance.now() - at > 1500);
    const again = await get();
    expect(again.complete).toBe(true);
    expect(isSecond(again.body)).toBe(true);
  });

  it('is found out before the answer begins at ttl 0, where the missing bytes are near the start or far', async () => {
    for (const start of [100, 9 * MIB]) {
      const { get, origin } = await placeWith(0);
      await get({ range: `bytes=0-${start - 1}` });
      origin.put('data', 'k', second);
      const answer = await get();
      expect(answer.complete).toBe(true);
      expect(isSecond(answer.body)).toBe(true);
    }
  });

  it('never fills the place of lost bytes with what S3 says about them', async () => {
    // The range is signed, so that the gap is asked for by the caller's own whole range; its answer is another version's.
    for (const headers of [['Range', 'bytes=0-99999'], []]) {
      const { get, origin, cacheDir } = await placeWith();
      await get({ range: 'bytes=0-99999' });
      await eventually(async () => (await filesUnder(`${cacheDir}/buckets`)).length === 2);
      origin.put('data', 'k', second);
      await rm(`${cacheDir}/buckets`, { recursive: true });
      const answer = await get({ headers });
      if (answer.complete) expect(isSecond(answer.body)).toBe(true);
      else expect(isFirst(answer.body)).toBe(true);
    }
  });

  it('in the middle of a body that S3 then cuts is not continued with the new version', async () => {
    const { get, origin } = await placeWith();
    origin.faults.on(
      { key: 'k', times: 1 },
      { cutAfter: 5 * MIB, at: { bytes: 4 * MIB, run: () => origin.put('data', 'k', second) } },
    );
    const answer = await get();
    expect(answer.complete).toBe(false);
    expect(isFirst(answer.body)).toBe(true);
    expect(isSecond((await get()).body)).toBe(true);
  });
});

describe('a body that S3 does not finish', () => {
  it.each([
    ['cut', { cutAfter: 5 * MIB + 7 }],
    ['reset', { resetAfter: 5 * MIB + 7 }],
  ])('because it is %s is resumed where it broke off', async (_, fault) => {
    const { get, origin, count } = await placeWith();
    origin.faults.on({ key: 'k', times: 1 }, fault);
    const answer = await get();
    expect(answer.complete).toBe(true);
    expect(isFirst(answer.body)).toBe(true);
    const [, resumed] = origin.requestsFor('k');
    expect(resumed!.headers['if-match']).toBe(origin.object('data', 'k')!.etag);
    expect(resumed!.headers.range).toMatch(/^bytes=\d{6,}-20971519$/);
    expect((await count(() => get())).requests).toBe(0);
  });

  it('and can not be resumed, because S3 cuts at the same byte each time, is cut for the client', async () => {
    const { get, origin } = await placeWith();
    origin.faults.on({ key: 'k', times: 1 }, { cutAfter: 5 * MIB });
    origin.faults.on({ key: 'k' }, { cutAfter: 0 });
    const answer = await get();
    expect(answer.complete).toBe(false);
    expect(isFirst(answer.body)).toBe(true);
    origin.faults.clear();
    const again = await get();
    expect([again.complete, isFirst(again.body)]).toEqual([true, true]);
  });

  it('under a signed range is resumed by the same range', async () => {
    const { get, origin } = await placeWith();
    const fault = origin.faults.on({ key: 'k', times: 1 }, { cutAfter: 3 * MIB });
    const range = `bytes=1000-${10 * MIB}`;
    const answer = await get({ headers: ['Range', range] });
    expect(fault.hits).toBe(1);
    expect(answer.complete).toBe(true);
    expect(isFirst(answer.body, 1000)).toBe(true);
    expect(origin.requestsFor('k').map(record => record.headers.range)).toEqual([range, range]);
  });

  it('because it stalls is taken up again after the idle time', async () => {
    const place = await startPlace({ settings: { connection_pool: { upstream_idle_timeout: 300 } } });
    place.origin.put('data', 'k', first);
    place.origin.faults.on({ key: 'k', times: 1 }, { stallAfter: 5 * MIB });
    const answer = await place.get();
    expect(answer.complete).toBe(true);
    expect(isFirst(answer.body)).toBe(true);
  });

  it('that is not kept is cut for the client, too', async () => {
    const { get, origin } = await placeWith();
    origin.faults.on({ key: 'k' }, { cutAfter: MIB });
    const answer = await get({ headers: ['Cache-Control', 'no-store'], unsigned: ['cache-control'] });
    expect(answer.complete).toBe(false);
    expect(isFirst(answer.body)).toBe(true);
  });
});

describe('a signature that ends while a slow client reads', () => {
  it('has covered the bytes that were still missing by then', async () => {
    const { client, get, cacheDir, count } = await placeWith();
    await get({ range: `bytes=0-${9 * MIB - 1}` });
    await get({ range: `bytes=${14 * MIB}-${16 * MIB - 1}` });
    await eventually(async () => (await filesUnder(`${cacheDir}/buckets`)).length === 4);
    const ask = { expires: 2, at: Date.now() };
    const seen = await count(async () => {
      const response = await client.begin(ask);
      const start = await bytesOf(response, MIB);
      await eventually(() => Date.now() > ask.at + 2500);
      const rest = await collect(response);
      expect(rest.complete).toBe(true);
      expect(isFirst(Buffer.concat([start, rest.body]))).toBe(true);
    });
    expect(seen.requests).toBeLessThanOrEqual(2);
    expect((await get(ask)).status).toBe(403);
  });
});

describe('a client that leaves in the middle', () => {
  it('leaves what came in the store, ends the transfer, and later reads are right', async () => {
    const { client, get, origin, count } = await placeWith();
    const big = generatedBody(200 * MIB, 4);
    origin.put('data', 'big', big);
    const response = await client.begin({ key: 'big' });
    await bytesOf(response, 9 * MIB);
    response.destroy();
    const record = await origin.waitFor(r => r.key === 'big' && r.state !== 'running');
    expect(record.bytesSent).toBeLessThan(60 * MIB);
    await eventually(() => get({ key: 'big', range: 'bytes=0-8' }).then(a => a.status === 206));
    const kept = await count(async () => {
      const answer = await get({ key: 'big', range: `bytes=0-${8 * MIB - 1}` });
      expect(answer.body.equals(big.read(0, 8 * MIB))).toBe(true);
    }, 'big');
    expect(kept.requests).toBe(0);
    const range = await get({ key: 'big', range: `bytes=${7 * MIB}-${30 * MIB}` });
    expect(range.complete).toBe(true);
    expect(range.body.equals(big.read(7 * MIB, 30 * MIB + 1))).toBe(true);
  });

  it('at any byte never makes a later read wrong', async () => {
    const { client, get, origin } = await placeWith();
    for (const [i, at] of [1, 65_536, MIB + 1, 7 * MIB, 8 * MIB, 19 * MIB].entries()) {
      const key = `k${i}`;
      origin.put('data', key, first);
      const response = await client.begin({ key });
      await bytesOf(response, at);
      response.destroy();
      await collect(response);
      expect(isFirst((await get({ key, range: `bytes=${MIB}-` })).body, MIB)).toBe(true);
      expect(isFirst((await get({ key })).body)).toBe(true);
    }
  });
});
