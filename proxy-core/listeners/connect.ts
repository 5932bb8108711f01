import type { Socket } from 'node:net';
import { CisternError } from '../errors.ts';
import { parseAuthority, type S3Upstream, toCisternError } from '../upstream/index.ts';
import type { ConnectHandler, TunnelEnd } from './forward-proxy.ts';

export interface ConnectOptions {
  readonly upstream: Pick<S3Upstream, 'tunnel' | 'checkTunnel' | 'isOverridden'>;
  /** Milliseconds without a byte in either direction after which a tunnel is closed. */
  readonly idleTimeout: number;
}

/**
 * CONNECT (RFC 9110 section 9.3.6): a tunnel. Where plain HTTP is to be expected, on port 80 and on ports that an upstream
 * override names, the first bytes decide; several SDKs send their plain requests that way.
 */
export function createConnectHandler({ upstream, idleTimeout }: ConnectOptions): ConnectHandler {
  return (target, socket, head, end) => {
    const port = parseAuthority(target)?.port;
    if (port === undefined) {
      end.refuse(new CisternError('InvalidRequest', '(CONNECT needs host:port)'));
      return;
    }
    socket.setTimeout(idleTimeout, () => socket.destroy());
    const blind = (first: Buffer, greeted: boolean) =>
      upstream.tunnel(target).then(
        remote => {
          if (!greeted) socket.write(ESTABLISHED);
          splice(socket, remote, first);
        },
        error => (greeted ? socket.destroy() : end.refuse(toCisternError(error, target))),
      );
    try {
      if (port === 80 || upstream.isOverridden(target)) peek(upstream, target, socket, head, end, blind);
      else void blind(head, false);
    } catch (error) {
      end.refuse(toCisternError(error, target));
    }
  };
}

const ESTABLISHED = 'HTTP/1.1 200 Connection established\r\n\r\n';

function peek(
  upstream: ConnectOptions['upstream'],
  target: string,
  socket: Socket,
  head: Buffer,
  end: TunnelEnd,
  blind: (first: Buffer, greeted: boolean) => void,
): void {
  const decide = (first: Buffer) => {
    if (!isPlainHttp(first)) return blind(first, true);
    socket.setTimeout(0);
    return end.serveHttp(first);
  };
  upstream.checkTunnel(target).then(
    () => {
      if (socket.destroyed) return;
      // Clients speak first in HTTP as in TLS, but only once they have this answer.
      socket.write(ESTABLISHED);
      if (head.length > 0) return decide(head);
      const onData = (first: Buffer) => {
        socket.off('end', onEnd).pause();
        decide(first);
      };
      const onEnd = () => {
        socket.off('data', onData).destroy();
      };
      socket.once('data', onData).once('end', onEnd);
    },
    error => end.refuse(toCisternError(error, target)),
  );
}

/** A request line begins with a method; TLS with 0x16. HTTP/2 with prior knowledge is no HTTP/1. */
export function isPlainHttp(first: Buffer): boolean {
  return (
    /^[A-Za-z][A-Za-z-]*( |$)/.test(first.toString('latin1', 0, 32)) &&
    !first.toString('latin1', 0, 6).startsWith('PRI * ')
  );
}

/** Both ways with back-pressure; an end on one side ends that direction only. */
function splice(client: Socket, remote: Socket, first: Buffer): void {
  remote.on('error', () => remote.destroy());
  if (client.destroyed) {
    remote.destroy();
    return;
  }
  client.allowHalfOpen = true;
  remote.allowHalfOpen = true;
  client.once('close', () => remote.destroy());
  remote.once('close', () => client.destroySoon());
  if (first.length > 0) remote.write(first);
  client.pipe(remote);
  remote.pipe(client);
}
