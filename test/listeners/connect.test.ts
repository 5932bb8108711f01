import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { rawOrigin } from '../upstream/helpers.ts';
import { type Harness, type HarnessOptions, RawClient, startProxy } from './helpers.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function start(options: HarnessOptions): Promise<{ proxy: Harness; client: RawClient }> {
  const proxy = await startProxy(options);
  open.push(() => proxy.close());
  const client = new RawClient(proxy.port);
  open.push(() => client.destroy());
  return { proxy, client };
}

/** A server of bytes, reached under the name `blind.example` (an endpoint override, so no upstream override names its port). */
async function bytes(onSocket: (socket: Socket) => void): Promise<{ target: string; options: HarnessOptions }> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, socket => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    onSocket(socket);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  open.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise(resolve => server.close(resolve));
  });
  return {
    target: `blind.example:${(server.address() as AddressInfo).port}`,
    options: { upstream: { endpointOverrides: { 'blind.example': ['127.0.0.1'] } } },
  };
}

const ESTABLISHED = 'HTTP/1.1 200 Connection established\r\n\r\n';

test('a tunnel carries bytes both ways, and an end on one side leaves the other open', async () => {
  const { target, options } = await bytes(socket => {
    let seen = '';
    socket.on('data', chunk => {
      seen += chunk;
    });
    socket.on('end', () => socket.end(`got ${seen}`));
  });
  const { client } = await start(options);
  client.send(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  await client.untilText(ESTABLISHED);
  client.send('\x16abc');
  client.socket.end();
  expect(await client.untilEnd()).toBe(`${ESTABLISHED}got \x16abc`);
});

test('bytes sent right behind the CONNECT are not lost', async () => {
  const { target, options } = await bytes(socket => socket.on('data', chunk => socket.write(chunk)));
  const { client } = await start(options);
  client.send(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n\x16early`);
  await client.untilText('\x16early');
});

test('a remote that hangs up ends the tunnel, and the other way round', async () => {
  let remote: Socket | undefined;
  const { target, options } = await bytes(socket => {
    remote = socket;
    socket.resume();
  });
  const { client, proxy } = await start(options);
  client.send(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  await client.untilText(ESTABLISHED);
  remote!.destroy();
  await client.untilEnd();

  const second = new RawClient(proxy.port).send(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  await second.untilText(ESTABLISHED);
  const closed = new Promise(resolve => remote!.once('end', resolve).once('close', resolve));
  second.socket.resetAndDestroy();
  await closed;
});

test('a silent tunnel is closed', async () => {
  const { target, options } = await bytes(socket => socket.resume());
  const { client } = await start({ ...options, tunnelIdle: 50 });
  client.send(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  await client.untilEnd();
});

test('plain HTTP in a tunnel takes the normal way', async () => {
  const origin = await rawOrigin(socket => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi'));
  open.push(() => origin.close());
  const host = `127.0.0.1:${origin.port}`;
  const tunnels: (string | undefined)[] = [];
  const { client } = await start({
    origins: [host],
    handle: ({ tunnelHost, authority, target, res }) => {
      tunnels.push(tunnelHost, authority, target);
      res.end('handled');
    },
  });
  client.send(`CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await client.untilText(ESTABLISHED);
  client.send(`GET /a HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await client.untilText('handled');
  client.send(`GET /b HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await client.until(({ text }) => text.split('handled').length === 3);
  expect(tunnels).toEqual([host, host, '/a', host, host, '/b']);
});

test('TLS in such a tunnel passes blindly', async () => {
  const origin = await rawOrigin(() => {});
  open.push(() => origin.close());
  const host = `127.0.0.1:${origin.port}`;
  const { client } = await start({ origins: [host] });
  client.send(`CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\n\r\n\x16\x03\x01hello`);
  await client.untilText(ESTABLISHED);
  await new Promise<void>(resolve => {
    const look = () => (origin.sockets.size > 0 ? resolve() : setImmediate(look));
    look();
  });
});

test.each([
  ['origin-form', 'GET / HTTP/1.1\r\nHost: other.example\r\n\r\n'],
  ['absolute-form', 'GET http://other.example/ HTTP/1.1\r\nHost: other.example\r\n\r\n'],
])('another Host inside the tunnel, in %s, is 400', async (_form, request) => {
  const origin = await rawOrigin(() => {});
  open.push(() => origin.close());
  const host = `127.0.0.1:${origin.port}`;
  const { client } = await start({ origins: [host] });
  client.send(`CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await client.untilText(ESTABLISHED);
  client.send(request);
  expect(await client.untilText('</Error>')).toMatch(/HTTP\/1.1 400 .*<Code>TunnelHostMismatch/s);
  expect(origin.heads).toEqual([]);
});

test.each([
  ['loopback', '127.0.0.1:9', 403, 'AccessDenied'],
  ['instance metadata', '169.254.169.254:80', 403, 'AccessDenied'],
  ['a name that is not found', 'no-such-host.invalid:443', 502, 'NameNotResolved'],
  ['a port where nobody listens', 'dead.example:1', 502, 'BadGateway'],
])('a tunnel to %s is refused', async (_what, target, status, code) => {
  const lookup = async () => {
    throw Object.assign(new Error('not found'), { code: 'ENOTFOUND' });
  };
  const { client } = await start({ upstream: { endpointOverrides: { 'dead.example': ['127.0.0.1'] }, lookup } });
  client.send(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  expect(await client.untilEnd()).toMatch(new RegExp(`^HTTP/1.1 ${status} .*<Code>${code}`, 's'));
});
