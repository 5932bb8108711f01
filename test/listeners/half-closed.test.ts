import { afterEach, expect, test } from 'vitest';
import { rawOrigin } from '../upstream/helpers.ts';
import { type Harness, RawClient, startProxy } from './helpers.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** `nc -N`, `socat`, `echo … | nc`: they end their side of the connection when they have sent what they had. */
interface Side {
  readonly client: RawClient;
  readonly proxy: Harness;
  readonly host: string;
  readonly answers: ((text: string) => void)[];
}

async function start(): Promise<Side> {
  const answers: Side['answers'] = [];
  const origin = await rawOrigin(socket => {
    answers.push(text => socket.write(text, 'latin1'));
    socket.on('error', () => socket.destroy());
  });
  open.push(() => origin.close());
  const host = `127.0.0.1:${origin.port}`;
  const proxy = await startProxy({ origins: [host] });
  open.push(() => proxy.close());
  const client = new RawClient(proxy.port);
  open.push(() => client.destroy());
  return { client, proxy, host, answers };
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi';

test('a client that has ended its side after the request gets the whole answer, then the connection ends', async () => {
  const { client, proxy, host, answers } = await start();
  const ended = new Promise(resolve => proxy.proxy.server.once('connection', socket => socket.once('end', resolve)));
  client.socket.end(`GET http://${host}/k HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await ended;
  await expect.poll(() => answers.length).toBe(1);
  answers[0]!(OK);
  expect(await client.untilEnd()).toMatch(/^HTTP\/1.1 200 .*\r\n\r\nhi$/s);
  await expect.poll(() => proxy.activity).toEqual({ active_requests: 0, active_connections: 0 });
});

test('and so do all of several requests that it has sent at once', async () => {
  const { client, host, answers } = await start();
  const request = (path: string) => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
  client.socket.end(request('/1') + request('/2'));
  for (let i = 0; i < 2; i++) {
    await expect.poll(() => answers.length).toBe(i + 1);
    answers[i]!(OK);
  }
  const text = await client.untilEnd();
  expect(text.match(/hi/g)).toHaveLength(2);
});

test('one that ends its side in the middle of an upload has broken it off', async () => {
  const { client, proxy, host, answers } = await start();
  client.socket.end(`PUT /k HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 10\r\n\r\nhalf`);
  await client.untilEnd();
  expect(client.text).not.toContain('HTTP/1.1 200');
  expect(answers.length).toBeLessThanOrEqual(1);
  await expect.poll(() => proxy.activity.active_requests).toBe(0);
});

test('one that ends its side between requests is let go', async () => {
  const { client, proxy, host, answers } = await start();
  client.send(`GET /k HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await expect.poll(() => answers.length).toBe(1);
  answers[0]!(OK);
  await client.untilText('hi');
  client.socket.end();
  await client.untilEnd();
  await expect.poll(() => proxy.activity.active_connections).toBe(0);
});

test('one that turns out to be gone altogether is noticed while its answer is written', async () => {
  const { client, proxy, host, answers } = await start();
  client.send(`GET /k HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await expect.poll(() => answers.length).toBe(1);
  client.destroy();
  await expect.poll(() => client.closed).toBe(true);
  answers[0]!('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n');
  const more = setInterval(() => answers[0]!('x'.repeat(1000)), 5);
  open.push(() => clearInterval(more));
  await expect.poll(() => proxy.activity.active_requests, { timeout: 5000 }).toBe(0);
});
