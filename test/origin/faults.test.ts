import { once } from 'node:events';
import { get as httpsGet } from 'node:https';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { exchangeRaw, requestText } from './exchange.ts';
import { ALICE, generatedBody, signHeaders, startOrigin, type TestOrigin } from './index.ts';

let origin: TestOrigin;
beforeEach(async () => {
  origin = await startOrigin();
  origin.put('data', 'k', generatedBody(1_000_000, 7));
  origin.put('data', 'other', 'untouched');
});
afterEach(() => origin.stop());

const read = (key: string, method = 'GET') => {
  const target = `/data/${key}`;
  return exchangeRaw(
    origin.port,
    requestText(method, target, signHeaders(ALICE, { method, host: origin.address, target })),
  );
};

describe('a scripted origin', () => {
  it.each([
    ['cutAfter', 'closed'],
    ['resetAfter', 'reset'],
  ] as const)('%s ends the connection at that byte, once', async (kind, end) => {
    origin.faults.on({ key: 'k', times: 1 }, { [kind]: 123_457 });
    const cut = await read('k');
    expect(cut).toMatchObject({ status: 200, end });
    expect(cut.head).toContain('Content-Length: 1000000');
    if (kind === 'cutAfter') expect(cut.body.length).toBe(123_457);
    expect((await read('other')).body.toString()).toBe('untouched');
    expect((await read('k')).body.length).toBe(1_000_000);
    await origin.waitFor(record => record.key === 'k' && record.state === 'done');
    expect(origin.requestsFor('k').map(record => record.state)).toEqual(['aborted', 'done']);
  });

  it('stalls at a byte until it is released', async () => {
    const stall = origin.faults.on({ key: 'k' }, { stallAfter: 300_000 });
    const reading = read('k');
    await stall.struck;
    expect(origin.requestsFor('k')[0]).toMatchObject({ status: 200, bytesSent: 300_000, state: 'running' });
    stall.release();
    expect((await reading).body.length).toBe(1_000_000);
  });

  it('holds the headers back until a promise resolves', async () => {
    let open: () => void = () => undefined;
    const gate = new Promise<void>(resolve => {
      open = resolve;
    });
    const held = origin.faults.on({ key: 'k' }, { beforeHeaders: gate });
    const reading = read('k');
    await held.struck;
    expect(origin.requestsFor('k')[0]!.status).toBe(0);
    open();
    expect((await reading).status).toBe(200);
  });

  it('answers a status of its own, drops without an answer, and rewrites', async () => {
    origin.faults.on({ key: 'k', method: 'GET', times: 2 }, { status: 503 });
    expect((await read('k')).body.toString()).toContain('<Code>SlowDown</Code>');
    expect((await read('k', 'HEAD')).status).toBe(200);
    origin.faults.clear();
    origin.faults.on({ key: 'k' }, { drop: true });
    expect(await read('k')).toMatchObject({ status: 0, head: '' });
    origin.faults.clear();
    origin.faults.on({ key: 'k' }, { rewrite: reply => ({ ...reply, headers: [...reply.headers, 'X-Extra', '1'] }) });
    expect((await read('k')).head).toContain('X-Extra: 1');
  });

  it('finishes the version it began when the object is overwritten in the middle of it', async () => {
    origin.faults.on({ key: 'k', times: 1 }, { at: { bytes: 500_000, run: () => origin.put('data', 'k', 'second') } });
    const first = await read('k');
    expect(first.body.equals(generatedBody(1_000_000, 7).read(0, 1_000_000))).toBe(true);
    expect((await read('k')).body.toString()).toBe('second');
  });

  it('throttles', async () => {
    origin.faults.on({ key: 'k' }, { throttle: 2_000_000 });
    const started = performance.now();
    expect((await read('k')).body.length).toBe(1_000_000);
    expect(performance.now() - started).toBeGreaterThan(400);
  });

  it('counts only what it sends: a client that leaves, a HEAD, a 304', async () => {
    const { etag } = origin.object('data', 'k')!;
    await read('k', 'HEAD');
    const target = '/data/k';
    const conditional = signHeaders(ALICE, {
      method: 'GET',
      host: origin.address,
      target,
      headers: ['If-None-Match', etag],
    });
    const answer = await exchangeRaw(origin.port, requestText('GET', target, conditional));
    expect(answer.status).toBe(304);
    expect(answer.head).toMatch(/\r\nETag: .*/);
    expect(answer.head).toMatch(/\r\nLast-Modified: .*/);
    expect([origin.bodiesServed('k'), origin.bytesServed('k')]).toEqual([0, 0]);
    origin.reset();
    origin.put('data', 'huge', generatedBody(100 * 2 ** 30));
    const huge = signHeaders(ALICE, { method: 'GET', host: origin.address, target: '/data/huge' });
    const socket = connect(origin.port, '127.0.0.1');
    socket.write(requestText('GET', '/data/huge', huge));
    await once(socket, 'data');
    socket.destroy();
    const record = await origin.waitFor(r => r.key === 'huge' && r.state === 'aborted');
    expect(record.bytesSent).toBeLessThan(50_000_000);
  });
});

describe('generated content', () => {
  it('is the same bytes in whatever stretches it is read', () => {
    const body = generatedBody(1000, 3);
    const whole = body.read(0, 1000);
    for (const [start, end] of [
      [0, 1],
      [1, 9],
      [7, 8],
      [13, 999],
      [999, 1000],
      [5, 5],
    ] as const) {
      expect(body.read(start, end).equals(whole.subarray(start, end))).toBe(true);
    }
    const far = generatedBody(100 * 2 ** 30);
    expect(far.read(99 * 2 ** 30, 99 * 2 ** 30 + 64).equals(far.read(2 ** 30, 2 ** 30 + 64))).toBe(false);
  });
});

describe('an origin behind TLS', () => {
  it('shows a certificate that its own authority vouches for', async () => {
    const secure = await startOrigin({ tls: ['bucket.s3.cistern.test', '127.0.0.1'] });
    try {
      const [answer] = await once(httpsGet(secure.url, { ca: secure.certificate!.ca, agent: false }), 'response');
      expect(answer.statusCode).toBe(403);
      answer.resume();
      const [error] = await once(
        httpsGet(secure.url, { ca: secure.certificate!.ca, agent: false, servername: 'elsewhere.test' }),
        'error',
      );
      expect(error.code).toBe('ERR_TLS_CERT_ALTNAME_INVALID');
    } finally {
      await secure.stop();
    }
  });
});
