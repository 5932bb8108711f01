import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { describe, expect, it } from 'vitest';
import { ALICE, generatedBody } from '../origin/index.ts';
import { type Ask, BASE, comparable, type Place, startPlace } from './helpers.ts';

async function place(cors = false): Promise<Place> {
  const made = await startPlace({ origin: { buckets: { data: { cors, anonymous: 'read' } } } });
  made.origin.put('data', 'k', generatedBody(100_000), { lastModified: Date.parse('2026-01-01T00:00:00Z') });
  return made;
}

describe('what a client says about caching', () => {
  it('no-store is relayed and keeps nothing', async () => {
    const { get, count } = await place();
    const ask = { headers: ['Cache-Control', 'no-store'] };
    expect((await get(ask)).header('x-cache')).toBe('BYPASS');
    expect((await count(() => get(ask))).bodies).toBe(1);
    expect((await count(() => get())).bodies).toBe(1);
    expect((await count(() => get(ask))).bodies).toBe(1);
  });

  it.each([
    [['Cache-Control', 'max-age=0, no-cache']],
    [['Pragma', 'no-cache']],
    [['x-amz-expected-bucket-owner', '123456789012']],
    [['x-amz-request-payer', 'requester']],
  ])('%s asks S3 each time', async headers => {
    const { get, count } = await place();
    await get();
    for (const method of ['GET', 'HEAD'])
      expect(await count(() => get({ headers, method }))).toMatchObject({ requests: 1, bodies: 0 });
    expect((await count(() => get())).requests).toBe(0);
  });

  it('is S3 business alone without cache_bypass_headers_enabled', async () => {
    const { origin, get, count } = await startPlace({ cache: { cache_bypass_headers_enabled: false } });
    origin.put('data', 'k', generatedBody(100_000));
    await get();
    for (const headers of [
      ['Cache-Control', 'no-cache'],
      ['Pragma', 'no-cache'],
      ['Cache-Control', 'no-store'],
    ])
      expect((await count(() => get({ headers }))).requests, headers.join()).toBe(0);
  });
});

describe('a GET with a body', () => {
  it.each([
    ['of a length', { 'Content-Length': '4' }],
    ['in chunks', { 'Transfer-Encoding': 'chunked' }],
  ])('%s is relayed, though what it asks for is cached', async (_, framing) => {
    const { origin, get, core, count } = await place();
    await get();
    const [host, port] = core.addresses.proxy.split(':');
    const path = `http://${origin.address}/data/k`;
    const seen = await count(async () => {
      const asked = request({ host, port, method: 'GET', path, headers: { Host: origin.address, ...framing } });
      asked.end('body');
      const [answer] = (await once(asked, 'response')) as [IncomingMessage];
      answer.resume();
      expect(answer.headers['cache-status']).toBe('cistern; fwd=bypass; detail=body');
    });
    expect(seen.requests).toBe(1);
  });
});

describe('a browser', () => {
  const browser: Ask = { headers: ['Origin', 'https://app.example'], unsigned: ['origin'] };

  it.each([
    ['GET', browser],
    ['range', { ...browser, range: 'bytes=5-99' }],
    ['HEAD', { ...browser, method: 'HEAD' }],
  ])('gets the CORS headers of S3 with each answer to a %s, cold and warm', async (_, ask) => {
    const { get, direct, count } = await place(true);
    const expected = comparable(await direct.send(ask));
    expect(expected.headers.join()).toContain('Access-Control-Allow-Origin');
    expect(comparable(await get(ask))).toEqual(expected);
    await get();
    const seen = await count(async () => expect(comparable(await get(ask))).toEqual(expected));
    expect(seen).toMatchObject({ requests: 1, bodies: 0 });
  });

  it('leaves none of them for others', async () => {
    const { get, direct } = await place(true);
    const expected = comparable(await direct.send());
    await get(browser);
    await get(browser);
    expect(comparable(await get())).toEqual(expected);
  });
});

