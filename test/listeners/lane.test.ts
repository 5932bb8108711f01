import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import type { AnswerAtOnce, Exchange } from '../../proxy-core/listeners/index.ts';
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

const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: h.example\r\n${more}\r\n`;

/** Answers what begins with `/fast`, and says so. */
const fast: AnswerAtOnce = ({ target }, _client, wire) => {
  if (!target.startsWith('/fast')) return false;
  const body = `[fast ${target}]`;
  wire.send(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`, []);
  return true;
};

/** The normal way: says how the request was read. */
function handle({ res, req, target, framing }: Exchange): void {
  const respond = (body: string) => res.end(`[${byLane(req) ? 'lane' : 'http'} ${target}${body}]`);
  if (framing === 'none') respond('');
  else {
    let body = '';
    req.on('data', chunk => {
      body += chunk;
    });
    req.on('end', () => respond(` ${body}`));
  }
}

/** Node's own parser leaves itself on the sockets it reads. */
function byLane(req: Exchange['req']): boolean {
  return !(req.socket as { parser?: unknown }).parser;
}

const marks = (text: string) => text.match(/\[[^\]]*\]/g);

test('a connection keeps to the lane over requests that it declines, until one that it can not read', async () => {
  const proxy = await start({ handle, proxy: { answerAtOnce: fast } });
  const one = client(proxy);
  const put = 'PUT /up HTTP/1.1\r\nHost: h.example\r\nContent-Length: 4\r\n\r\nbody';
  const sent = ['/fast1', '/slow1', '/fast2', '/slow2', '/fast3'].map(path => get(path));
  for (const [i, text] of [...sent, put, get('/fast4')].entries()) {
    one.send(text);
    await one.until(({ text }) => marks(text)?.length === i + 1);
  }
  expect(marks(one.text)).toEqual([
    '[fast /fast1]',
    '[lane /slow1]',
    '[fast /fast2]',
    '[lane /slow2]',
    '[fast /fast3]',
    '[http /up body]',
    '[http /fast4]',
  ]);
  expect(proxy.activity).toEqual({ active_requests: 0, active_connections: 1 });
});

test('the same all at once, and cut anywhere', async () => {
  const proxy = await start({ handle, proxy: { answerAtOnce: fast } });
  const put = 'PUT /up HTTP/1.1\r\nHost: h.example\r\nContent-Length: 4\r\n\r\nbody';
  const sent = get('/fast1') + get('/slow1') + get('/fast2') + put + get('/slow2');
  const expected = ['[fast /fast1]', '[lane /slow1]', '[fast /fast2]', '[http /up body]', '[http /slow2]'];
  for (let at = 1; at <= sent.length; at++) {
    const one = client(proxy);
    one.socket.setNoDelay(true);
    const [socket] = await once(proxy.proxy.server, 'connection');
    one.send(sent.slice(0, at));
    await expect.poll(() => socket.bytesRead, { interval: 1 }).toBe(at);
    one.send(sent.slice(at));
    const text = await one.until(({ text }) => marks(text)?.length === expected.length);
    expect(marks(text)).toEqual(expected);
    one.destroy();
  }
}, 30_000);

test('a head that comes byte by byte is read by node:http in the end', async () => {
  const proxy = await start({ handle, proxy: { answerAtOnce: fast } });
  const one = client(proxy);
  one.socket.setNoDelay(true);
  const [socket] = await once(proxy.proxy.server, 'connection');
  for (const [i, byte] of [...get('/fast')].entries()) {
    one.send(byte);
    await expect.poll(() => socket.bytesRead, { interval: 1 }).toBe(i + 1);
  }
  expect(marks(await one.untilText(']'))).toEqual(['[http /fast]']);
});

test('a client that has ended its side gets the answers to all it sent, by the lane and behind it', async () => {
  const proxy = await start({ handle, proxy: { answerAtOnce: fast } });
  const put = 'PUT /up HTTP/1.1\r\nHost: h.example\r\nContent-Length: 4\r\n\r\nbody';
  for (const [sent, expected] of [
    [get('/fast'), ['[fast /fast]']],
    [get('/slow'), ['[lane /slow]']],
    [get('/slow') + get('/fast'), ['[lane /slow]', '[fast /fast]']],
    [get('/slow') + put, ['[lane /slow]', '[http /up body]']],
  ] as const) {
    const one = client(proxy);
    one.socket.end(sent);
    expect(marks(await one.untilEnd())).toEqual(expected);
  }
  await expect.poll(() => proxy.activity).toEqual({ active_requests: 0, active_connections: 0 });
});

test('a client that ends its side in the middle of a head, or of an upload behind a read, is told or let go', async () => {
  const proxy = await start({ handle, proxy: { answerAtOnce: fast } });
  const half = client(proxy);
  half.socket.end('GET /fast HTTP/1.1\r\nHost:');
  expect(await half.untilEnd()).toMatch(/^HTTP\/1.1 400 .*<Code>InvalidRequest/s);
  const upload = client(proxy);
  upload.socket.end(`${get('/slow')}PUT /up HTTP/1.1\r\nHost: h.example\r\nContent-Length: 40\r\n\r\nbody`);
  expect(marks(await upload.untilEnd())).toEqual(['[lane /slow]']);
  await expect.poll(() => proxy.activity).toEqual({ active_requests: 0, active_connections: 0 });
});

