import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { CisternError } from '../errors.ts';
import { endToEnd } from '../request/index.ts';
import {
  DialError,
  isConnectionLost,
  type RelayRoute,
  type ResponseHandler,
  type S3Upstream,
  toCisternError,
  type Watched,
} from '../upstream/index.ts';
import type { Outgoing } from './answer.ts';
import type { Exchange, RelayHooks } from './types.ts';

/**
 * A request with a body, an `Expect` or trailers, by `node:http`: undici refuses those. The body streams with
 * back-pressure, and not before there is a connection, so that one that can't be made costs nothing but another try.
 */
export class StreamedRequest implements Outgoing, Watched {
  since = 0;
  patience: number;
  bytesReceived = 0;
  requestComplete = false;
  readonly #exchange: Exchange;
  readonly #upstream: S3Upstream;
  readonly #handler: ResponseHandler;
  readonly #hooks: Pick<RelayHooks, 'onRequestBody' | 'onRequestEnd'> | undefined;
  #request: ClientRequest | undefined;
  #response: IncomingMessage | undefined;
  #attempts = 0;
  /** Something has been sent. */
  #begun = false;
  /** The client's body flows. */
  #reading = false;
  /** For `100 Continue`, which the client did not wait for. */
  #waiting: NodeJS.Timeout | undefined;
  /** It waits for S3 to take more, and for whoever looks on. */
  #full = false;
  #held = false;
  #done = false;

  constructor(
    exchange: Exchange,
    upstream: S3Upstream,
    handler: ResponseHandler,
    hooks?: Pick<RelayHooks, 'onRequestBody' | 'onRequestEnd'>,
  ) {
    this.#exchange = exchange;
    this.#upstream = upstream;
    this.#handler = handler;
    this.#hooks = hooks;
    this.patience = upstream.firstByteTicks;
    upstream.watchdog.watch(this);
  }

