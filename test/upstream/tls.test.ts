import { readFileSync } from 'node:fs';
import { createServer as createHttpServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { createServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { createUpstream, type UpstreamOptions } from '../../proxy-core/upstream/index.ts';
import { RawClient, startProxy } from '../listeners/helpers.ts';
import { get, rawOrigin, STANDARD } from './helpers.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const fixture = (name: string) => readFileSync(new URL(`fixtures/${name}`, import.meta.url));
const authorities = [fixture('ca.pem').toString()];

interface TlsOrigin {
  readonly port: number;
  readonly names: (string | false | null)[];
  readonly heads: string[];
  resumed: number;
}

/** A TLS server whose certificate is for `store.example` and its subdomains, signed by an authority of the tests. */
async function tlsOrigin(): Promise<TlsOrigin> {
  const sockets = new Set<TLSSocket>();
  const server: TlsServer = createServer({ key: fixture('server.key'), cert: fixture('server.pem') }, socket => {
    sockets.add(socket);
    origin.names.push(socket.servername);
    if (socket.isSessionReused()) origin.resumed++;
    socket.on('error', () => socket.destroy());
    socket.on('data', chunk => {
      origin.heads.push(chunk.toString('latin1'));
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi');
    });
  });
  server.on('tlsClientError', () => {});
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  open.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise(resolve => server.close(resolve));
  });
  const origin: TlsOrigin = { port: (server.address() as AddressInfo).port, names: [], heads: [], resumed: 0 };
  return origin;
}

function upstream(options: Partial<UpstreamOptions>) {
  const made = createUpstream({ ...STANDARD, authorities, ...options });
  open.push(() => made.close());
  return made;
}

const https = (validate_tls = true) => ({ scheme: 'https' as const, validate_tls });

test('TLS is spoken under the name the caller used, also where an override dials an address', async () => {
  const origin = await tlsOrigin();
  const override = { ...https(), address: `127.0.0.1:${origin.port}` };
  const up = upstream({ upstreamOverrides: { 'store.example:80': override } });
  expect((await get(up, { authority: 'b.store.example' })).status).toBe(200);
  expect(origin.names).toEqual(['b.store.example']);
  expect(origin.heads[0]).toContain('Host: b.store.example\r\n');
});

test('a certificate for another name is refused, and not asked for again', async () => {
  const origin = await tlsOrigin();
  const up = upstream({
    upstreamOverrides: { [`other.example:${origin.port}`]: { ...https(), address: '127.0.0.1' } },
  });
  const failed = get(up, { authority: `other.example:${origin.port}` });
  await expect(failed).rejects.toMatchObject({ code: 'UpstreamCertificateInvalid' });
  expect(origin.heads).toEqual([]);
});

test.each([
  [true, 'UpstreamCertificateInvalid'],
  [false, undefined],
])('an authority that is not known matters with validate_tls: %s', async (validate, code) => {
  const origin = await tlsOrigin();
  const authority = `store.example:${origin.port}`;
  const override = { ...https(validate), address: '127.0.0.1' };
  const up = createUpstream({ ...STANDARD, upstreamOverrides: { [authority]: override } });
  open.push(() => up.close());
  if (code) await expect(get(up, { authority })).rejects.toMatchObject({ code });
  else expect((await get(up, { authority })).status).toBe(200);
});

test('a second connection resumes the TLS session', async () => {
  const origin = await tlsOrigin();
  const authority = `store.example:${origin.port}`;
  const up = upstream({ upstreamOverrides: { [authority]: { ...https(), address: '127.0.0.1' } }, keepAlive: false });
  await get(up, { authority });
  await get(up, { authority });
  expect(origin.resumed).toBe(1);
});

test('S3 is reached by TLS on 443 of the override’s addresses', async () => {
  const up = upstream({ isS3: () => true, endpointOverrides: { 'store.example': ['127.0.0.1'] } });
  // Nobody listens there: the port that was tried is in the message.
  await expect(get(up, { authority: 'store.example' })).rejects.toThrow('127.0.0.1:443');
});

