import { once } from 'node:events';
import { createServer, get, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { type LoadPlan, runLoad } from '../../bench/load.ts';
import type { Ask } from '../../bench/objects.ts';
import { answer as askOrigin } from '../../bench/origin.ts';

const whole = (count: number): Ask[] => Array.from({ length: count }, (_, i) => ({ path: `/bench/100k/x${i}` }));

/** Where the load goes straight to a server instead of a proxy. */
async function planFor(listener: RequestListener): Promise<LoadPlan> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, host: 'bench', asks: whole(20), connections: 2 };
}

test('each ask is asked for once, and what came is counted and compared', async () => {
  const { port, ...before } = await askOrigin('state');
  // Enough that some bodies run over the end of the origin's block, and ranges besides.
  const asks: Ask[] = [...whole(200), { path: '/bench/64m/x', range: [4_194_000, 8_500_000] }];
  const result = await runLoad({ port, host: 'bench', asks, connections: 1, check: true });
  const bytes = 200 * 102_400 + 4_306_001;
  expect(result).toMatchObject({ requests: 201, bytes });
  const after = await askOrigin('state');
  expect(after).toEqual({ port, requests: before.requests + 201, bytes: before.bytes + bytes });
  expect(result.whole!.p99).toBeGreaterThanOrEqual(result.firstByte!.p50);
});

test('other bytes end the measurement: of another object, of another place of it, or of another length', async () => {
  const { port } = await askOrigin('state');
  /** Asks the origin for something else than the load has asked for. */
  const twisted = (path: (asked: string) => string, range?: string) =>
    planFor((req, res) => {
      const url = path(new URL(req.url!).pathname);
      get({ port, path: url, headers: range ? { range } : {} }, answer => {
        res.writeHead(200, { 'content-length': answer.headers['content-length'] });
        answer.pipe(res);
      });
    });
  const check = { asks: whole(1), connections: 1, check: true };
  const same = await twisted(path => path);
  expect(await runLoad({ ...same, ...check })).toMatchObject({ requests: 1, bytes: 102_400 });
  const other = await twisted(path => path.replace('x0', 'x1'));
  await expect(runLoad({ ...other, ...check })).rejects.toThrow('wrong bytes of /bench/100k/x0 somewhere from 0');
  const place = await twisted(path => path.replace('100k', '200k'), 'bytes=1-102400');
  await expect(runLoad({ ...place, ...check })).rejects.toThrow('wrong bytes of /bench/100k/x0');
  const short = await twisted(path => path, 'bytes=0-99');
  await expect(runLoad({ ...short, ...check })).rejects.toThrow(
    '100 bytes were promised of /bench/100k/x0, not 102400',
  );
});

test('a slow reader reads at its rate, of an object that nobody could hold in memory', async () => {
  const { port } = await askOrigin('state');
  const asks: Ask[] = [{ path: '/bench/100g/x' }];
  const result = await runLoad({
    port,
    host: 'bench',
    asks,
    connections: 2,
    seconds: 1,
    bytesPerSecond: 1e6,
    check: true,
  });
  expect(result).toMatchObject({ requests: 0, whole: undefined });
  expect(result.bytes).toBeGreaterThan(1e6);
  expect(result.bytes).toBeLessThan(2.5e6);
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
  await expect(runLoad(failing)).rejects.toThrow('was answered with: HTTP/1.1 503');
  const closing = await planFor((_, res) => {
    res.writeHead(200, { 'content-length': 10 });
    res.write('half', () => res.socket!.destroySoon());
  });
  await expect(runLoad(closing)).rejects.toThrow('the connection was closed before the end of /bench/100k/x');
  const talkative = await planFor((_, res) => void res.socket!.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab'));
  await expect(runLoad(talkative)).rejects.toThrow('more came of /bench/100k/x');
});
