import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { CisternError } from '../errors.ts';
import type { Wire } from '../read/index.ts';
import type { RawHeaders } from '../request/index.ts';

export type { RelayHooks } from '../write/index.ts';

/** A request that a listener took in: well-formed, with one certain authority. */
export interface TakenIn {
  readonly method: string;
  readonly scheme: 'http' | 'https';
  /** As spelled in the Host that `headers` carries. */
  readonly authority: string;
  /** Raw path and query as they came; `*` for OPTIONS of a server. */
  readonly target: string;
  /** End to end, in order, with Host = authority in place. */
  readonly headers: RawHeaders;
}

/** The same with its answer yet to be given. */
export interface Exchange extends TakenIn {
  /** Its headers are in `rawHeaders`; those read by the fast lane are nowhere else. */
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** How the request says where its body ends. `none` means that it has no body. */
  readonly framing: 'none' | 'length' | 'chunked';
  /** The client waits for `100 Continue` before it sends the body. */
  readonly expectsContinue: boolean;
  /** `host:port` of the tunnel it came through. */
  readonly tunnelHost: string | undefined;
}

/** Answers a request. A promise that rejects is answered with the error, or the connection cut. */
export type Handle = (exchange: Exchange) => void | Promise<void>;

/** Writes the whole answer to a GET or HEAD without a body before it returns; or returns false, with nothing done. */
export type AnswerAtOnce = (request: TakenIn, client: Pick<Socket, 'remoteAddress'>, wire: Wire) => boolean;

/** What counters and the access log hear of a relayed request. */
export interface RelayObserver {
  /** The final status and end-to-end headers of the upstream. */
  onAnswer?(status: number, headers: RawHeaders): void;
  /** Once, when the client has its answer or is gone. */
  onDone?(outcome: RelayOutcome): void;
}

export interface RelayOutcome {
  /** Body bytes of the answer handed to the client's connection. */
  readonly bytesSent: number;
  /** Body bytes of the request read from the client. */
  readonly bytesReceived: number;
  readonly error?: CisternError;
}
