import { afterEach, beforeEach, expect, test } from 'vitest';
import { type RawOrigin, rawOrigin } from '../upstream/helpers.ts';
import { type Harness, RawClient, startProxy } from './helpers.ts';

let origin: RawOrigin;
let proxy: Harness;
let host: string;
const clients: RawClient[] = [];

beforeEach(async () => {
  origin = await rawOrigin((socket, head) => {
    if (!head.startsWith('PUT /silent')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi');
  });
  host = `127.0.0.1:${origin.port}`;
  proxy = await startProxy({ origins: [host] });
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await proxy.close();
  await origin.close();
});

function send(text: string): RawClient {
  const client = new RawClient(proxy.port);
  clients.push(client);
  return client.send(text.replaceAll('HOST', host));
}

const GET = 'GET / HTTP/1.1\r\n';

test.each([
  ['no Host', `${GET}\r\n`, 400, 'MissingHostHeader'],
  ['no Host with an absolute-form target', 'GET http://HOST/ HTTP/1.1\r\n\r\n', 400, 'MissingHostHeader'],
  ['no Host in HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n', 400, 'MissingHostHeader'],
  ['two Hosts', `${GET}Host: HOST\r\nHost: HOST\r\n\r\n`, 400, 'InvalidRequest'],
  ['two Hosts in two cases', `${GET}Host: HOST\r\nhOST: other\r\n\r\n`, 400, 'InvalidRequest'],
  ['an empty Host', `${GET}Host:\r\n\r\n`, 400, 'InvalidHost'],
  ['a list as Host', `${GET}Host: HOST, other\r\n\r\n`, 400, 'InvalidHost'],
  ['user information in the target', 'GET http://user@HOST/ HTTP/1.1\r\nHost: HOST\r\n\r\n', 400, 'InvalidHost'],
  ['an address in disguise', `${GET}Host: 0x7f.1\r\n\r\n`, 400, 'InvalidHost'],
  [
    'Content-Length with Transfer-Encoding',
    'PUT / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: HOST\r\n\r\n',
    400,
    'InvalidRequest',
  ],
  [
    'Transfer-Encoding with Content-Length',
    'PUT / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n',
    400,
    'InvalidRequest',
  ],
  [
    'two Content-Lengths',
    'PUT / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
    400,
    'InvalidRequest',
  ],
  ['a list as Content-Length', 'PUT / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1, 1\r\n\r\na', 400, 'InvalidRequest'],
  ['a negative Content-Length', 'PUT / HTTP/1.1\r\nHost: HOST\r\nContent-Length: -1\r\n\r\na', 400, 'InvalidRequest'],
  [
    'a coding beneath chunked',
    'PUT / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
    400,
    'InvalidRequest',
  ],
  [
    'chunked twice',
    'PUT / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    400,
    'InvalidRequest',
  ],
  [
    'an unknown coding',
    'PUT / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n',
    400,
    'InvalidRequest',
  ],
  [
    'chunked in HTTP/1.0',
    'PUT / HTTP/1.0\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    400,
    'InvalidRequest',
  ],
  ['a folded header', `${GET}Host: HOST\r\nX-A: 1\r\n 2\r\n\r\n`, 400, 'InvalidRequest'],
  ['a space before the colon', `${GET}Host : HOST\r\n\r\n`, 400, 'InvalidRequest'],
  ['a bare CR in a header', `${GET}Host: HOST\r\nX-A: 1\r2\r\n\r\n`, 400, 'InvalidRequest'],
  ['a NUL in a header', `${GET}Host: HOST\r\nX-A: 1\x002\r\n\r\n`, 400, 'InvalidRequest'],
  ['a header name with a bracket', `${GET}Host: HOST\r\nX[A: 1\r\n\r\n`, 400, 'InvalidRequest'],
  ['a line that is no header', `${GET}Host: HOST\r\nnonsense\r\n\r\n`, 400, 'InvalidRequest'],
  ['an unknown HTTP version', 'GET / HTTP/3.7\r\nHost: HOST\r\n\r\n', 400, 'InvalidRequest'],
  ['a word instead of a request', 'hello\r\n\r\n', 400, 'InvalidRequest'],
  ['another scheme', 'GET ftp://HOST/ HTTP/1.1\r\nHost: HOST\r\n\r\n', 400, 'InvalidRequest'],
  ['a header of 70 KiB', `${GET}Host: HOST\r\nX-A: ${'a'.repeat(70_000)}\r\n\r\n`, 431, 'RequestHeaderTooLarge'],
  ['twelve thousand headers', `${GET}Host: HOST\r\n${'X-Abc: 1\r\n'.repeat(12_000)}\r\n`, 431, 'RequestHeaderTooLarge'],
  [
    'a bad chunk size',
    'PUT / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n',
    400,
    'InvalidRequest',
  ],
  [
    'a chunk without its end',
    'PUT / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n',
    400,
    'InvalidRequest',
  ],
  [
    'an unknown expectation',
    `PUT / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1\r\nExpect: 200-ok\r\n\r\n`,
    417,
    'ExpectationFailed',
  ],
  [
    'a CONNECT without a port',
    'CONNECT HOST1 HTTP/1.1\r\nHost: HOST1\r\n\r\n'.replaceAll('HOST1', 'example.com'),
    400,
    'InvalidRequest',
  ],
])('%s is refused', async (_what, request, status, code) => {
  const client = send(request);
  const text = await client.untilEnd();
  expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(text).toMatch(/\r\nconnection: close\r\n/i);
  expect(text).toContain(`<Error><Code>${code}</Code>`);
  expect(text.match(/HTTP\/1\.1/g)).toHaveLength(1);
  expect(origin.heads.filter(head => !head.startsWith('PUT / '))).toEqual([]);
  const next = send(`GET / HTTP/1.1\r\nHost: HOST\r\n\r\n`);
  expect(await next.untilText('hi')).toContain('200 OK');
});

test('a bad chunk in the middle of an upload never completes it upstream', async () => {
  const client = send('PUT /silent HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
  await new Promise<void>(resolve => {
    const look = () => (origin.heads.length > 0 ? resolve() : setImmediate(look));
    look();
  });
  let seen = '';
  const socket = [...origin.sockets][0]!;
  socket.on('data', chunk => {
    seen += chunk;
  });
  const closed = new Promise(resolve => socket.once('close', resolve));
  client.send('nonsense\r\n\r\n');
  await closed;
  expect(await client.untilEnd()).toMatch(/^HTTP\/1.1 400 .*<Code>InvalidRequest/s);
  expect(seen).not.toContain('0\r\n\r\n');
});

test('a malformed request after a good one does not take its answer', async () => {
  const client = send('GET / HTTP/1.1\r\nHost: HOST\r\n\r\nnonsense\r\n\r\n');
  const text = await client.untilEnd();
  expect(text).toMatch(/^HTTP\/1.1 200 OK\r\n.*\r\n\r\nhi($|HTTP\/1.1 400 )/s);
});

test.each([
  [
    'the authority of an absolute-form target replaces another Host',
    'GET http://HOST/x HTTP/1.1\r\nX-A: 1\r\nHost: other.example\r\n\r\n',
  ],
  ['HTTP/1.0 with an absolute-form target needs no Host', 'GET http://HOST/x HTTP/1.0\r\n\r\n'],
])('%s', async (_what, request) => {
  await send(request).untilText('hi');
  expect(origin.heads[0]).toMatch(/^GET \/x HTTP\/1.1\r\n/);
  expect(origin.heads[0]!.match(/^host: .*/gim)).toEqual([`Host: ${host}`]);
});

test('headers for the connection and those it names end here', async () => {
  await send(
    'GET / HTTP/1.1\r\nHost: HOST\r\nConnection: X-Mine, keep-alive\r\nX-Mine: 1\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic x\r\nProxy-Features: x\r\nTE: trailers\r\nUpgrade: h2c\r\nKeep-Alive: 1\r\nX-Other: 2\r\n\r\n',
  ).untilText('hi');
  expect(origin.heads[0]!.split('\r\n').sort()).toEqual([
    'GET / HTTP/1.1',
    `Host: ${host}`,
    'X-Other: 2',
    'connection: keep-alive',
  ]);
});

test('naming Content-Length in Connection does not take the length from the body', async () => {
  await send('PUT / HTTP/1.1\r\nHost: HOST\r\nConnection: content-length, host\r\nContent-Length: 0\r\n\r\n').untilText(
    'hi',
  );
  expect(origin.heads[0]).toMatch(/Content-Length: 0/);
  expect(origin.heads[0]).toContain(`Host: ${host}`);
});

test('OPTIONS of a server goes on as `*`', async () => {
  await send('OPTIONS http://HOST HTTP/1.1\r\nHost: HOST\r\n\r\n').untilText('hi');
  await send('OPTIONS * HTTP/1.1\r\nHost: HOST\r\n\r\n').untilText('hi');
  expect(origin.heads.map(head => head.split('\r\n')[0])).toEqual(['OPTIONS * HTTP/1.1', 'OPTIONS * HTTP/1.1']);
});

test('HTTP/1.0 gets the answer and a closed connection', async () => {
  const text = await send('GET / HTTP/1.0\r\nHost: HOST\r\n\r\n').untilEnd();
  expect(text).toMatch(/^HTTP\/1.1 200 OK\r\n/);
  expect(text.endsWith('\r\n\r\nhi')).toBe(true);
});

test('a large upload that is refused at its head gets to see why', async () => {
  const client = send(`PUT / HTTP/1.1\r\nHost: HOST\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n`);
  client.socket.write(Buffer.alloc(20_000_000));
  expect(await client.untilText('</Error>')).toContain('InvalidRequest');
  expect(client.error).toBeUndefined();
});
