import { afterEach, expect, test } from 'vitest';
import type { S3Upstream } from '../../proxy-core/upstream/index.ts';
import { get, plainTo, type RawOrigin, rawOrigin } from './helpers.ts';

let origin: RawOrigin;
let upstream: S3Upstream;
afterEach(async () => {
  await upstream.close();
  await origin.close();
});

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi';

test('a request goes out with its path, header order, case, duplicates and bytes as given', async () => {
  origin = await rawOrigin(socket => socket.write(OK));
  const authority = `127.0.0.1:${origin.port}`;
  upstream = plainTo(authority);
  const path = '/b/%2e%2E/../a//b%2Fc;x?X=1&&y=%zz+é';
  const headers = ['Host', authority, 'X-B', '1', 'x-a', '\xc3\xa9 \xff', 'X-B', '2', 'RANGE', 'bytes=0-1'];
  const got = await get(upstream, { authority, path, headers });
  expect(got.body.toString()).toBe('hi');
  const [line, ...lines] = origin.heads[0]!.split('\r\n');
  expect(line).toBe(`GET ${path} HTTP/1.1`);
  expect(lines.filter(text => !/^connection:/i.test(text))).toEqual([
    `Host: ${authority}`,
    'X-B: 1',
    'x-a: \xc3\xa9 \xff',
    'X-B: 2',
    'RANGE: bytes=0-1',
  ]);
});

test("an answer's headers keep order, case, duplicates and bytes, without those for the connection", async () => {
  origin = await rawOrigin(socket =>
    socket.write(
      Buffer.from(
        'HTTP/1.1 206 Partial Thing\r\nx-One: \xc3\xa9\xff\r\nETag: "a"\r\nX-ONE: 2\r\nKeep-Alive: timeout=9\r\nConnection: X-Hop\r\nX-Hop: 1\r\nContent-Length: 0\r\n\r\n',
        'latin1',
      ),
    ),
  );
  const authority = `127.0.0.1:${origin.port}`;
  upstream = plainTo(authority);
  const got = await get(upstream, { authority });
  expect(got.status).toBe(206);
  expect(got.statusText).toBe('Partial Thing');
  expect(got.headers).toEqual(['x-One', '\xc3\xa9\xff', 'ETag', '"a"', 'X-ONE', '2', 'Content-Length', '0']);
});

test('interim answers, trailers and 304 arrive', async () => {
  origin = await rawOrigin((socket, head) =>
    socket.write(
      head.startsWith('GET /304')
        ? 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n'
        : 'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n',
    ),
  );
  const authority = `127.0.0.1:${origin.port}`;
  upstream = plainTo(authority);
  const got = await get(upstream, { authority });
  expect(got.interim).toEqual([[103, ['Link', 'x']]]);
  expect(got.trailers).toEqual(['X-T', '1']);
  expect((await get(upstream, { authority, path: '/304' })).status).toBe(304);
  expect(origin.connections).toBe(1);
});

