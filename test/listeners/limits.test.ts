import { afterEach, expect, test } from 'vitest';
import type { Exchange } from '../../proxy-core/listeners/index.ts';
import { rawOrigin } from '../upstream/helpers.ts';
import { type Harness, type HarnessOptions, RawClient, startProxy } from './helpers.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function start(options: HarnessOptions): Promise<Harness> {
  const proxy = await startProxy(options);
  open.push(() => proxy.close());
  return proxy;
}

function client(proxy: Harness): RawClient {
  const made = new RawClient(proxy.port);
  open.push(() => made.destroy());
  return made;
}

/** A handler that keeps each request until the test answers it. */
function keeper(): { handle: (exchange: Exchange) => void; next: () => Promise<Exchange> } {
  const taken: Exchange[] = [];
  const waiting: ((exchange: Exchange) => void)[] = [];
  return {
    handle: exchange => {
      const waits = waiting.shift();
      if (waits) waits(exchange);
      else taken.push(exchange);
    },
    next: () => {
      const first = taken.shift();
      return first ? Promise.resolve(first) : new Promise(resolve => waiting.push(resolve));
    },
  };
}

const GET = 'GET /k HTTP/1.1\r\nHost: h.example\r\n\r\n';
const PUT = 'PUT /k HTTP/1.1\r\nHost: h.example\r\nContent-Length: 100000\r\n\r\nabc';

test('requests above the limit get 503 SlowDown with Retry-After, and room again when one is done', async () => {
  const { handle, next } = keeper();
  const proxy = await start({ handle, proxy: { maxRequests: 1 } });
  const first = client(proxy).send(GET);
  const kept = await next();
  const second = client(proxy).send(GET);
  const text = await second.untilText('</Error>');
  expect(text).toMatch(/^HTTP\/1.1 503 .*Retry-After: 1\r\n.*<Code>SlowDown/s);
  kept.res.end('one');
  await first.untilText('one');
  second.send(GET);
  (await next()).res.end('two');
  await second.untilText('two');
});

test('a connection above the limit gets 503 for its first request', async () => {
  const { handle, next } = keeper();
  const proxy = await start({ handle, proxy: { maxConnections: 1 } });
  const first = client(proxy).send(GET);
  const kept = await next();
  expect(await client(proxy).send(GET).untilEnd()).toMatch(/^HTTP\/1.1 503 .*connection: close.*<Code>SlowDown/is);
  kept.res.end('one');
  await first.untilText('one');
});

test('a head that does not come in time gets 408', async () => {
  const proxy = await start({ handle: () => {}, proxy: { headerTimeout: 100 } });
  expect(await client(proxy).send('GET /k HTTP/1.1\r\nHost:').untilEnd()).toMatch(
    /^HTTP\/1.1 408 .*<Code>RequestTimeout/s,
  );
});

test('a connection that is silent between requests is closed', async () => {
  const proxy = await start({ handle: ({ res }) => void res.end('ok'), proxy: { idleTimeout: 100 } });
  const idle = client(proxy).send(GET);
  await idle.untilText('ok');
  await idle.until(({ closed, ended }) => closed || ended);
});

test('a client that stops sending its body is dropped', async () => {
  const { handle, next } = keeper();
  const proxy = await start({ handle, proxy: { idleTimeout: 100 } });
  const slow = client(proxy).send(PUT);
  const { req } = await next();
  const aborted = new Promise(resolve => req.once('close', resolve));
  req.on('error', () => {}).resume();
  await aborted;
  expect(req.complete).toBe(false);
  await slow.until(({ closed, ended }) => closed || ended);
});

test('a body slower than the least rate is dropped, though it never pauses for long', async () => {
  const { handle, next } = keeper();
  const proxy = await start({ handle, proxy: { idleTimeout: 200, minBodyRate: 1_000_000 } });
  const slow = client(proxy).send(PUT);
  const { req } = await next();
  req.on('error', () => {}).resume();
  const drip = setInterval(() => slow.send('x'), 20);
  await slow.until(({ closed, ended }) => closed || ended);
  clearInterval(drip);
});

