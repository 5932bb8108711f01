import type { ServerResponse } from 'node:http';
import { CisternError } from '../errors.ts';
import type { RawHeaders } from '../request/index.ts';
import { DialError, type ResponseHandler, type UpstreamExchange } from '../upstream/index.ts';
import { linger } from './closing.ts';
import { respondError } from './respond-error.ts';
import type { Exchange, RelayHooks, RelayObserver } from './types.ts';

export interface RelayOptions {
  readonly hooks?: RelayHooks | undefined;
  readonly observer?: RelayObserver | undefined;
  /** Added to the answer's headers. */
  readonly extra?: RawHeaders;
}

/** How a request goes out; the answer comes to the handler. */
export interface Outgoing extends UpstreamExchange {
  /** The whole request went out: from here on only the answer tells whether S3 acted on it. */
  readonly requestComplete: boolean;
  readonly bytesReceived: number;
}

/** Gives the client what the upstream answers, as it comes. One per relayed request. */
export class Answer implements ResponseHandler {
  outgoing!: Outgoing;
  readonly #exchange: Exchange;
  readonly #res: ServerResponse;
  readonly #hooks: RelayHooks | undefined;
  readonly #options: RelayOptions;
  #bytesSent = 0;
  #error: CisternError | undefined;
  /** Waiting for a hook: what comes meanwhile is kept here. */
  #held: Buffer[] | undefined;
  #last: Buffer | undefined;
  #headers: readonly [number, string, RawHeaders] | undefined;
  #answered = false;
  #complete: RawHeaders | undefined;
  #ending = false;
  /** Nothing more is given to the client. */
  #closed = false;
  #paused = false;
  #flushing = false;

