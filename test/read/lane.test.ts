import { readdir, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { type Core, startCore } from '../../proxy-core/core.ts';
import { Reader } from '../../proxy-core/read/index.ts';
import { ALICE, BOB, CAROL, generatedBody } from '../origin/index.ts';
import { type Ask, MIB, type Place, settingsOf, startPlace } from './helpers.ts';

/** Two proxies before one origin, alike but for the fast lane, and with the same in their caches. */
interface Pair {
  readonly place: Place;
  readonly lane: Core;
  readonly http: Core;
  /** Raw text of a request as a client would send it. */
  raw(ask: Ask, change?: (text: string) => string): string;
  /** Sends the same to both and returns what came back, which must be the same. */
  both(pieces: readonly string[], options?: Sending): Promise<string>;
  atOnce(): number;
}

interface Sending {
  /** Answers to wait for; without it until the connection ends. */
  readonly methods?: readonly string[];
  readonly end?: boolean;
  /** The first piece is a GET, and the others wait for the answer to it. */
  readonly first?: boolean;
}

const KEYS = ['k1', 'k100', 'k300', 'odd', 'empty'];

async function startPair(): Promise<Pair> {
  const place = await startPlace({ origin: { buckets: { data: { anonymous: 'read' } } } });
  const { origin, folder } = place;
  const modified = { lastModified: Date.parse('2026-01-01T00:00:00Z') };
  origin.put('data', 'k1', generatedBody(1024, 1), modified);
  origin.put('data', 'k100', generatedBody(100 << 10, 2), modified);
  origin.put('data', 'k300', generatedBody(300 << 10, 3), modified);
  origin.put('data', 'odd', generatedBody(70_000, 4), {
    ...modified,
    headers: [
      'x-amz-meta-Name',
      'r\xe9sum\xe9',
      'cache-control',
      'max-age=1',
      'Content-Disposition',
      'attachment; filename="\xe9"',
    ],
  });
  origin.put('data', 'empty', Buffer.alloc(0), modified);
  const start = async (name: string, fastLane: boolean) => {
    const logging = { access_log_enabled: true, access_log_dir: join(folder, name, 'access') };
    const core = await startCore(
      settingsOf(origin, join(folder, name), { logging }, { max_ram_cache_size: 64 * MIB }),
      {
        fastLane,
      },
    );
    onTestFinished(() => core.stop());
    return core;
  };
  const [lane, http] = await Promise.all([start('lane', true), start('http', false)]);
  const spy = vi.spyOn(Reader.prototype, 'serveAtOnce');
  const pair: Pair = {
    place,
    lane,
    http,
    raw: (ask, change = text => text) => {
      const { target, host, headers } = place.client.compose(ask);
      let text = `${ask.method ?? 'GET'} http://${host}${target} HTTP/1.1\r\n`;
      for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
      return change(`${text}\r\n`) + (ask.body ?? '').toString('latin1');
    },
    both: async (pieces, options = {}) => {
      const [a, b] = await Promise.all([lane, http].map(core => exchange(portOf(core), pieces, options)));
      expect(normal(a!)).toBe(normal(b!));
      return a!;
    },
    atOnce: () => spy.mock.results.filter(({ value }) => value === true).length,
  };
  for (let round = 0; round < 3; round++) {
    for (const key of KEYS)
      for (const who of [ALICE, CAROL, null])
        for (const method of ['GET', 'HEAD']) await pair.both([pair.raw({ key, who, method })], { methods: [method] });
  }
  return pair;
}

/** Sends the pieces one behind the other, and collects what comes back. */
function exchange(port: number, pieces: readonly string[], { methods, end, first }: Sending): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    let text = '';
    const done = () => {
      socket.destroy();
      resolve(text);
    };
    socket.on('data', chunk => {
      text += chunk.toString('latin1');
      if (methods && answersIn(text, methods) === methods.length) done();
    });
    socket.on('end', done).on('error', reject);
    const [last = '', ...before] = [...pieces].reverse();
    const send = () => {
      if (first && before.length < pieces.length - 1 && answersIn(text, ['GET']) === 0) {
        socket.once('data', () => setImmediate(send));
        return;
      }
      const piece = before.pop();
      if (piece === undefined) {
        if (end) socket.end(last, 'latin1');
        else socket.write(last, 'latin1');
      } else socket.write(piece, 'latin1', () => setImmediate(send));
    };
    socket.once('connect', send);
  });
}

/** How many whole answers the text holds. */
function answersIn(text: string, methods: readonly string[]): number {
  let at = 0;
  for (const [i, method] of methods.entries()) {
    const end = text.indexOf('\r\n\r\n', at);
    if (end < 0) return i;
    const head = text.slice(at, end);
    const bodiless = method === 'HEAD' || /^HTTP\/1.1 (204|304)/.test(head);
    at = end + 4;
    if (bodiless) continue;
    if (/^transfer-encoding: chunked\r?$/im.test(head)) {
      const last = text.indexOf('\r\n0\r\n\r\n', at);
      if (last < 0) return i;
      at = last + 7;
    } else at += Number(/^content-length: (\d+)\r?$/im.exec(head)?.[1] ?? 0);
    if (text.length < at) return i;
  }
  return methods.length;
}

