import { afterEach, expect, test } from 'vitest';
import { CisternError } from '../../proxy-core/errors.ts';
import type { Exchange } from '../../proxy-core/listeners/index.ts';
import { RawClient, startProxy } from './helpers.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const REQUESTS = 100;

async function start(handle: (exchange: Exchange) => void): Promise<RawClient> {
  const proxy = await startProxy({ handle });
  open.push(() => proxy.close());
  const client = new RawClient(proxy.port);
  open.push(() => client.destroy());
  return client;
}

function get(path: string, more = ''): string {
  return `GET ${path} HTTP/1.1\r\nHost: h.example\r\n${more}\r\n`;
}

test('many requests behind a slow one wait in their order, without adding to what the slow one carries', async () => {
  const taken: Exchange[] = [];
  const client = await start(exchange => void taken.push(exchange));
  const sent = Array.from({ length: REQUESTS }, (_, i) => get(`/${i}`)).join('');
  client.send(sent);
  await expect.poll(() => taken[0]?.req.socket.bytesRead).toBe(sent.length);
  const listeners = taken[0]!.res.listenerCount('close');
  expect(listeners).toBeLessThan(5);
  for (let i = 0; i < REQUESTS; i++) {
    await expect.poll(() => taken.length).toBe(i + 1);
    expect(taken[i]!.res.listenerCount('close')).toBe(listeners);
    taken[i]!.res.end(`[${taken[i]!.target}]`);
  }
  const text = await client.untilText(`[/${REQUESTS - 1}]`);
  expect(text.match(/\[\/\d+\]/g)).toEqual(Array.from({ length: REQUESTS }, (_, i) => `[/${i}]`));
});

test('what comes behind a head that can be read in two ways is not taken for a request', async () => {
  const taken: Exchange[] = [];
  const client = await start(exchange => void taken.push(exchange));
  client.send(get('/1') + get('/2', 'Host: other.example\r\n') + get('/3'));
  await expect.poll(() => taken.length).toBe(1);
  taken[0]!.res.end('one');
  const text = await client.untilEnd();
  expect(text).toMatch(/^HTTP\/1.1 200 .*one.*HTTP\/1.1 400 /s);
  expect(taken.map(({ target }) => target)).toEqual(['/1']);
});

test('what comes behind an answer that ended the connection is not acted upon', async () => {
  const taken: Exchange[] = [];
  const client = await start(exchange => {
    taken.push(exchange);
    throw new CisternError('SlowDown');
  });
  client.send('PUT /1 HTTP/1.1\r\nHost: h.example\r\nContent-Length: 2\r\n\r\nx');
  expect(await client.untilText('</Error>')).toMatch(/^HTTP\/1.1 503 .*Connection: close/s);
  const { socket } = taken[0]!.req;
  const sent = `x${get('/2')}`;
  const before = socket.bytesRead;
  client.send(sent);
  await expect.poll(() => socket.bytesRead - before).toBe(sent.length);
  client.socket.end();
  await client.until(({ closed }) => closed);
  expect(taken.map(({ target }) => target)).toEqual(['/1']);
});

test('requests whose client leaves before their turn are never taken', async () => {
  const taken: Exchange[] = [];
  const client = await start(exchange => void taken.push(exchange));
  client.send(get('/1') + get('/2'));
  await expect.poll(() => taken.length).toBe(1);
  const closed = new Promise(resolve => taken[0]!.res.once('close', resolve));
  client.socket.resetAndDestroy();
  await closed;
  await new Promise(resolve => setImmediate(resolve));
  expect(taken).toHaveLength(1);
});

/** Many more than may wait. */
const FLOOD = Array.from({ length: 200 }, () => Array.from({ length: 1000 }, (_, i) => get(`/${i}`)).join(''));

async function flooded(first: string) {
  const taken: Exchange[] = [];
  const state = { answers: false };
  const client = await start(exchange => {
    exchange.req.resume();
    taken.push(exchange);
    if (state.answers) exchange.res.end();
  });
  client.send(first + get('/slow'));
  await expect.poll(() => taken.length).toBe(1);
  for (const many of FLOOD) client.send(many);
  const { socket } = taken[0]!.req;
  let read = -1;
  const stands = () => {
    const before = read;
    read = socket.bytesRead;
    return read === before;
  };
  await expect.poll(stands, { interval: 200, timeout: 10_000 }).toBe(true);
  const answer = () => {
    state.answers = true;
    for (const { res } of [...taken]) res.end();
  };
  return { client, taken, read, answer };
}

const SENT = Array.from({ length: 3000 }, (_, i) => `/${i % 1000}`);

test('a client that sends without end while it waits for an answer is not read any further', async () => {
  const { taken, read, answer } = await flooded('');
  expect(read).toBeLessThan(1 << 20);
  answer();
  await expect.poll(() => taken.length, { timeout: 10_000 }).toBeGreaterThan(3000);
  expect(taken.slice(0, 3000).map(({ target }) => target)).toEqual(['/slow', ...SENT].slice(0, 3000));
});

test('on a connection that carried an upload it is answered what may wait, and told to slow down', async () => {
  const put = 'PUT /first HTTP/1.1\r\nHost: h.example\r\nContent-Length: 1\r\n\r\nx';
  const { client, taken, read, answer } = await flooded(put);
  expect(read).toBeLessThan(1 << 20);
  answer();
  const text = await client.untilEnd();
  expect(taken.map(({ target }) => target)).toEqual(['/first', '/slow', ...SENT.slice(0, 999)]);
  expect(text.match(/HTTP\/1.1 200/g)).toHaveLength(1001);
  expect(text).toMatch(/HTTP\/1.1 503 .*<Code>SlowDown<\/Code>/s);
});
