import type { ServerResponse } from 'node:http';
import { CisternError } from '../errors.ts';
import type { Connection } from './connection.ts';
import { respondError, respondErrorRaw } from './respond-error.ts';

/** Refuses requests, with a response object or without one, and tells whoever counts them. */
export class Refusals {
  readonly #onRefused: ((error: CisternError) => void) | undefined;

  constructor(onRefused: ((error: CisternError) => void) | undefined) {
    this.#onRefused = onRefused;
  }

  request(res: ServerResponse, error: CisternError): void {
    this.#onRefused?.(error);
    respondError(res, error);
  }

  tunnel({ socket }: Connection, error: CisternError): void {
    this.#onRefused?.(error);
    respondErrorRaw(socket, error);
  }

  /** What came is no request, and there is no response object to say so. */
  connection(connection: Connection, error: CisternError): void {
    const { socket, req, res } = connection;
    connection.broken = true;
    connection.last = true;
    connection.lane?.stop();
    if (!socket.writable || socket.bytesRead === 0) {
      socket.destroy();
      return;
    }
    this.#onRefused?.(error);
    if (!res) respondErrorRaw(socket, error);
    else if (req?.complete) {
      // The answers before it come first: a 400 now would pass for one of theirs.
      if (!res.headersSent) res.shouldKeepAlive = false;
      res.once('close', () => socket.destroySoon());
    } else if (res.socket) respondError(res, error);
    else socket.destroy();
  }

  /** What Node's parser does not take, and heads that don't come in time. */
  unparsed(connection: Connection, error: Error & { code?: string; reason?: string }): void {
    if (connection.broken) return;
    connection.broken = true;
    const refused = parserError(error);
    if (refused) this.connection(connection, refused);
    else connection.socket.destroy();
  }
}

function parserError(error: { code?: string; reason?: string }): CisternError | undefined {
  if (error.code === 'HPE_HEADER_OVERFLOW') return new CisternError('RequestHeaderTooLarge');
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return new CisternError('RequestTimeout');
  return error.code?.startsWith('HPE_')
    ? new CisternError('InvalidRequest', `(${error.reason ?? error.code})`)
    : undefined;
}
