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
