import { describe, expect, it } from 'vitest';
import { generatedBody, type RequestRecord } from '../origin/index.ts';
import { type Ask, comparable, eventually, MIB, type Place, startPlace } from './helpers.ts';

const HOUR = 3_600_000;
const statuses = (records: readonly RequestRecord[]) => records.map(record => record.status);

async function placeWith(ttl: number, size = 200_000): Promise<Place> {
  const place = await startPlace({ cache: { get_ttl: ttl, head_ttl: ttl } });
  place.origin.put('data', 'k', generatedBody(size), { lastModified: Date.now() - HOUR });
  return place;
}

describe('within the ttl', () => {
  it('an object is served without any request', async () => {
    const { get, count } = await placeWith(HOUR);
    await get();
    const seen = await count(async () => {
      await get();
      await get({ method: 'HEAD' });
      await get({ range: 'bytes=7-70000' });
    });
    expect(seen.requests).toBe(0);
  });

  it('a HEAD is answered without a request, and a GET after it is not, since S3 has only let this caller HEAD', async () => {
    const { get, count, origin } = await placeWith(HOUR);
    await get({ method: 'HEAD' });
    expect((await count(() => get({ method: 'HEAD' }))).requests).toBe(0);
    await get();
    expect(origin.bodiesServed('k')).toBe(1);
    expect((await count(() => get())).requests).toBe(0);
  });
});

describe('past the ttl', () => {
  it('a 304 moves the time on: the next read within the ttl needs no request', async () => {
    const { get, origin, count } = await placeWith(400);
    await get();
    const first = performance.now();
    await eventually(() => performance.now() - first > 450);
    expect(await count(() => get())).toMatchObject({ requests: 1, bodies: 0 });
    expect(statuses(origin.requestsFor('k'))).toEqual([200, 304]);
    expect((await count(() => get())).requests).toBe(0);
  });
});

describe('at ttl 0', () => {
  const asks: Record<string, Ask> = {
    'a GET': {},
    'a HEAD': { method: 'HEAD' },
    'a range': { range: 'bytes=100-150000' },
    'a signed range': { headers: ['Range', 'bytes=100-150000'] },
    'a part': { query: '?partNumber=1' },
    'a suffix': { range: 'bytes=-5' },
  };
  it.each(Object.entries(asks))('%s asks S3 each time by a conditional request that moves no body', async (_, ask) => {
    const { get, direct, origin, count } = await placeWith(0);
    await get();
    await get(ask);
    const expected = comparable(await direct.send(ask));
    for (let i = 0; i < 2; i++) {
      const seen = await count(async () => expect(comparable(await get(ask))).toEqual(expected));
      expect(seen).toMatchObject({ requests: 1, bodies: 0 });
      expect(origin.requestsFor('k').at(-1)!).toMatchObject({ bytesSent: 0 });
    }
  });

  it('downloads as boto3 and the CRT do them (If-Match and checksum mode signed on every part) move no body again', async () => {
    const { get, origin, count } = await placeWith(0, 20 * MIB);
    const { etag } = origin.object('data', 'k')!;
    const download = async () => {
      const ranges = [0, 8, 16].map(start => `bytes=${start * MIB}-${Math.min(start + 8, 20) * MIB - 1}`);
      const answers = await Promise.all(
        ranges.map(range => get({ range, headers: ['If-Match', etag, 'x-amz-checksum-mode', 'ENABLED'] })),
      );
      expect(answers.map(answer => answer.status)).toEqual([206, 206, 206]);
      const whole = Buffer.concat(answers.map(answer => answer.body));
      expect(whole.equals(generatedBody(20 * MIB).read(0, 20 * MIB))).toBe(true);
    };
    const cold = await count(download);
    expect(cold.bytes).toBe(20 * MIB);
    const warm = await count(download);
    expect(warm).toEqual({ bodies: 0, requests: 3, bytes: 0 });
    expect(statuses(origin.requestsFor('k').slice(-3))).toEqual([304, 304, 304]);
  });
});