/** Without what differs from answer to answer by its nature. */
function normal(text: string): string {
  return (
    text
      .replace(/^(date|x-amz-request-id|x-amz-id-2): .*\r$/gim, '$1: …\r')
      // Of objects that were written meanwhile, once by each.
      .replace(/^(last-modified): (?!Thu, 01 Jan 2026).*\r$/gim, '$1: …\r')
      .replace(/<(RequestId|HostId|ServerTime)>[^<]*/g, '<$1>…')
  );
}

function portOf(core: Core): number {
  return Number(core.addresses.proxy.split(':').at(-1));
}

/** Without times and S3's ids. */
async function accessLog(pair: Pair, name: string): Promise<string[]> {
  const folder = join(pair.place.folder, name, 'access');
  const lines: string[] = [];
  for (const { name, parentPath } of await readdir(folder, { recursive: true, withFileTypes: true }).then(found =>
    found.filter(entry => entry.isFile()),
  ))
    lines.push(...(await readFile(join(parentPath, name), 'latin1')).trim().split('\n'));
  return lines.map(line =>
    line
      .replace(/\[[^\]]*\]/, '[…]')
      .replace(/^(- \S+ \S+ \S+ - )\S+/, '$1…')
      .replace(/ (\d+|-) (\d+|-) ("(?:[^"]|\\")*" "(?:[^"]|\\")*" \S+) \S+ /, ' … $3 … '),
  );
}

const signed = (changes: Ask = {}): Ask => ({ who: ALICE, key: 'k1', ...changes });

