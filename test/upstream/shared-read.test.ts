import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { get, plainTo, rawOrigin } from './helpers.ts';

const sha = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

/** Bytes that differ at every place, so that one taken from a buffer that was used again would show. */
function bytesFrom(seed: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0, s = seed | 1; i + 4 <= length; i += 4) {
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    bytes.writeInt32LE(s, i);
  }
  return bytes;
}

/** A server on which `/<seed>/<length>/<piece>/<how>` is a body of that length, sent in writes of that size. */
async function bodies() {
  const sending = new WeakMap<Socket, Promise<void>>();
  return rawOrigin((socket, head) => {
    const before = sending.get(socket) ?? Promise.resolve();
    sending.set(
      socket,
      before.then(() => send(socket, head.split(' ', 2)[1]!)),
    );
  });
}

async function send(socket: Socket, path: string): Promise<void> {
  const [seed, length, piece, how] = path.slice(1).split('/');
  const framing = {
    length: `Content-Length: ${length}`,
    chunked: 'Transfer-Encoding: chunked',
    close: 'Connection: close',
  };
  const put = (bytes: Buffer | string) => socket.write(bytes) || new Promise(resolve => socket.once('drain', resolve));
  await put(`HTTP/1.1 200 OK\r\n${framing[how as keyof typeof framing]}\r\n\r\n`);
  const body = bytesFrom(Number(seed), Number(length));
  for (let at = 0; at < body.length; at += Number(piece)) {
    const part = body.subarray(at, at + Number(piece));
    const size = Buffer.from(`${part.length.toString(16)}\r\n`);
    await put(how === 'chunked' ? Buffer.concat([size, part, Buffer.from('\r\n')]) : part);
    if (at % 3 === 0) await new Promise(resolve => setImmediate(resolve));
  }
  if (how === 'chunked') await put('0\r\n\r\n');
  if (how === 'close') socket.end();
}

test('bodies arrive whole, however they are cut, paused and followed by others on their connection', async () => {
  const origin = await bodies();
  const authority = `127.0.0.1:${origin.port}`;
  const upstream = plainTo(authority, { maxConnectionsPerAddress: 3 });
  const body = fc.record({
    seed: fc.integer({ min: 1, max: 1e6 }),
    length: fc.oneof(fc.nat(10), fc.nat(300_000), fc.constantFrom(65_536, 262_144, 262_145, 1_500_000)),
    piece: fc.integer({ min: 1000, max: 400_000 }),
    how: fc.constantFrom('length', 'chunked', 'close'),
    pauses: fc.integer({ min: 1, max: 5 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(body, { minLength: 1, maxLength: 8 }), async wanted => {
      await Promise.all(
        wanted.map(
          ({ seed, length, piece, how, pauses }) =>
            new Promise<void>((resolve, reject) => {
              const got: Buffer[] = [];
              let calls = 0;
              const exchange = upstream.fetch(
                {
                  method: 'GET',
                  authority,
                  scheme: 'http',
                  path: `/${seed}/${length}/${piece}/${how}`,
                  headers: ['Host', authority],
                },
                {
                  onHeaders: () => {},
                  onData: chunk => {
                    got.push(Buffer.from(chunk));
                    if (++calls % pauses !== 0) return true;
                    setTimeout(() => exchange.resume(), calls % 2);
                    return false;
                  },
                  onComplete: () => {
                    try {
                      expect(sha(Buffer.concat(got))).toBe(sha(bytesFrom(seed, length)));
                      resolve();
                    } catch (error) {
                      reject(error);
                    }
                  },
                  onError: reject,
                },
              );
            }),
        ),
      );
    }),
    { numRuns: 60 },
  );
  await upstream.close();
  await origin.close();
}, 60_000);

test('a connection that is closed while its reader pauses gives what came before, then the error', async () => {
  const origin = await rawOrigin(socket => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n');
    socket.end(bytesFrom(7, 600_000));
  });
  const authority = `127.0.0.1:${origin.port}`;
  const upstream = plainTo(authority);
  const got: Buffer[] = [];
  await expect(
    new Promise<void>((resolve, reject) => {
      const exchange = upstream.fetch(
        { method: 'GET', authority, scheme: 'http', path: '/', headers: ['Host', authority] },
        {
          onHeaders: () => {},
          onData: chunk => {
            got.push(Buffer.from(chunk));
            setTimeout(() => exchange.resume(), 20);
            return false;
          },
          onComplete: () => resolve(),
          onError: reject,
        },
      );
    }),
  ).rejects.toThrow();
  expect(Buffer.concat(got).equals(bytesFrom(7, 600_000))).toBe(true);
  await expect(get(upstream, { authority })).rejects.toThrow();
  await upstream.close();
  await origin.close();
});