  start(): void {
    const { authority, scheme } = this.#exchange;
    this.#attempts++;
    this.#upstream
      .relayRoute(authority, scheme)
      .then(route => this.#done || this.#send(route))
      .catch(error => this.#fail(error));
  }

  resume(): void {
    if (this.#done) return;
    this.#waitFor(this.#upstream.idleTicks);
    this.#response?.resume();
  }

  abort(): void {
    if (this.#done) return;
    this.#finish();
    this.#request?.destroy();
  }

  onStill(): void {
    if (this.#done) return;
    const when = this.#response
      ? 'it stopped in the middle of its answer'
      : this.requestComplete
        ? 'no answer'
        : 'it took no more';
    this.#fail(new CisternError('UpstreamTimeout', `(${this.#exchange.authority}: ${when})`));
    this.#request?.destroy();
  }

  #send(route: RelayRoute): void {
    const { method, framing, headers, target } = this.#exchange;
    const all = route.headers(headers);
    const plain = framing === 'none' && !BODILESS.has(method);
    const request = httpRequest({
      agent: route.agent,
      method,
      path: route.path(target),
      setHost: false,
      maxHeaderSize: 65_536,
      ...(plain ? {} : { headers: framing === 'chunked' ? [...all, 'Transfer-Encoding', 'chunked'] : [...all] }),
    });
    if (plain) sendNoBody(request, all);
    this.#request = request;
    this.#begun = false;
    request.maxHeadersCount = 0;
    let connected = false;
    const lost = (error: Error) => {
      if (this.#done || this.#response || this.#request !== request) return;
      if (!this.#mayRetry(error, connected, request)) return this.#fail(error);
      // Until another one has begun, the body has nowhere to go.
      this.#request = undefined;
      if (this.#reading) this.#exchange.req.pause();
      this.start();
    };
    request
      .on('socket', socket => {
        connected = true;
        // A head with Expect in it Node sends at once, as if it were text: by default each byte above 0x7f goes out as two.
        socket.setDefaultEncoding('latin1');
        // Whether S3 has closed a kept connection shows when the loop looks at all sockets anew, between two turns: nothing is sent yet.
        if (request.reusedSocket) setImmediate(() => setImmediate(() => this.#begin(request)));
        else this.#begin(request);
      })
      .on('information', info => {
        this.since = this.#upstream.watchdog.now;
        if (info.statusCode === 100) this.#readBody();
        if (!this.#done) this.#handler.onInformation?.(info.statusCode, info.statusMessage, endToEnd(info.rawHeaders));
      })
      .on('response', response => {
        if (!this.#isUnasked(request)) return this.#receive(response);
        // It ends here, and how is nobody's concern.
        response.on('error', () => {});
        request.destroy();
        lost(Object.assign(new Error('the server spoke without being asked'), { code: 'ECONNRESET' }));
      })
      .on('drain', () => {
        // From here the client is the one to wait for, and the listener's limits are for it.
        if (!this.requestComplete && !this.#response) this.patience = 0;
        this.#full = false;
        this.#flow();
      })
      .on('error', error => lost(error));
  }

  /**
   * What comes on a kept connection before anything was sent is no answer (RFC 9112 section 9.2), but what some servers say as
   * they close it. With Expect the head is gone already.
   */
  #isUnasked(request: ClientRequest): boolean {
    return request.reusedSocket && !this.#begun && !this.#exchange.expectsContinue;
  }

  #mayRetry(error: Error, connected: boolean, request: ClientRequest): boolean {
    if (this.#attempts >= MAX_ATTEMPTS) return false;
    if (!connected) return error instanceof DialError;
    // A kept connection that S3 had closed: nothing is gone yet, or nothing of the body and the method may be repeated.
    if (!request.reusedSocket || !isConnectionLost(error) || this.bytesReceived > 0) return false;
    return !this.#begun || isRepeatable(this.#exchange);
  }

  #begin(request: ClientRequest): void {
    if (this.#done || this.#request !== request || request.destroyed) return;
    this.#begun = true;
    this.#sendBody(request);
  }

  #sendBody(request: ClientRequest): void {
    const { expectsContinue, framing } = this.#exchange;
    if (framing === 'none' || this.requestComplete) {
      this.#sent(request);
      return;
    }
    if (expectsContinue) request.flushHeaders();
    this.patience = expectsContinue ? this.#upstream.firstByteTicks : 0;
    if (!expectsContinue) this.#readBody();
    // A body that is sent too early to a server that refuses it takes the answer with it: the connection is reset.
    else this.#waiting ??= setTimeout(() => this.#readBody(), CONTINUE_PATIENCE);
  }

  #readBody(): void {
    clearTimeout(this.#waiting);
    if (this.#done) return;
    if (this.#reading) {
      this.#flow();
      return;
    }
    this.#reading = true;
    this.#exchange.req.on('data', (chunk: Buffer) => this.#onChunk(chunk)).on('end', () => this.#onBodyEnd());
  }

  #onChunk(chunk: Buffer): void {
    this.bytesReceived += chunk.length;
    if (this.#hooks?.onRequestBody?.(chunk, this.#release) === 'hold') this.#held = true;
    if (this.#done || !this.#request) return;
    this.#full = !this.#request.write(chunk);
    if (this.#full) this.#waitFor(this.#upstream.idleTicks);
    else this.patience = 0;
    if (this.#full || this.#held) this.#exchange.req.pause();
  }

  readonly #release = (): void => {
    if (!this.#held) return;
    this.#held = false;
    this.#flow();
  };

  #flow(): void {
    if (!this.#full && !this.#held) this.#exchange.req.resume();
  }

  #onBodyEnd(): void {
    const { req } = this.#exchange;
    if (!req.complete || !this.#request) return;
    if (req.rawTrailers.length > 0) this.#request.addTrailers(pairs(req.rawTrailers));
    this.#sent(this.#request);
  }

  #sent(request: ClientRequest): void {
    if (!this.requestComplete) this.#hooks?.onRequestEnd?.();
    this.requestComplete = true;
    if (this.#done) return;
    if (!this.#response) this.#waitFor(this.#upstream.firstByteTicks);
    request.end();
  }

  #receive(response: IncomingMessage): void {
    if (this.#done) {
      response.destroy();
      return;
    }
    this.#response = response;
    clearTimeout(this.#waiting);
    this.#waitFor(this.#upstream.idleTicks);
    const ended = () => {
      if (!response.complete)
        this.#fail(new CisternError('BadGateway', `(${this.#exchange.authority}: the answer was cut)`));
    };
    response.on('error', ended).on('close', ended);
    this.#handler.onHeaders(response.statusCode!, response.statusMessage!, endToEnd(response.rawHeaders));
    response.on('data', (chunk: Buffer) => {
      if (this.#done) return;
      this.since = this.#upstream.watchdog.now;
      if (this.#handler.onData(chunk)) return;
      response.pause();
      this.patience = 0;
    });
    response.on('end', () => {
      if (this.#done || !response.complete) return;
      this.#finish();
      // A request that is over is not the agent's to destroy any more; its socket is.
      if (!this.#mayBeKept(response)) this.#request?.socket?.destroy();
      this.#handler.onComplete(response.rawTrailers);
    });
  }

  /**
   * Answered before it had the whole body, what is left of it has no place on that connection. S3 that refuses a body may have
   * read only some of it, though all is sent, and close the connection without a word.
   */
  #mayBeKept({ statusCode = 0 }: IncomingMessage): boolean {
    return this.requestComplete && (statusCode < 400 || this.bytesReceived < READ_AT_ONCE);
  }

  #waitFor(ticks: number): void {
    this.since = this.#upstream.watchdog.now;
    this.patience = ticks;
  }

  #fail(error: unknown): void {
    if (this.#done) return;
    this.#finish();
    this.#handler.onError(toCisternError(error, this.#exchange.authority));
  }

  #finish(): void {
    this.#done = true;
    clearTimeout(this.#waiting);
    this.#upstream.watchdog.unwatch(this);
    // What the client still sends has nowhere to go; the listener's limits bound it.
    if (!this.#exchange.req.complete) this.#exchange.req.resume();
  }
}

const MAX_ATTEMPTS = 3;
/** A body so small has been read with the head of its request. */
const READ_AT_ONCE = 16 << 10;
/** How long a server may take to say `100 Continue`, ms; one that does not know it says nothing (RFC 9110 section 10.1.1). */
const CONTINUE_PATIENCE = 1000;
const BODILESS = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE']);
const REPEATABLE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);
/** What a write depends on may be gone by its own doing: repeated, it would be refused though it was done (RFC 9110 section 9.2.2). */
const CONDITIONS = /^(x-amz-)?if-/i;

function isRepeatable({ method, headers }: Exchange): boolean {
  return REPEATABLE.has(method) && !headers.some((name, i) => i % 2 === 0 && CONDITIONS.test(name));
}

/** Node would announce a chunked body for a method that usually has one. */
function sendNoBody(request: ClientRequest, headers: readonly string[]): void {
  request.useChunkedEncodingByDefault = false;
  for (const [name, value] of pairs(headers)) request.appendHeader(name, value);
}

function pairs(raw: readonly string[]): [string, string][] {
  const list: [string, string][] = [];
  for (let i = 0; i < raw.length; i += 2) list.push([raw[i]!, raw[i + 1]!]);
  return list;
}
