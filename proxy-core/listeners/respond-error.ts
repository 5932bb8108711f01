import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { CisternError, errorXml } from '../errors.ts';
import { bodyPending, cut, linger } from './closing.ts';

/** Answers with an S3-style error, or cuts the connection where an answer has begun: a client must never take it for whole. */
export function respondError(res: ServerResponse, error: CisternError): void {
  if (res.headersSent || error.code === 'ClientClosedRequest') {
    cut(res);
    return;
  }
  const id = requestId();
  const body = Buffer.from(errorXml(error, id));
  if (bodyPending(res.req)) {
    res.shouldKeepAlive = false;
    if (res.socket) linger(res.socket);
  }
  res.sendDate = true;
  res.writeHead(error.status, [...headersOf(error, id), 'Content-Length', String(body.length)]);
  res.end(body);
}

/** The same for a connection whose request could not be parsed: there is no response object to use. */
export function respondErrorRaw(socket: Socket, error: CisternError): void {
  const id = requestId();
  const body = Buffer.from(errorXml(error, id));
  const headers = [...headersOf(error, id), 'Content-Length', String(body.length), 'Connection', 'close'];
  let head = `HTTP/1.1 ${error.status} ${error.code}\r\nDate: ${new Date().toUTCString()}\r\n`;
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`;
  linger(socket);
  socket.end(Buffer.concat([Buffer.from(`${head}\r\n`, 'latin1'), body]));
  socket.destroySoon();
}

export function asCisternError(error: unknown): CisternError {
  return error instanceof CisternError
    ? error
    : new CisternError('InternalError', `(${error instanceof Error ? error.message : String(error)})`, {
        cause: error,
      });
}

function headersOf(error: CisternError, id: string): string[] {
  const headers = ['x-amz-request-id', id, 'Content-Type', 'application/xml'];
  if (error.status === 503) headers.push('Retry-After', '1');
  return headers;
}

function requestId(): string {
  return randomBytes(8).toString('hex').toUpperCase();
}
