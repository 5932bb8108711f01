import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { ACCEPTING, type Exchange } from '../../proxy-core/listeners/index.ts';
import { type Harness, type HarnessOptions, RawClient, startProxy } from './helpers.ts';

// Connections that another one accepts and hands on, as the primary does to its workers (main/command/workers).

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const GET = 'GET /k HTTP/1.1\r\nHost: h.example\r\n\r\n';

interface Handed {
  readonly proxy: Harness;
  client(): RawClient;
}

async function start(options: HarnessOptions): Promise<Handed> {
  let take: ((socket: Socket) => void) | undefined;
  const listener = createServer(ACCEPTING, socket => take?.(socket)).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  open.push(() => listener.close());
  const address = listener.address() as AddressInfo;
  const inlet = {
    address,
    open: (taker: (socket: Socket) => void) => {
      take = taker;
    },
    close: () => {
      take = undefined;
    },
  };
  const proxy = await startProxy({ ...options, proxy: { ...options.proxy, inlet, port: -1 } });
  open.push(() => proxy.close());
  expect(proxy.port).toBe(address.port);
  return {
    proxy,
    client: () => {
      const made = new RawClient(address.port);
      open.push(() => made.destroy());
      return made;
    },
  };
}

function kept(): { readonly handle: (exchange: Exchange) => void; readonly taken: Exchange[] } {
  const taken: Exchange[] = [];
  return { taken, handle: exchange => void taken.push(exchange) };
}

test('a request on a connection that was handed on is answered, also to a client that has ended its side', async () => {
  const { handle, taken } = kept();
  const { client } = await start({ handle });
  const one = client();
  one.socket.end(GET);
  await expect.poll(() => taken.length).toBe(1);
  taken[0]!.res.end('hello');
  expect(await one.untilEnd()).toMatch(/^HTTP\/1.1 200 .*hello/s);
});

test.each([
  ['the fast lane', () => false],
  ['Node', undefined],
])('a head that does not come in time gets 408 there, too, where %s reads it', async (_, answerAtOnce) => {
  const { client } = await start({ handle: () => {}, proxy: { headerTimeout: 100, answerAtOnce } });
  expect(await client().send('GET /k HTTP/1.1\r\nHost:').untilEnd()).toMatch(/^HTTP\/1.1 408 /);
});

test('a stop waits for what runs there, ends what is idle, and cuts the rest after the grace', async () => {
  const { handle, taken } = kept();
  const { proxy, client } = await start({ handle });
  const [idle, finishing, hanging] = [client(), client().send(GET), client().send(GET)];
  await expect.poll(() => taken.length).toBe(2);
  await expect.poll(() => proxy.activity.active_connections).toBe(3);
  const stopped = proxy.proxy.close(300);
  await idle.untilEnd();
  expect(finishing.closed).toBe(false);
  taken[0]!.res.end('done');
  expect(await finishing.untilEnd()).toContain('done');
  expect(hanging.closed).toBe(false);
  await stopped;
  expect(proxy.activity.active_connections).toBe(0);
  await hanging.untilEnd();
});
