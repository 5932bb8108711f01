import type { Client, Dispatcher } from 'undici';
import { CisternError } from '../errors.ts';
import { endToEnd, type RawHeaders } from '../request/index.ts';
import { DialError, isCertificateError, isConnectionLost, toCisternError } from './errors.ts';
import type { Route } from './route.ts';
import type { Target, TargetHandler } from './target.ts';
import type { ResponseHandler, UpstreamExchange, UpstreamRequest } from './types.ts';
import type { Watchdog, Watched } from './watchdog.ts';

export interface FetchContext {
  readonly watchdog: Watchdog;
  /** Ticks of the watchdog */
  readonly firstByte: number;
  readonly idle: number;
  readonly route: (authority: string, scheme: 'http' | 'https') => Route | Promise<Route>;
}

/** One request without a body and its answer. It is itself undici's handler: a transfer makes no closures. */
export class Fetch implements UpstreamExchange, TargetHandler, Watched {
  client: Client | undefined;
  since = 0;
  patience: number;
  readonly #context: FetchContext;
  readonly #request: UpstreamRequest;
  readonly #handler: ResponseHandler;
  readonly #tried: Target[] = [];
  #target: Target | undefined;
  #stop: ((error?: Error) => void) | undefined;
  #continue: (() => void) | undefined;
  #attempts = 0;
  #retryTimer: NodeJS.Timeout | undefined;
  /** The request is on the wire. */
  #sent = false;
  /** Something of an answer came. */
  #answered = false;
  #done = false;

  constructor(context: FetchContext, request: UpstreamRequest, handler: ResponseHandler) {
    this.#context = context;
    this.#request = request;
    this.#handler = handler;
    this.patience = context.firstByte;
    context.watchdog.watch(this);
  }

  start(): void {
    try {
      const route = this.#context.route(this.#request.authority, this.#request.scheme);
      if (route instanceof Promise) {
        route.then(
          found => this.#go(found),
          error => this.#fail(error),
        );
      } else this.#go(route);
    } catch (error) {
      // The caller hears of it as of any other error: after `fetch` has returned.
      process.nextTick(failLater, this, error);
    }
  }

  resume(): void {
    const go = this.#continue;
    if (this.#done || !go || this.patience > 0) return;
    this.since = this.#context.watchdog.now;
    this.patience = this.#context.idle;
    go();
  }

  abort(): void {
    if (this.#done) return;
    this.#finish();
    this.#cutOff();
  }

  onStill(): void {
    if (this.#done) return;
    const detail = this.#answered ? 'it stopped in the middle of its answer' : 'no answer';
    this.#finish();
    this.#cutOff();
    this.#handler.onError(new CisternError('UpstreamTimeout', `(${this.#request.authority}: ${detail})`));
  }

  onConnect(abort: (error?: Error) => void): void {
    if (this.#done) {
      abort();
      return;
    }
    this.#stop = abort;
    this.#sent = true;
  }

  onResponseStarted(): void {
    this.#answered = true;
  }

  onHeaders(status: number, raw: Buffer[], resume: () => void, statusText: string): boolean {
    if (this.#done) return false;
    this.#answered = true;
    this.since = this.#context.watchdog.now;
    if (status < 200) {
      this.#handler.onInformation?.(status, statusText, endToEnd(decode(raw)));
      return true;
    }
    this.#continue = resume;
    this.patience = this.#context.idle;
    this.#handler.onHeaders(status, statusText, endToEnd(decode(raw)));
    return true;
  }

  onData(chunk: Buffer): boolean {
    if (this.#done) return false;
    this.since = this.#context.watchdog.now;
    // undici's parser, when it goes on after a pause, begins with nothing.
    if (chunk.length === 0 || this.#handler.onData(chunk)) return true;
    // Waiting for the reader is no stillness of S3's.
    if (!this.#done) this.patience = 0;
    return false;
  }

  onComplete(trailers: readonly (string | Buffer)[] | null): void {
    const { client } = this;
    if (client) this.#target?.release(client);
    if (this.#done) return;
    this.#finish();
    this.#handler.onComplete(trailers && trailers.length > 0 ? decode(trailers as readonly Buffer[]) : NONE);
  }

  onError(error: Error): void {
    const { client } = this;
    if (client) this.#target?.discard(client);
    this.client = undefined;
    if (this.#done) return;
    if (this.#mayRetry(error)) this.#retry();
    else this.#fail(error);
  }

  #go(route: Route): void {
    if (this.#done) return;
    this.#attempts++;
    this.#sent = false;
    this.#stop = undefined;
    const target = route.pick(this.#tried);
    this.#target = target;
    const { method, path, headers } = this.#request;
    const request: Dispatcher.DispatchOptions = {
      method: method as Dispatcher.HttpMethod,
      path: route.path(path),
      headers: route.headers(headers) as string[],
      // undici closes the connection after each HEAD unless told that the server can be trusted not to send a body.
      reset: false,
      idempotent: true,
      blocking: false,
    };
    try {
      target.dispatch(request, this);
    } catch (error) {
      this.#fail(error);
    }
  }

  #mayRetry(error: Error): boolean {
    if (this.#answered || this.#attempts >= MAX_ATTEMPTS || isCertificateError(error)) return false;
    if (error instanceof DialError || !this.#sent) return !(error instanceof CisternError);
    return SAFE.has(this.#request.method) && isConnectionLost(error);
  }

  #retry(): void {
    if (this.#target) this.#tried.push(this.#target);
    // The first is at once: most often a kept connection that S3 had closed meanwhile.
    const delay = this.#attempts === 1 ? 0 : 50 * 2 ** this.#attempts * (0.5 + Math.random());
    this.#retryTimer = setTimeout(() => this.start(), delay);
  }

  #fail(error: unknown): void {
    if (this.#done) return;
    this.#finish();
    this.#handler.onError(toCisternError(error, this.#request.authority));
  }

  #finish(): void {
    this.#done = true;
    this.#context.watchdog.unwatch(this);
    clearTimeout(this.#retryTimer);
  }

  /** Ends the connection, whose answer nobody will read. */
  #cutOff(): void {
    this.#target?.withdraw(this);
    this.#stop?.();
  }

  static failLater(fetch: Fetch, error: unknown): void {
    fetch.#fail(error);
  }
}

const MAX_ATTEMPTS = 3;
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);
const NONE: RawHeaders = [];
const failLater = Fetch.failLater;

function decode(raw: readonly Buffer[]): string[] {
  const headers = new Array<string>(raw.length);
  for (let i = 0; i < raw.length; i++) headers[i] = raw[i]!.toString('latin1');
  return headers;
}
