import type { RawHeaders } from '../request/index.ts';

/** A request as S3 shall see it. `path` is the raw path and query, never normalised; `headers` include Host, in order. */
export interface UpstreamRequest {
  readonly method: string;
  /** Host as it is sent, `name` or `name:port`: decides overrides, TLS server name and address. */
  readonly authority: string;
  /** Scheme the client asked for. S3 hosts are always reached over TLS unless an override says otherwise. */
  readonly scheme: 'http' | 'https';
  readonly path: string;
  readonly headers: RawHeaders;
}

/** Receives one answer. Calls come in order: onInformation*, onHeaders, onData*, then onComplete; or onError at any point, once. */
export interface ResponseHandler {
  onInformation?(status: number, statusText: string, headers: RawHeaders): void;
  onHeaders(status: number, statusText: string, headers: RawHeaders): void;
  /** Returns false to pause; `exchange.resume()` goes on. The chunk is good until the call returns: what is kept of it has to be copied. */
  onData(chunk: Buffer): boolean;
  onComplete(trailers: RawHeaders): void;
  /** `error.code` from the one table; a cut or stalled body comes here, too. */
  onError(error: Error): void;
}

export interface UpstreamExchange {
  resume(): void;
  /** Stops the request; no further calls reach the handler. */
  abort(): void;
}

export interface Upstream {
  /** Sends a request without a body. Unanswered idempotent requests are retried on another address, within bounds. */
  fetch(request: UpstreamRequest, handler: ResponseHandler): UpstreamExchange;
  close(): Promise<void>;
}