test('a client that stops reading its answer is dropped', async () => {
  const { handle, next } = keeper();
  const proxy = await start({ handle, proxy: { idleTimeout: 100 } });
  const deaf = client(proxy).send(GET);
  deaf.socket.pause();
  const { res } = await next();
  const closed = new Promise(resolve => res.once('close', resolve));
  res.write(Buffer.alloc(64 << 20));
  await closed;
  expect(res.writableFinished).toBe(false);
});

test('a client that waits for the upstream is not dropped', async () => {
  const { handle, next } = keeper();
  const proxy = await start({ handle, proxy: { idleTimeout: 100 } });
  const patient = client(proxy).send(GET);
  const { res } = await next();
  await new Promise(resolve => setTimeout(resolve, 500));
  res.end('late');
  await patient.untilText('late');
});

test('stopping lets a running transfer finish and closes idle connections', async () => {
  const { handle, next } = keeper();
  const proxy = await start({ handle });
  const busy = client(proxy).send(GET);
  const { res } = await next();
  const idle = client(proxy).send(GET);
  (await next()).res.end('idle');
  await idle.untilText('idle');
  const stopped = proxy.proxy.close(10_000);
  await idle.untilEnd();
  res.end('done');
  expect(await busy.untilEnd()).toMatch(/connection: close.*done$/is);
  await stopped;
  expect(proxy.activity).toEqual({ active_requests: 0, active_connections: 0 });
});

test('stopping cuts what is still running after the grace', async () => {
  const { handle, next } = keeper();
  const proxy = await start({ handle });
  const busy = client(proxy).send(GET);
  await next();
  await proxy.proxy.close(50);
  expect(await busy.untilEnd()).toBe('');
});

test('a handler that throws or rejects answers 500 and the connection goes on', async () => {
  let calls = 0;
  const proxy = await start({
    handle: () => {
      if (calls++ === 0) throw new Error('sync');
      return Promise.reject(new Error('async'));
    },
  });
  const one = client(proxy).send(GET);
  expect(await one.untilText('</Error>')).toMatch(/^HTTP\/1.1 500 .*InternalError/s);
  one.send(GET);
  await one.until(({ text }) => text.split('</Error>').length === 3);
});

test('a busy port is told by its error', async () => {
  const proxy = await start({ handle: () => {} });
  await expect(startProxy({ proxy: { port: proxy.port } })).rejects.toMatchObject({ code: 'EADDRINUSE' });
});

test('a request to the proxy itself is refused as a loop', async () => {
  const proxy = await start({});
  const text = await client(proxy)
    .send(`GET / HTTP/1.1\r\nHost: 127.0.0.1:${proxy.port}\r\n\r\n`)
    .untilText('</Error>');
  expect(text).toMatch(/^HTTP\/1.1 508 .*LoopDetected/s);
});

test('an upstream that stalls in its answer is cut; one that never answers is 504', async () => {
  const origin = await rawOrigin((socket, head) => {
    if (head.startsWith('GET /half')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc');
  });
  open.push(() => origin.close());
  const host = `127.0.0.1:${origin.port}`;
  const proxy = await start({ origins: [host], upstream: { firstByteTimeout: 100, idleTimeout: 100 } });
  const half = client(proxy).send(`GET /half HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  expect(await half.untilEnd()).toMatch(/abc$/);
  for (const request of ['GET /none HTTP/1.1\r\n', 'PUT /none HTTP/1.1\r\nContent-Length: 0\r\n']) {
    const none = client(proxy).send(`${request}Host: ${host}\r\n\r\n`);
    expect(await none.untilText('</Error>')).toMatch(/^HTTP\/1.1 504 .*UpstreamTimeout/s);
  }
});
