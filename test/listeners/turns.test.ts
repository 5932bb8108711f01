import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { Lane } from '../../proxy-core/listeners/lane.ts';
import { Turns } from '../../proxy-core/listeners/turns.ts';
import { RawClient, startProxy } from './helpers.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** Resolves when the loop has looked for what has come. */
const turn = () => new Promise(setImmediate);

describe('a burst', () => {
  it('is taken up in order, a few in each turn of the loop, the first at once', async () => {
    const turns = new Turns();
    const taken: number[] = [];
    for (let i = 0; i < 20; i++) turns.take(() => taken.push(i));
    expect(taken).toHaveLength(8);
    await turn();
    expect(taken).toHaveLength(16);
    turns.take(() => taken.push(20));
    await turn();
    expect(taken).toEqual(Array.from({ length: 21 }, (_, i) => i));
  });

  it('that is over leaves the next one its first turn', async () => {
    const turns = new Turns();
    let taken = 0;
    for (let burst = 1; burst <= 3; burst++) {
      for (let i = 0; i < 8; i++) turns.take(() => taken++);
      expect(taken).toBe(burst * 8);
      await turn();
    }
  });

  it('of connections for node:http is answered to the last one, those that leave meanwhile apart', async () => {
    const proxy = await startProxy({ handle: ({ res, target }) => void res.end(`[${target}]`) });
    open.push(() => proxy.close());
    const clients = Array.from({ length: 200 }, (_, i) => {
      const client = new RawClient(proxy.port);
      open.push(() => client.destroy());
      // An HTTP/1.0 request is none for the lane.
      client.send(`GET /${i} HTTP/1.0\r\nHost: h.example\r\n\r\n`);
      if (i % 3 === 0) client.socket.once('connect', () => client.socket.resetAndDestroy());
      return client;
    });
    await Promise.all(clients.map((client, i) => i % 3 && client.until(({ text }) => text.includes(`[/${i}]`))));
    await expect.poll(() => proxy.activity).toEqual({ active_requests: 0, active_connections: 0 });
  });
});

describe('a connection that waits for its turn', () => {
  /** One whose first bytes are none for the lane, and a way to give it its turn. */
  async function waiting(first: string) {
    const server = createServer({ allowHalfOpen: true });
    server.listen(0, '127.0.0.1');
    open.push(() => server.close());
    await once(server, 'listening');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    open.push(() => client.destroy());
    const [socket] = (await once(server, 'connection')) as [Socket];
    let text = '';
    let takenOver = 0;
    const turn = new Promise<() => void>(resolve => {
      const host = {
        inTurn: resolve,
        answerAtOnce: () => false,
        take: () => {},
        refuse: () => {},
        onUnsent: () => {},
        takeOver: () => {
          takenOver++;
          socket.on('data', chunk => {
            text += chunk;
          });
        },
      };
      new Lane(socket, host, 0);
    });
    client.write(first);
    return { client, socket, take: await turn, seen: () => ({ text, takenOver }) };
  }

  it('loses nothing of what comes meanwhile', async () => {
    const { client, socket, take, seen } = await waiting('PUT /up HTTP/1.1\r\n');
    client.write('Host: h.example\r\n');
    await wait(30);
    client.end('\r\n');
    await wait(30);
    expect(seen()).toEqual({ text: '', takenOver: 0 });
    take();
    await once(socket, 'end');
    expect(seen()).toEqual({ text: 'PUT /up HTTP/1.1\r\nHost: h.example\r\n\r\n', takenOver: 1 });
  });

  it('and is cut meanwhile is not handed on', async () => {
    const { client, socket, take, seen } = await waiting('PUT /up HTTP/1.1\r\n');
    client.resetAndDestroy();
    socket.resume();
    await new Promise(resolve => socket.once('close', resolve));
    take();
    expect(seen()).toEqual({ text: '', takenOver: 0 });
  });
});