test('HEAD keeps its connection', async () => {
  origin = await rawOrigin(socket => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'));
  const authority = `127.0.0.1:${origin.port}`;
  upstream = plainTo(authority);
  for (let i = 0; i < 3; i++) await get(upstream, { authority, method: 'HEAD' });
  expect(origin.connections).toBe(1);
  expect(origin.heads[2]).toMatch(/keep-alive/);
});

test('a GET on a kept connection that had been closed is sent again', async () => {
  origin = await rawOrigin((socket, _head, _rest, count) => {
    if (count === 2) socket.destroy();
    else socket.write(OK);
  });
  const authority = `127.0.0.1:${origin.port}`;
  upstream = plainTo(authority);
  await get(upstream, { authority });
  expect((await get(upstream, { authority })).body.toString()).toBe('hi');
  expect(origin.heads).toHaveLength(3);
});

test('a DELETE that went out is not sent again', async () => {
  origin = await rawOrigin(socket => socket.destroy());
  const authority = `127.0.0.1:${origin.port}`;
  upstream = plainTo(authority);
  await expect(get(upstream, { authority, method: 'DELETE' })).rejects.toMatchObject({ code: 'BadGateway' });
  expect(origin.heads).toHaveLength(1);
});

test('an answer that began is not asked for again', async () => {
  origin = await rawOrigin(socket => {
    socket.write('HTTP/1.1 200 OK\r\nContent-');
    setImmediate(() => socket.destroy());
  });
  const authority = `127.0.0.1:${origin.port}`;
  upstream = plainTo(authority);
  await expect(get(upstream, { authority })).rejects.toMatchObject({ code: 'BadGateway' });
  expect(origin.heads).toHaveLength(1);
});

test('it gives up after three tries', async () => {
  origin = await rawOrigin(socket => socket.destroy());
  const authority = `127.0.0.1:${origin.port}`;
  upstream = plainTo(authority);
  await expect(get(upstream, { authority })).rejects.toMatchObject({ code: 'BadGateway' });
  expect(origin.heads).toHaveLength(3);
});

test.each(['Content-Length: 10\r\n\r\nabc', 'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'])(
  'a body that is cut is an error (%j)',
  async rest => {
    origin = await rawOrigin(socket => socket.end(`HTTP/1.1 200 OK\r\n${rest}`));
    const authority = `127.0.0.1:${origin.port}`;
    upstream = plainTo(authority);
    await expect(get(upstream, { authority })).rejects.toMatchObject({ code: 'BadGateway' });
  },
);

test.each([
  ['an answer that is not HTTP', 'hello\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
  ['a head over 64 KiB', `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(70_000)}\r\n\r\n`],
])('%s is an error', async (_what, text) => {
  origin = await rawOrigin(socket => socket.write(text));
  const authority = `127.0.0.1:${origin.port}`;
  upstream = plainTo(authority);
  await expect(get(upstream, { authority })).rejects.toMatchObject({ code: 'BadGateway' });
});

test('silence before and in the middle of an answer is a time-out, a pausing reader is none', async () => {
  origin = await rawOrigin((socket, head) => {
    if (head.startsWith('GET /half')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc');
    if (head.startsWith('GET /all'))
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n${'x'.repeat(3_000_000)}`);
  });
  const authority = `127.0.0.1:${origin.port}`;
  upstream = plainTo(authority, { firstByteTimeout: 80, idleTimeout: 80 });
  await expect(get(upstream, { authority, path: '/none' })).rejects.toMatchObject({ code: 'UpstreamTimeout' });
  await expect(get(upstream, { authority, path: '/half' })).rejects.toMatchObject({ code: 'UpstreamTimeout' });
  const got = await new Promise<number>((resolve, reject) => {
    let bytes = 0;
    let paused = false;
    const exchange = upstream.fetch(
      { method: 'GET', authority, scheme: 'http', path: '/all', headers: ['Host', authority] },
      {
        onHeaders: () => {},
        onData: chunk => {
          bytes += chunk.length;
          if (paused) return true;
          paused = true;
          setTimeout(() => exchange.resume(), 400);
          return false;
        },
        onComplete: () => resolve(bytes),
        onError: reject,
      },
    );
  });
  expect(got).toBe(3_000_000);
});

test('an aborted request ends its connection and calls nobody', async () => {
  let closed!: () => void;
  const gone = new Promise<void>(resolve => {
    closed = resolve;
  });
  origin = await rawOrigin(socket => {
    socket.on('close', closed);
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc');
  });
  const authority = `127.0.0.1:${origin.port}`;
  upstream = plainTo(authority);
  const calls: string[] = [];
  const exchange = upstream.fetch(
    { method: 'GET', authority, scheme: 'http', path: '/', headers: ['Host', authority] },
    {
      onHeaders: () => void calls.push('headers'),
      onData: () => {
        calls.push('data');
        exchange.abort();
        return true;
      },
      onComplete: () => void calls.push('complete'),
      onError: () => void calls.push('error'),
    },
  );
  await gone;
  expect(calls).toEqual(['headers', 'data']);
});

test('requests above the connections allowed wait for one, and idle ones above their limit are closed', async () => {
  const answers: (() => void)[] = [];
  let arrived: () => void = () => {};
  origin = await rawOrigin(socket => {
    answers.push(() => socket.write(OK));
    arrived();
  });
  const authority = `127.0.0.1:${origin.port}`;
  upstream = plainTo(authority, { maxConnectionsPerAddress: 2, maxIdlePerAddress: 1 });
  const heard = (count: number) =>
    new Promise<void>(resolve => {
      arrived = () => answers.length >= count && resolve();
      arrived();
    });
  const all = [1, 2, 3].map(() => get(upstream, { authority }));
  await heard(2);
  expect(answers).toHaveLength(2);
  answers[0]!();
  await heard(3);
  for (const answer of answers.slice(1)) answer();
  await Promise.all(all);
  expect(origin.connections).toBe(2);
  await new Promise<void>(resolve => {
    const look = () => (origin.sockets.size === 1 ? resolve() : setTimeout(look, 5));
    look();
  });
});

test('without keep-alive each request has its own connection', async () => {
  origin = await rawOrigin(socket => socket.write(OK));
  const authority = `127.0.0.1:${origin.port}`;
  upstream = plainTo(authority, { keepAlive: false });
  await get(upstream, { authority });
  await get(upstream, { authority });
  expect(origin.connections).toBe(2);
});

test('an S3 host is never reached by plain HTTP', async () => {
  origin = await rawOrigin(socket => socket.write(OK));
  const authority = `s3.example:${origin.port}`;
  upstream = plainTo('unused:1', { isS3: () => true, endpointOverrides: { 's3.example': ['127.0.0.1'] } });
  await expect(get(upstream, { authority })).rejects.toMatchObject({ code: 'BadGateway' });
  expect(origin.connections).toBe(0);
});

test('an invalid Host is refused', async () => {
  origin = await rawOrigin(() => {});
  upstream = plainTo('unused:1');
  await expect(get(upstream, { authority: 'a b' })).rejects.toMatchObject({ code: 'InvalidHost' });
});