describe('an object that has changed', () => {
  it.each([
    ['at ttl 0', 0],
    ['past the ttl', 50],
  ])('%s costs one body, which is sent and kept', async (_, ttl) => {
    const { get, origin, count } = await placeWith(ttl);
    await get();
    const before = performance.now();
    await eventually(() => performance.now() - before > ttl + 10);
    origin.put('data', 'k', generatedBody(300_000, 9), { headers: ['x-amz-meta-v', '2'] });
    const seen = await count(async () => {
      const answer = await get();
      expect(answer.header('x-amz-meta-v')).toBe('2');
      expect(answer.body.equals(generatedBody(300_000, 9).read(0, 300_000))).toBe(true);
    });
    expect(seen).toEqual({ bodies: 1, requests: 1, bytes: 300_000 });
    expect((await count(() => get())).bodies).toBe(0);
  });

  it('only in its metadata is told with the new metadata', async () => {
    const { get, origin } = await placeWith(0);
    await get();
    origin.put('data', 'k', generatedBody(200_000), {
      headers: ['x-amz-meta-v', '2'],
      lastModified: Date.now() - 5000,
    });
    for (const ask of [{}, { method: 'HEAD' }, { range: 'bytes=0-5' }, {}]) {
      const answer = await get(ask);
      expect(answer.header('x-amz-meta-v'), JSON.stringify(ask)).toBe('2');
    }
  });

  it.each([0, HOUR])(
    'in what a header says, and in no more, is told by every process on the directory: ttl %d',
    async ttl => {
      const { origin, client, another } = await placeWith(0);
      const [writtenAt, rewrittenAt] = [Date.now() - HOUR, Date.now() - 5000];
      const put = (type: string, lastModified: number) =>
        origin.put('data', 'k', generatedBody(200_000), { headers: ['Content-Type', type], lastModified });
      put('a/a', writtenAt);
      await client.send();
      put('b/b', rewrittenAt);
      expect((await client.send()).header('content-type')).toBe('b/b');
      // What is on disk is all that this one knows.
      await eventually(async () => {
        const { client: late } = await another({ cache: { get_ttl: ttl, head_ttl: ttl } });
        origin.reset();
        expect((await late.send()).header('content-type')).toBe('b/b');
        return origin.bodiesServed('k') === 0;
      });
    },
  );

  it('is seen by HEAD, and a GET after that never mixes its head with old bytes', async () => {
    const { get, origin } = await placeWith(0);
    await get();
    origin.put('data', 'k', generatedBody(200_000, 5));
    const { etag } = origin.object('data', 'k')!;
    expect((await get({ method: 'HEAD' })).header('etag')).toBe(etag);
    const answer = await get({ range: 'bytes=10-100000' });
    expect(answer.header('etag')).toBe(etag);
    expect(answer.body.equals(generatedBody(200_000, 5).read(10, 100_001))).toBe(true);
  });

  it('into nothing is gone: 404 is relayed and the copy dropped', async () => {
    const { get, origin, count } = await placeWith(0);
    await get();
    origin.remove('data', 'k');
    expect((await get()).status).toBe(404);
    // The same bytes again: had the copy been kept, a 304 would bring it back.
    origin.put('data', 'k', generatedBody(200_000));
    expect((await count(() => get())).bodies).toBe(1);
  });
});

describe("S3's bad day", () => {
  it('a 403 or 5xx is relayed as it is, keeps what is cached, and is never kept itself', async () => {
    const { get, origin, count } = await placeWith(0);
    const { body } = await get();
    for (const status of [403, 500, 503]) {
      const fault = origin.faults.on({ key: 'k', times: 1 }, { status });
      const answer = await get();
      expect(answer.status).toBe(status);
      expect(answer.body.toString()).toContain('scripted');
      expect(fault.hits).toBe(1);
      const seen = await count(async () => expect((await get()).body.equals(body)).toBe(true));
      expect(seen).toMatchObject({ bodies: 0, requests: 1 });
    }
  });

  it('an error is relayed without stale_if_error, for no longer than it says with it, and never at ttl 0 made up for', async () => {
    const stale = async (ttl: number, staleIfError: number) => {
      const place = await startPlace({ cache: { get_ttl: ttl, head_ttl: ttl, stale_if_error: staleIfError } });
      place.origin.put('data', 'k', generatedBody(1000));
      await place.get();
      const at = performance.now();
      await eventually(() => performance.now() - at > ttl + 20);
      place.origin.faults.on({ key: 'k' }, { status: 503 });
      return place;
    };
    expect((await (await stale(50, 0)).get()).status).toBe(503);
    expect((await (await stale(0, HOUR)).get()).status).toBe(503);
    const covered = await stale(50, HOUR);
    const answer = await covered.get();
    expect(answer.status).toBe(200);
    expect(answer.header('cache-status')).toContain('fwd=stale');
    expect((await covered.get({ method: 'HEAD' })).status).toBe(200);
    // Another caller was never let read it.
    expect((await covered.get({ who: null })).status).toBe(503);
    const over = await stale(50, 100);
    const since = performance.now();
    await eventually(() => performance.now() - since > 150);
    expect((await over.get()).status).toBe(503);
  });

  it('an answer without a strong ETag is relayed and not kept', async () => {
    const { get, origin, count } = await placeWith(HOUR);
    origin.faults.on(
      { key: 'k' },
      {
        rewrite: reply => ({
          ...reply,
          headers: reply.headers.map(text => (text.startsWith('"') ? `W/${text}` : text)),
        }),
      },
    );
    expect((await get()).body.length).toBe(200_000);
    expect((await count(() => get())).bodies).toBe(1);
  });
});
