import { afterEach, expect, test } from 'vitest';
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