test('what its client does not read holds up the next request, and is given back once it is read or the client is gone', async () => {
  const body = Buffer.alloc(32 << 20, 'x');
  let taken = 0;
  let released = 0;
  const answerAtOnce: AnswerAtOnce = (_request, _client, wire) => {
    taken++;
    if (!wire.send(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`, [body])) wire.onSent(() => released++);
    return true;
  };
  const proxy = await start({ handle, proxy: { answerAtOnce } });
  const slow = client(proxy);
  slow.socket.pause();
  const gone = client(proxy);
  gone.socket.pause();
  for (const one of [slow, gone]) one.send(get('/1') + get('/2'));
  await expect.poll(() => taken).toBe(2);
  expect(proxy.activity.active_requests).toBe(2);
  gone.socket.resetAndDestroy();
  await expect.poll(() => released).toBe(1);
  expect(taken).toBe(2);
  slow.socket.resume();
  await slow.until(({ text }) => text.length > 2 * body.length);
  await expect.poll(() => released).toBe(3);
  expect(taken).toBe(3);
  expect(proxy.activity).toEqual({ active_requests: 0, active_connections: 1 });
}, 20_000);

test('a client that stops reading is dropped', async () => {
  const body = Buffer.alloc(32 << 20, 'x');
  let released = 0;
  const answerAtOnce: AnswerAtOnce = (_request, _client, wire) => {
    if (!wire.send(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`, [body])) wire.onSent(() => released++);
    return true;
  };
  const proxy = await start({ handle, proxy: { answerAtOnce, idleTimeout: 100 } });
  const deaf = client(proxy).send(get('/'));
  deaf.socket.pause();
  await expect.poll(() => released).toBe(1);
  await expect.poll(() => proxy.activity).toEqual({ active_requests: 0, active_connections: 0 });
});

test('requests above the limits take the normal way, which refuses them', async () => {
  const proxy = await start({ handle: () => {}, proxy: { answerAtOnce: fast, maxRequests: 1, maxConnections: 2 } });
  client(proxy).send(get('/slow'));
  await expect.poll(() => proxy.activity.active_requests).toBe(1);
  const one = client(proxy).send(get('/fast'));
  expect(await one.untilText('</Error>')).toMatch(/^HTTP\/1.1 503 .*<Code>SlowDown/s);
  expect(await client(proxy).send(get('/fast')).untilEnd()).toMatch(/^HTTP\/1.1 503 .*connection: close.*SlowDown/is);
});

test('a head that does not come in time gets 408, also behind an answer; a silent connection just ends', async () => {
  const proxy = await start({ handle, proxy: { answerAtOnce: fast, headerTimeout: 100 } });
  const behind = client(proxy).send(`${get('/fast')}GET /half`);
  expect(await behind.untilEnd()).toMatch(/^HTTP\/1.1 200 .*\[fast \/fast\]HTTP\/1.1 408 .*<Code>RequestTimeout/s);
  expect(await client(proxy).untilEnd()).toBe('');
});

test('one that fails is tried on the normal way; where it has begun the connection is cut', async () => {
  const answerAtOnce: AnswerAtOnce = ({ target }, _client, wire) => {
    if (target === '/begun') wire.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc', []);
    throw new Error('in the lane');
  };
  const proxy = await start({ handle, proxy: { answerAtOnce } });
  const one = client(proxy).send(get('/slow'));
  expect(marks(await one.untilText(']'))).toEqual(['[lane /slow]']);
  expect(await one.send(get('/begun')).untilEnd()).toMatch(/abc$/);
});

test('an answer of the lane says nothing of a connection that is about to stop', async () => {
  const proxy = await start({ handle, proxy: { answerAtOnce: fast } });
  const one = client(proxy).send(get('/fast'));
  await one.untilText(']');
  const closed = proxy.proxy.close(10_000);
  await one.untilEnd();
  await closed;
  expect(proxy.activity).toEqual({ active_requests: 0, active_connections: 0 });
});

test('back-pressure reaches an answer that takes the normal way', async () => {
  const chunk = Buffer.alloc(256 << 10, 'x');
  let drained = 0;
  const proxy = await start({
    handle: ({ res }) => {
      let left = 8;
      const more = () => {
        while (left-- > 0) {
          if (res.write(chunk)) continue;
          res.once('drain', () => {
            drained++;
            more();
          });
          return;
        }
        res.end('[done]');
      };
      more();
    },
  });
  const one = client(proxy).send(get('/'));
  expect((await one.untilText('[done]')).length).toBeGreaterThan(8 * chunk.length);
  expect(drained).toBe(8);
});
