import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Ends a connection whose answer can't be completed, so that the client sees a cut. Where only the end of the connection
 * would mark the end of the body (HTTP/1.0), an orderly close would look complete: there it is reset.
 */
export function cut(res: ServerResponse): void {
  const { socket } = res;
  if (socket && res.req.httpVersionMinor === 0) socket.resetAndDestroy();
  res.destroy();
}

/**
 * Lets the close after an early answer wait for the client: closing on bytes that were not read resets the connection, and
 * the client would lose the answer with it (RFC 9112 section 9.6). What still comes is thrown away, for two seconds at most.
 */
export function linger(socket: Socket): void {
  socket.destroySoon = () => {
    socket.end();
    socket.resume();
    const timer = setTimeout(() => socket.destroy(), LINGER).unref();
    socket.once('close', () => clearTimeout(timer));
    if (socket.readableEnded) socket.destroy();
    else socket.once('end', () => socket.destroy());
  };
}

const LINGER = 2_000;

/** Part of the body may still come. Node calls a request incomplete until its handler has returned, also where it has no body. */
export function bodyPending(req: IncomingMessage): boolean {
  return !req.complete && req.rawHeaders.some((name, i) => i % 2 === 0 && FRAMING.test(name));
}

const FRAMING = /^(content-length|transfer-encoding)$/i;
