import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { type LoadPlan, runLoad } from '../../bench/load.ts';
import { type Ask, hashOf } from '../../bench/objects.ts';
import { answer as askOrigin } from '../../bench/origin.ts';

const whole = (count: number): Ask[] => Array.from({ length: count }, (_, i) => ({ path: `/bench/100k/x${i}` }));

/** Where the load goes straight to a server instead of a proxy. */
async function planFor(listener: RequestListener): Promise<LoadPlan> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, host: 'bench', asks: whole(20), connections: 2 };
}

test('each ask is asked for once, and what came is counted and hashed', async () => {
  const port = await askOrigin('port');
  const before = await askOrigin('requests');
  // Enough that some bodies run over the end of the origin's block, and ranges besides.
  const asks: Ask[] = [...whole(200), { path: '/bench/64m/x', range: [4_194_000, 8_500_000] }];
  const result = await runLoad({ port, host: 'bench', asks, connections: 1, hash: true });
  expect(result).toMatchObject({ requests: 201, bytes: 200 * 102_400 + 4_306_001, sha1: hashOf(asks) });
  expect((await askOrigin('requests')) - before).toBe(201);
  expect(result.whole.p99).toBeGreaterThanOrEqual(result.firstByte.p50);
});

test('the hash is another one for other bytes: another object, another place of the same object', () => {
  const hashes = [0, 2 ** 22, 2 ** 23].map(first => hashOf([{ path: '/bench/64m/x', range: [first, first + 999] }]));
  hashes.push(hashOf([{ path: '/bench/64m/y', range: [0, 999] }]));
  expect(new Set(hashes).size).toBe(4);
});

test('the asks are gone round until the time is over', async () => {
  const paths: string[] = [];
  const plan = await planFor((req, res) => {
    paths.push(req.url!);
    res.end('x');
  });
  const result = await runLoad({ ...plan, asks: whole(3), seconds: 0.2 });
  expect(result.requests).toBeGreaterThan(3);
  expect(result.seconds).toBeGreaterThanOrEqual(0.19);
  expect(new Set(paths)).toEqual(new Set(whole(3).map(({ path }) => `http://bench${path}`)));
});

test('an answer in many pieces, its head too, is one answer', async () => {
  const plan = await planFor((_, res) => {
    const socket = res.socket!;
    const bytes = [...'HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc'];
    const next = () => {
      const byte = bytes.shift();
      if (byte !== undefined) socket.write(byte, () => setImmediate(next));
      else res.detachSocket(socket);
    };
    next();
  });
  const result = await runLoad({ ...plan, asks: whole(1), connections: 1 });
  expect(result).toMatchObject({ requests: 1, bytes: 3 });
});

test('an error status, a connection closed early and a body that is too long end the measurement', async () => {
  const failing = await planFor((_, res) => void res.writeHead(503, { 'content-length': 0 }).end());
  await expect(runLoad(failing)).rejects.toThrow('the proxy answered: HTTP/1.1 503');
  const closing = await planFor((_, res) => {
    res.writeHead(200, { 'content-length': 10 });
    res.write('half', () => res.socket!.destroySoon());
  });
  await expect(runLoad(closing)).rejects.toThrow('closed a connection');
  const talkative = await planFor((_, res) => void res.socket!.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab'));
  await expect(runLoad(talkative)).rejects.toThrow('more than it had promised');
});