describe('preconditions', () => {
  const past = 'Thu, 01 Jan 2015 00:00:00 GMT';
  const modified = 'Thu, 01 Jan 2026 00:00:00 GMT';
  const conditions = (etag: string): string[][] => [
    ['If-Match', etag],
    ['If-Match', '"other"'],
    ['If-None-Match', etag],
    ['If-None-Match', '"other"'],
    ['If-Modified-Since', modified],
    ['If-Modified-Since', past],
    ['If-Unmodified-Since', past],
    ['If-Unmodified-Since', modified],
    ['If-Match', etag, 'If-Unmodified-Since', past],
    ['If-None-Match', '"other"', 'If-Modified-Since', modified],
    ['If-Range', etag, 'Range', 'bytes=5-9'],
    ['If-Range', '"other"', 'Range', 'bytes=5-9'],
    ['If-Range', modified, 'Range', 'bytes=5-9'],
  ];

  it('are answered from a fresh head as S3 would, without asking it', async () => {
    const { get, direct, origin, count } = await place();
    await get();
    for (const headers of conditions(origin.object('data', 'k')!.etag)) {
      for (const method of ['GET', 'HEAD']) {
        const ask = { headers, method };
        const [expected, label] = [await direct.send(ask), `${method} ${headers}`];
        const seen = await count(async () => {
          const answer = await get(ask);
          expect(answer.status, label).toBe(expected.status);
          if (answer.status < 300) expect(comparable(answer), label).toEqual(comparable(expected));
          for (const name of ['etag', 'last-modified'])
            if (answer.status === 304) expect(answer.header(name), label).toBe(expected.header(name));
          if (answer.status === 412 && method === 'GET')
            expect(answer.body.toString()).toContain('<Code>PreconditionFailed</Code>');
        });
        expect(seen.requests, label).toBe(0);
      }
    }
  });

  it.each([0, 3_600_000])(
    'are answered as S3 does with a stale head, a cold cache or local evaluation off (ttl %i)',
    async ttl => {
      const { get, direct, origin } = await startPlace({
        cache: { get_ttl: ttl, head_ttl: ttl, evaluate_conditions_from_cache: ttl === 0 },
      });
      origin.put('data', 'k', generatedBody(100_000), { lastModified: Date.parse(modified) });
      for (const round of ['cold', 'warm']) {
        for (const headers of conditions(origin.object('data', 'k')!.etag)) {
          for (const method of ['GET', 'HEAD']) {
            const ask = { headers, method };
            const expected = comparable(await direct.send(ask));
            const answer = comparable(await get(ask));
            if (expected.status >= 400) expect(answer.status).toBe(expected.status);
            else expect(answer, `${round} ${method} ${headers}`).toEqual(expected);
          }
        }
        await get();
      }
    },
  );
});

describe('spellings of one object', () => {
  it('path-style, virtual-hosted, presigned and anonymous reads share one copy', async () => {
    const { get, count, origin } = await startPlace({
      origin: { buckets: { data: { anonymous: 'read' } } },
      cache: { authorization: 'shared' },
    });
    origin.put('data', 'a/b c', generatedBody(100_000));
    const body = generatedBody(100_000).read(0, 100_000);
    await get({ key: 'a/b%20c', base: BASE });
    const seen = await count(async () => {
      for (const ask of [
        { key: 'a/b%20c', base: BASE },
        { key: 'a/%62%20c', base: BASE },
        { key: 'a/b%20c', base: BASE, expires: 600 },
        { key: 'a/b%20c', base: BASE, who: null },
      ])
        expect((await get(ask)).body.equals(body), JSON.stringify(ask)).toBe(true);
    }, 'a/b c');
    expect(seen.requests).toBe(0);
  });

  it('raw + keys, versions and response overrides are relayed each time', async () => {
    const { get, origin, count } = await place();
    origin.put('data', 'a+b', 'plus');
    await get();
    expect((await get({ key: 'a+b' })).header('x-cache')).toBe('BYPASS');
    const { versionId } = origin.object('data', 'k')!;
    for (const query of [`?versionId=${versionId}`, '?response-content-type=text%2Fplain', '?tagging', '?acl']) {
      const seen = await count(async () => expect((await get({ query })).status, query).toBe(200));
      expect(seen.requests, query).toBe(1);
    }
    const answer = await get({ query: '?response-content-type=text%2Fplain' });
    expect(answer.header('content-type')).toBe('text/plain');
    expect((await get()).header('content-type')).toBe('binary/octet-stream');
  });

  it('a read that expects 100-continue, signed or not, is relayed: S3 answers it', async () => {
    const { get, direct } = await place();
    const body = (await direct.send()).body;
    for (const unsigned of [[], ['expect']]) {
      const answer = await get({ headers: ['Expect', '100-continue'], unsigned });
      expect([answer.status, answer.header('x-cache')]).toEqual([200, 'BYPASS']);
      expect(answer.body.equals(body)).toBe(true);
    }
  });

  it('an expired presigned URL gets the answer of S3, never a cached body', async () => {
    const { get } = await place();
    const ask = { expires: 60, at: Date.now() - 120_000, who: ALICE };
    await get();
    await get({ expires: 60, who: ALICE });
    const answer = await get(ask);
    expect(answer.status).toBe(403);
    expect(answer.body.toString()).toContain('<Code>AccessDenied</Code>');
  });
});