describe('through the fast lane and without it', () => {
  let pair: Pair;
  beforeEach(async () => {
    pair = await startPair();
  });

  it('the same is answered to plain reads, whole, in part, conditional, and to those who may not read', async () => {
    const { both, raw, place, atOnce } = pair;
    place.origin.principals.find(({ name }) => name === 'bob')!.deny = KEYS.map(key => ({ resource: `data/${key}` }));
    const ranges = [
      'bytes=0-0',
      'bytes=5-',
      'bytes=-7',
      'bytes=65530-65545',
      'bytes=0-999999',
      'bytes=999999-',
      'bytes=2-1',
    ];
    const odd = ['bytes=0-1,4-5', 'Bytes=0-1', 'bytes= 0-1', 'lines=1-2', 'bytes=-0'];
    const before = atOnce();
    let asked = 0;
    for (const key of [...KEYS, 'nothing']) {
      const asks: Ask[] = [
        {},
        { method: 'HEAD' },
        { who: null },
        { who: CAROL },
        { who: BOB },
        { expires: 60 },
        { expires: 60, at: Date.now() - 3_600_000 },
        { query: '?partNumber=1' },
        { query: '?x-id=GetObject' },
        { query: '?versionId=null' },
        { query: '?acl' },
        { headers: ['x-amz-checksum-mode', 'ENABLED'] },
        { headers: ['If-None-Match', '*'] },
        { headers: ['If-Match', '"no"'] },
        { headers: ['If-Modified-Since', 'Thu, 01 Jan 2026 00:00:00 GMT'] },
        { headers: ['Cache-Control', 'no-cache'] },
        { headers: ['Cache-Control', 'no-store'] },
        { headers: ['Origin', 'https://a.example'] },
        { headers: ['X-Twice', 'a', 'X-Twice', 'b'], unsigned: ['x-twice'] },
        ...[...ranges, ...odd].map(range => ({ range })),
        ...ranges.map(range => ({ range, method: 'HEAD' })),
        ...ranges.map(range => ({ headers: ['Range', range] })),
      ];
      for (const ask of asks) {
        const method = ask.method ?? 'GET';
        await both([raw(signed({ key, ...ask }))], { methods: [method] });
        asked++;
      }
    }
    expect(atOnce() - before).toBeGreaterThan(asked / 4);
    const counters = [pair.lane, pair.http].map(core => ({ ...core.status().counters, active_connections: 0 }));
    expect(counters[0]).toEqual(counters[1]);
    await Promise.all([pair.lane.stop(), pair.http.stop()]);
    const lines = await accessLog(pair, 'lane');
    expect(lines.length).toBe(counters[0]!.requests);
    expect(lines).toEqual(await accessLog(pair, 'http'));
  }, 60_000);

  it('the same is answered to other forms and to what is no request', async () => {
    const { both, raw, place } = pair;
    const host = place.origin.address;
    const plain = raw({ key: 'k1', who: null });
    const originForm = (text: string) => text.replace(`http://${host}`, '');
    const other = (from: string | RegExp, to: string) => (text: string) => text.replace(from, to);
    for (const change of [
      originForm,
      other('HTTP/1.1', 'HTTP/1.0'),
      other(/^Host:.*\r\n/m, ''),
      other(/^Host:.*\r\n/m, 'Host: other.example\r\n'),
      other(/^Host:.*\r\n/m, '$&$&'),
      other('http:', 'https:'),
      other('http:', 'HTTP:'),
      other('http://', 'http://user@'),
      other('/k1', '/k1#fragment'),
      other('/k1', '/k%31'),
      other('/k1', '/%'),
      other('/k1', '/a+b'),
      other('/k1', '/\xe9'),
      other('GET ', 'GET  '),
      other('GET', 'get'),
      other('GET', 'BREW'),
      other('\r\n', '\n'),
      other(/\r\n/g, '\n'),
      other('\r\n\r\n', '\r\n folded\r\n\r\n'),
      other('\r\n\r\n', '\r\nX: a\0b\r\n\r\n'),
      other('\r\n\r\n', '\r\nX : a\r\n\r\n'),
      other('\r\n\r\n', '\r\nX\r\n\r\n'),
      other('\r\n\r\n', `\r\nX: ${'x'.repeat(30_000)}\r\n\r\n`),
      other('\r\n\r\n', `\r\nX: ${'x'.repeat(70_000)}\r\n\r\n`),
      other('\r\n\r\n', '\r\nConnection: close\r\n\r\n'),
      other('\r\n\r\n', '\r\nConnection: x-other\r\nX-Other: 1\r\n\r\n'),
      other('\r\n\r\n', '\r\nProxy-Connection: Keep-Alive\r\nProxy-Authorization: Basic eDp5\r\n\r\n'),
      other('\r\n\r\n', '\r\nExpect: 100-continue\r\n\r\n'),
      other('\r\n\r\n', '\r\nExpect: 200-ok\r\n\r\n'),
      other('\r\n\r\n', '\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n'),
      other('\r\n\r\n', '\r\nContent-Length: 0\r\n\r\n'),
      other('\r\n\r\n', '\r\nContent-Length: 2\r\n\r\nab'),
      other('\r\n\r\n', '\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
      () => '\x16\x03\x01\x02\x00\x01\r\n\r\n',
      () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    ]) {
      // They end their side, so that also those end that are neither answered nor refused.
      await both([change(plain)], { end: true });
      await both([plain, change(plain)], { end: true, first: true });
    }
  }, 60_000);

  it('the same is answered wherever a request is cut', async () => {
    const { both, raw } = pair;
    const text = raw(signed({ key: 'k1', range: 'bytes=1-9' }));
    for (let at = 1; at < text.length; at += 3) await both([text.slice(0, at), text.slice(at)], { methods: ['GET'] });
  }, 60_000);

  it('the same is answered to clients that send many requests at once, and in pieces', async () => {
    const { both, raw, atOnce, place } = pair;
    const key = fc.constantFrom(...KEYS, 'nothing');
    const ask: fc.Arbitrary<Ask> = fc.record({
      key,
      who: fc.constantFrom(ALICE, CAROL, null),
      method: fc.constantFrom('GET', 'GET', 'GET', 'HEAD'),
      query: fc.constantFrom('', '', '', '?x-id=GetObject', '?acl'),
      headers: fc.constantFrom(
        [],
        [],
        ['Connection', 'keep-alive'],
        ['If-None-Match', '*'],
        ['Cache-Control', 'no-cache'],
      ),
    });
    const ranged = fc
      .tuple(ask, fc.constantFrom('bytes=0-99', 'bytes=-100', 'bytes=60000-70000', 'bytes=9-'))
      .map(([one, range]) => ({ ...one, range }));
    const upload: fc.Arbitrary<Ask> = fc.constant({ method: 'PUT', key: 'up', body: Buffer.from('uploaded') });
    const step = fc.oneof(
      { arbitrary: ask, weight: 6 },
      { arbitrary: ranged, weight: 3 },
      { arbitrary: upload, weight: 1 },
    );
    const before = atOnce();
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 12 }),
        fc.array(fc.nat(), { maxLength: 5 }),
        fc.boolean(),
        async (asks, cuts, end) => {
          const all = asks.map(one => raw({ ...one, unsigned: ['connection'] })).join('');
          const places = [...new Set(cuts.map(cut => cut % all.length))].sort((a, b) => a - b);
          const pieces = [0, ...places]
            .map((from, i) => all.slice(from, places[i] ?? all.length))
            .filter(text => text !== '');
          await both(pieces, end ? { end } : { methods: asks.map(one => one.method ?? 'GET') });
        },
      ),
      { numRuns: 150, seed: 15 },
    );
    expect(atOnce()).toBeGreaterThan(before + 100);
    expect(place.origin.requestsFor('up').length).toBeGreaterThan(0);
  }, 120_000);

  it('what a write or another answer of S3 has changed is seen by the next read, on the same connection', async () => {
    const { both, raw } = pair;
    const body = Buffer.from('new');
    const text = await both(
      [raw(signed()) + raw(signed({ method: 'PUT', body })) + raw(signed()) + raw(signed({ method: 'HEAD' }))],
      { methods: ['GET', 'PUT', 'GET', 'HEAD'] },
    );
    expect(text).toMatch(/\r\n\r\nnewHTTP\/1.1 200 OK\r\n.*Content-Length: 3\r\n/is);
  });
});