test('an upload goes by TLS, too', async () => {
  const origin = await tlsOrigin();
  const authority = `store.example:${origin.port}`;
  const proxy = await startProxy({
    upstream: { authorities, upstreamOverrides: { [authority]: { ...https(), address: '127.0.0.1' } } },
  });
  open.push(() => proxy.close());
  const client = new RawClient(proxy.port);
  open.push(() => client.destroy());
  client.send(`PUT /k HTTP/1.1\r\nHost: ${authority}\r\nContent-Length: 3\r\n\r\nabc`);
  expect(await client.untilText('hi')).toMatch(/^HTTP\/1.1 200/);
  expect(origin.heads.join('')).toMatch(/^PUT \/k HTTP\/1.1\r\n.*\r\n\r\nabc$/s);
});

test('an upload to an address that cannot be connected to is tried elsewhere', async () => {
  const origin = await rawOrigin(socket => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi'), '127.0.0.2');
  open.push(() => origin.close());
  const proxy = await startProxy({ upstream: { endpointOverrides: { 'two.example': ['127.0.0.1', '127.0.0.2'] } } });
  open.push(() => proxy.close());
  for (let i = 0; i < 2; i++) {
    const client = new RawClient(proxy.port);
    open.push(() => client.destroy());
    client.send(`PUT /k HTTP/1.1\r\nHost: two.example:${origin.port}\r\nContent-Length: 3\r\n\r\nabc`);
    expect(await client.untilText('hi')).toMatch(/^HTTP\/1.1 200/);
  }
});

describe('through a corporate proxy', () => {
  interface Corporate {
    readonly url: string;
    readonly seen: string[];
  }

  async function corporate(refuse = false): Promise<Corporate> {
    const seen: string[] = [];
    const server: Server = createHttpServer((req, res) => {
      seen.push(`${req.method} ${req.url} ${req.headers['proxy-authorization'] ?? ''}`);
      res.end('via');
    });
    server.on('connect', (req, socket) => {
      seen.push(`CONNECT ${req.url} ${req.headers['proxy-authorization'] ?? ''}`);
      if (refuse) {
        socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
        return;
      }
      const remote = connect(Number(req.url!.split(':')[1]), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        socket.pipe(remote).pipe(socket);
      });
      remote.on('error', () => socket.destroy());
      socket.on('error', () => remote.destroy());
    });
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    open.push(() => {
      server.closeAllConnections();
      return new Promise(resolve => server.close(resolve));
    });
    return { url: `http://u:p%40@127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
  }

  const basic = `Basic ${Buffer.from('u:p@').toString('base64')}`;

  test('plain requests go in absolute form, with credentials', async () => {
    const { url, seen } = await corporate();
    const up = upstream({ upstreamProxy: url });
    expect((await get(up, { authority: 'a.example:81', path: '/x?y' })).body.toString()).toBe('via');
    expect(seen).toEqual([`GET http://a.example:81/x?y ${basic}`]);
  });

  test('TLS and tunnels go through CONNECT', async () => {
    const origin = await tlsOrigin();
    const { url, seen } = await corporate();
    const up = upstream({ upstreamProxy: url });
    const authority = `store.example:${origin.port}`;
    expect((await get(up, { authority, scheme: 'https' })).body.toString()).toBe('hi');
    (await up.tunnel(authority)).destroy();
    expect(seen).toEqual([`CONNECT ${authority} ${basic}`, `CONNECT ${authority} ${basic}`]);
  });

  test('a refusal is an error that names the proxy', async () => {
    const { url } = await corporate(true);
    const up = upstream({ upstreamProxy: url });
    await expect(get(up, { authority: 'a.example', scheme: 'https' })).rejects.toThrow(/via the proxy.*407/);
  });

  test('destinations named by an override are reached directly', async () => {
    const origin = await rawOrigin(socket => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi'));
    open.push(() => origin.close());
    const { url, seen } = await corporate();
    const up = upstream({ upstreamProxy: url, endpointOverrides: { 'a.example': ['127.0.0.1'] } });
    expect((await get(up, { authority: `a.example:${origin.port}` })).body.toString()).toBe('hi');
    expect(seen).toEqual([]);
  });
});

test('connecting has a time limit, TLS included', async () => {
  const silent = await rawOrigin(() => {});
  open.push(() => silent.close());
  const authority = `store.example:${silent.port}`;
  const up = upstream({ connectTimeout: 50, upstreamOverrides: { [authority]: { ...https(), address: '127.0.0.1' } } });
  await expect(get(up, { authority })).rejects.toMatchObject({ code: 'UpstreamTimeout' });
});
