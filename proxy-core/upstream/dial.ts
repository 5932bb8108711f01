import { connect as connectTcp, isIP, type OnReadOpts, type Socket } from 'node:net';
import { type ConnectionOptions, checkServerIdentity, connect as connectTls, type SecureContext } from 'node:tls';
import { hostPort } from './authority.ts';
import { DialError } from './errors.ts';

export interface DialTarget {
  readonly ip: string;
  readonly port: number;
  readonly tls: { readonly name: string; readonly validate: boolean } | undefined;
  /** The HTTP proxy whose address `ip` and `port` are, and the `host:port` to reach through it. */
  readonly via?: { readonly proxy: ProxyServer; readonly to: string; readonly tunnel: boolean } | undefined;
}

/** `connection_pool.upstream_proxy`. */
export interface ProxyServer {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  /** Value of Proxy-Authorization */
  readonly authorization: string | undefined;
}

export type Dialled = (error: Error | null, socket: Socket | null) => void;

/** What TLS connections of one upstream share. */
export interface TlsShared {
  readonly trust: SecureContext;
  /** Sessions by server name, so that a second connection is a round trip shorter. */
  readonly sessions: Map<string, Buffer>;
}

/**
 * Connects, through the proxy where there is one, and speaks TLS where asked. Calls back once; every step is within
 * `timeout` ms. `onread`: how a connection without either is read, where not as a stream.
 */
export function dial(target: DialTarget, timeout: number, shared: TlsShared, done: Dialled, onread?: OnReadOpts): void {
  const name = hostPort(target.ip, target.port);
  let current: Socket | undefined;
  const timer = setTimeout(() => {
    finish(Object.assign(new Error(`no connection within ${timeout} ms`), { code: 'ETIMEDOUT' }));
  }, timeout);
  // Stays on every socket made here as its listener for errors; once settled it does nothing.
  const finish = (error?: unknown) => {
    if (!current) return;
    const socket = current;
    current = undefined;
    clearTimeout(timer);
    if (!error) return done(null, socket);
    socket.destroy();
    done(new DialError(target.via ? `${target.via.to} via the proxy ${name}` : name, error), null);
  };
  const closed = () => finish(Object.assign(new Error('the connection was closed'), { code: 'ECONNRESET' }));
  const step = (socket: Socket, ready: 'connect' | 'secureConnect', next: () => void) => {
    current = socket;
    socket
      .on('error', finish)
      .once('close', closed)
      .once(ready, () => current === socket && next());
  };

  const tcp = connectTcp({
    host: target.ip,
    port: target.port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 15_000,
    ...(onread ? { onread } : {}),
  });
  const secure = (below: Socket, tls: NonNullable<DialTarget['tls']>, next: () => void) =>
    step(
      connectTls(tlsOptions(below, tls, shared)).on('session', session => remember(shared.sessions, tls.name, session)),
      'secureConnect',
      next,
    );
  const via = target.via;
  step(tcp, 'connect', () => {
    const own = () => (target.tls && current ? secure(current, target.tls, finish) : finish());
    if (!via) return own();
    const proxied = () =>
      via.tunnel && current ? openTunnel(current, via, error => (error ? finish(error) : own())) : finish();
    return via.proxy.tls ? secure(tcp, { name: via.proxy.host, validate: true }, proxied) : proxied();
  });
}

function tlsOptions(socket: Socket, tls: NonNullable<DialTarget['tls']>, shared: TlsShared): ConnectionOptions {
  const session = shared.sessions.get(tls.name);
  return {
    socket,
    // RFC 6066 section 3: no addresses in server_name.
    ...(isIP(tls.name) ? {} : { servername: tls.name }),
    secureContext: shared.trust,
    ALPNProtocols: ['http/1.1'],
    rejectUnauthorized: tls.validate,
    // What is checked is the caller's host, also where an override dials an address.
    checkServerIdentity: (_host, certificate) => checkServerIdentity(tls.name, certificate),
    ...(session ? { session } : {}),
  };
}

function remember(sessions: TlsShared['sessions'], name: string, session: Buffer): void {
  sessions.delete(name);
  sessions.set(name, session);
  if (sessions.size > 500) sessions.delete(sessions.keys().next().value!);
}

/** CONNECT through the proxy (RFC 9110 section 9.3.6). */
function openTunnel(socket: Socket, via: NonNullable<DialTarget['via']>, done: (error?: Error) => void): void {
  const authorization = via.proxy.authorization ? `Proxy-Authorization: ${via.proxy.authorization}\r\n` : '';
  let head = '';
  const settle = (error?: Error) => {
    socket.off('data', onData).off('end', onEnd);
    socket.pause();
    done(error);
  };
  const onEnd = () => settle(new Error('the proxy closed the connection'));
  const onData = (chunk: Buffer) => {
    head += chunk.toString('latin1');
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return head.length > 65_536 ? settle(new Error('the proxy did not answer with HTTP')) : undefined;
    const status = /^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1];
    if (!status?.startsWith('2'))
      return settle(new Error(`the proxy answered ${status ?? 'with something that is not HTTP'}`));
    if (head.length > end + 4) socket.unshift(Buffer.from(head.slice(end + 4), 'latin1'));
    return settle();
  };
  socket.on('data', onData).on('end', onEnd);
  socket.write(`CONNECT ${via.to} HTTP/1.1\r\nHost: ${via.to}\r\n${authorization}\r\n`);
}