  constructor(exchange: Exchange, options: RelayOptions) {
    this.#exchange = exchange;
    this.#res = exchange.res;
    this.#options = options;
    this.#hooks = options.hooks;
    exchange.res.sendDate = false;
    exchange.res.on('close', () => this.#clientClosed());
  }

  /** For a client that had left already nothing is sent. */
  get gone(): boolean {
    if (!this.#res.destroyed) return false;
    this.#closed = true;
    this.#hooks?.onNotDone?.();
    const error = new CisternError('ClientClosedRequest');
    this.#options.observer?.onDone?.({ bytesSent: 0, bytesReceived: 0, error });
    return true;
  }

  onInformation(status: number, statusText: string, headers: RawHeaders): void {
    const { req } = this.#exchange;
    if (this.#closed || this.#res.headersSent || req.httpVersionMinor === 0) return;
    // Node must know that 100 was sent, else it closes the connection after the answer.
    if (status === 100) this.#res.writeContinue();
    else if (this.#res.socket) this.#res.socket.write(interim(status, statusText, headers), 'latin1');
  }

  onHeaders(status: number, statusText: string, headers: RawHeaders): void {
    this.#answered = true;
    this.#options.observer?.onAnswer?.(status, headers);
    this.#headers = [status, statusText, headers];
    const wait = this.#hooks?.beforeHeaders?.(status, headers);
    if (wait) this.#hold(wait, () => this.#writeHead());
    else this.#writeHead();
  }

  onData(chunk: Buffer): boolean {
    this.#hooks?.onResponseBody?.(chunk);
    if (this.#held) {
      this.#held.push(chunk);
      this.#paused = true;
      return false;
    }
    return this.#pass(chunk);
  }

  onComplete(trailers: RawHeaders): void {
    this.#complete = trailers;
    if (!this.#held) this.#end();
  }

  onError(error: Error): void {
    const failure =
      error instanceof CisternError ? error : new CisternError('BadGateway', `(${error.message})`, { cause: error });
    this.#error ??= failure;
    const tell = () => {
      if (this.#closed) return;
      this.#closed = true;
      respondError(this.#res, failure);
    };
    const acted = mayHaveActed(failure);
    const wait = acted ? this.#hooks?.onUnknownOutcome?.() : undefined;
    if (!acted) this.#hooks?.onNotDone?.();
    if (wait) wait.then(tell, tell);
    else tell();
  }

  #writeHead(): void {
    const res = this.#res;
    if (this.#closed || !this.#headers) return;
    if (res.headersSent || res.destroyed) return;
    const [status, statusText, headers] = this.#headers;
    if (this.#exchange.framing !== 'none' && !this.#exchange.req.complete) {
      // The upload goes on, or never began: where the next request starts on this connection is not certain.
      res.shouldKeepAlive = false;
      if (res.socket) linger(res.socket);
    }
    const { extra } = this.#options;
    try {
      res.writeHead(status, printable(statusText), (extra ? [...headers, ...extra] : headers) as string[]);
    } catch (error) {
      // Node writes no header with control characters in it, though it reads some.
      this.outgoing.abort();
      this.onError(
        new CisternError('BadGateway', `(the answer can't be passed on: ${String(error)})`, { cause: error }),
      );
      return;
    }
    if (this.#exchange.method === 'HEAD' || this.#complete) return;
    // A head without a body yet must not wait for it; with one it goes out in the same packet.
    this.#flushing = true;
    process.nextTick(flush, this);
  }

  static flush(answer: Answer): void {
    if (!answer.#flushing || answer.#closed || answer.#complete) return;
    // `flushHeaders` takes the head for text, and sends each byte above 0x7f as two.
    answer.#res.write(NOTHING);
  }

  /** With `holdsEnd` always one chunk behind. */
  #pass(chunk: Buffer): boolean {
    if (!this.#hooks?.holdsEnd) return this.#write(chunk);
    const previous = this.#last;
    this.#last = chunk;
    return previous ? this.#write(previous) : true;
  }

  #write(chunk: Buffer): boolean {
    if (this.#closed) return true;
    this.#flushing = false;
    this.#bytesSent += chunk.length;
    if (this.#res.write(chunk)) return true;
    this.#paused = true;
    this.#res.once('drain', this.#onDrain);
    return false;
  }

  readonly #onDrain = (): void => this.#resume();

  #resume(): void {
    if (!this.#paused || this.#held) return;
    this.#paused = false;
    this.outgoing.resume();
  }

  #end(): void {
    if (this.#ending) return;
    this.#ending = true;
    const wait = this.#hooks?.beforeEnd?.();
    if (wait) this.#hold(wait, () => this.#finish());
    else this.#finish();
  }

  #finish(): void {
    const trailers = this.#complete ?? [];
    if (this.#closed) return;
    if (this.#last) this.#write(this.#last);
    this.#last = undefined;
    if (trailers.length > 0) this.#res.addTrailers(pairs(trailers));
    this.#closed = true;
    this.#res.end();
  }

  /** Keeps the answer back until a hook is through. A hook that fails is a failure of ours: the client must not take it for done. */
  #hold(wait: Promise<void>, then: () => void): void {
    this.#held = [];
    wait.then(
      () => {
        const held = this.#held ?? [];
        this.#held = undefined;
        then();
        let flowing = true;
        for (const chunk of held) flowing = this.#pass(chunk) && flowing;
        if (this.#complete) this.#end();
        else if (flowing) this.#resume();
      },
      error => {
        this.outgoing.abort();
        this.onError(new CisternError('InternalError', `(${String(error)})`, { cause: error }));
      },
    );
  }

  /** The answer is out, or the client went away. */
  #clientClosed(): void {
    const gone = !this.#closed && !this.#error;
    this.#closed = true;
    if (!gone) {
      this.#done();
      return;
    }
    this.#error = new CisternError('ClientClosedRequest');
    if (this.#hooks && this.outgoing.requestComplete) {
      // A write that is wholly sent happens whether its client waits or not: its answer is still awaited and acted upon.
      this.#resume();
      this.#done();
      return;
    }
    this.outgoing.abort();
    const known = this.#answered && !(this.#hooks?.holdsEnd && !this.#ending);
    const wait = known ? undefined : this.#hooks?.onUnknownOutcome?.();
    if (wait)
      wait.then(
        () => this.#done(),
        error => this.#done(error),
      );
    else this.#done();
  }

  #done(failure?: unknown): void {
    if (failure !== undefined)
      this.#error = new CisternError('InternalError', `(${String(failure)})`, { cause: failure });
    this.#options.observer?.onDone?.({
      bytesSent: this.#bytesSent,
      bytesReceived: this.outgoing.bytesReceived,
      ...(this.#error ? { error: this.#error } : {}),
    });
  }
}

const flush = Answer.flush;
const NOTHING = Buffer.alloc(0);

/** Whether S3 may have had the request, though no answer came. */
function mayHaveActed(error: CisternError): boolean {
  if (error.cause instanceof DialError) return false;
  return error.code === 'BadGateway' || error.code === 'UpstreamTimeout';
}

/** A reason phrase that undici decoded as UTF-8 may hold what a status line can't. It means nothing (RFC 9112 section 4). */
function printable(statusText: string): string {
  return statusText.replace(/[^\t\x20-\x7e\x80-\xff]/g, '?');
}

function interim(status: number, statusText: string, headers: RawHeaders): string {
  let text = `HTTP/1.1 ${status} ${statusText}\r\n`;
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return `${text}\r\n`;
}

function pairs(raw: RawHeaders): [string, string][] {
  const list: [string, string][] = [];
  for (let i = 0; i < raw.length; i += 2) list.push([raw[i]!, raw[i + 1]!]);
  return list;
}
