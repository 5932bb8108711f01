import { Agent, type ClientRequestArgs } from 'node:http';
import type { OnReadOpts, Socket } from 'node:net';
import { Client, type Dispatcher } from 'undici';
import { hostPort } from './authority.ts';
import { type Dialled, type DialTarget, dial, type TlsShared } from './dial.ts';
import { isCertificateError, isOutOfDescriptors } from './errors.ts';
import { Health, type HealthOptions } from './health.ts';
import { SharedRead } from './shared-read.ts';

export interface TargetOptions {
  /** Milliseconds for connecting, TLS included. */
  readonly connectTimeout: number;
  /** Milliseconds an unused connection is kept. */
  readonly idleTimeout: number;
  readonly keepAlive: boolean;
  readonly maxIdle: number;
  readonly maxConnections: number;
  readonly health: HealthOptions;
  /** Asked at each dial: throws where the address is Cistern's own. */
  readonly check: (ip: string, port: number) => void;
  /** A connection could not be made because this process may open no more files. */
  readonly onOutOfDescriptors?: (() => void) | undefined;
}

/** Node adds its own header lines to none of these: what goes out is what came in. Limit of a response head. */
export const MAX_HEADER_SIZE = 65_536;

/**
 * One address with one TLS server name: its health, its undici clients (requests without a body) and its agent (all
 * others). undici's own Pool keeps every connection until it times out; here the most recently used goes first and the
 * number of idle ones is bounded.
 */
export class Target {
  readonly to: DialTarget;
  readonly health: Health;
  readonly #options: TargetOptions;
  readonly #tls: TlsShared;
  readonly #idle: Client[] = [];
  readonly #waiting: Waiting[] = [];
  readonly #clients = new Set<Client>();
  #agent: Agent | undefined;

  constructor(to: DialTarget, options: TargetOptions, tls: TlsShared) {
    this.to = to;
    this.#options = options;
    this.#tls = tls;
    this.health = new Health(options.health);
  }

  /** Sends on an idle connection, a new one, or the next that is free. `handler` must call `release` or `discard` when it is done. */
  dispatch(request: Dispatcher.DispatchOptions, handler: TargetHandler): void {
    const client =
      this.#idle.pop() ?? (this.#clients.size < this.#options.maxConnections ? this.#connect() : undefined);
    if (client) this.#send(client, request, handler);
    else this.#waiting.push({ request, handler });
  }

  /** Takes back a request that still waits for a connection. */
  withdraw(handler: TargetHandler): boolean {
    const index = this.#waiting.findIndex(waiting => waiting.handler === handler);
    if (index >= 0) this.#waiting.splice(index, 1);
    return index >= 0;
  }

  release(client: Client): void {
    if (!this.#clients.has(client)) return;
    const next = this.#waiting.shift();
    if (next) this.#send(client, next.request, next.handler);
    else if (this.#options.keepAlive && this.#idle.length < this.#options.maxIdle) this.#idle.push(client);
    else this.#drop(client);
  }

  /** The connection is of no more use. */
  discard(client: Client): void {
    this.#drop(client);
    const next = this.#waiting.shift();
    if (next) this.dispatch(next.request, next.handler);
  }

  get agent(): Agent {
    this.#agent ??= this.#createAgent();
    return this.#agent;
  }

  /** A connection of one's own. */
  dial(done: Dialled, onread?: OnReadOpts): void {
    try {
      this.#options.check(this.to.ip, this.to.port);
    } catch (error) {
      process.nextTick(done, error, null);
      return;
    }
    const dialled: Dialled = (error, socket) => {
      const now = performance.now();
      if (!error) this.health.succeeded();
      else if (isOutOfDescriptors(error)) {
        this.health.undecided(now);
        this.#options.onOutOfDescriptors?.();
        // A certificate that doesn't fit is the person's to mend, and no sign that the address is down.
      } else if (isCertificateError(error)) this.health.undecided(now);
      else this.health.failed(now);
      done(error, socket);
    };
    dial(this.to, this.#options.connectTimeout, this.#tls, dialled, onread);
  }

  /** Connects in the background, where the address is out of rotation and its time has come. */
  probe(): void {
    if (this.health.takeProbe(performance.now())) this.dial((_error, socket) => socket?.destroy());
  }

  get inUse(): boolean {
    return this.#clients.size > this.#idle.length || Object.keys(this.#agent?.sockets ?? {}).length > 0;
  }

  close(): void {
    this.#agent?.destroy();
    for (const client of this.#clients) this.#drop(client);
  }

  toString(): string {
    return hostPort(this.to.ip, this.to.port);
  }

  #send(client: Client, request: Dispatcher.DispatchOptions, handler: TargetHandler): void {
    handler.client = client;
    client.dispatch(request, handler);
  }

  #connect(): Client {
    // undici sees a plain connection; TLS, the policy and the address are the connector's, so `Host` can't change them.
    const client = new Client(`http://${hostPort(this.to.ip, this.to.port)}`, {
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: this.#options.idleTimeout,
      maxHeaderSize: MAX_HEADER_SIZE,
      connect: (_options: unknown, done: (...args: [null, Socket] | [Error, null]) => void) => {
        const plain = this.to.tls || this.to.via ? undefined : new SharedRead();
        this.dial((error, socket) => {
          if (!socket) return done(error!, null);
          plain?.attach(socket);
          done(null, capitalised(socket));
        }, plain?.onread);
      },
    });
    // Where a request is waiting on it, undici connects again; where it failed one, that one's handler discards it.
    client.on('disconnect', () => this.#idle.includes(client) && this.#drop(client));
    this.#clients.add(client);
    return client;
  }

  #drop(client: Client): void {
    if (!this.#clients.delete(client)) return;
    const index = this.#idle.indexOf(client);
    if (index >= 0) this.#idle.splice(index, 1);
    client.destroy().catch(ignoreDestroyed);
  }

  #createAgent(): Agent {
    const { keepAlive, maxIdle, maxConnections, idleTimeout } = this.#options;
    // A body can't be sent twice, so an upload must not meet a connection that S3 is about to close: keep these shortly.
    const options = {
      keepAlive,
      maxFreeSockets: maxIdle,
      maxSockets: maxConnections,
      timeout: Math.min(idleTimeout, 4_000),
    };
    return Object.assign(new Agent(options), {
      createConnection: (_args: ClientRequestArgs, done: Dialled) => this.dial(done),
    });
  }
}

export interface TargetHandler extends Dispatcher.DispatchHandler {
  /** Set when the request is handed to a connection. */
  client: Client | undefined;
}

interface Waiting {
  readonly request: Dispatcher.DispatchOptions;
  readonly handler: TargetHandler;
}

/** undici spells `host` in lower case; callers and some S3-compatible servers' logs know it as `Host`. */
function capitalised(socket: Socket): Socket {
  const write = socket.write;
  socket.write = function (this: Socket, chunk: unknown, ...rest: unknown[]) {
    const text = typeof chunk === 'string' ? chunk.replace('\r\nhost: ', '\r\nHost: ') : chunk;
    return Reflect.apply(write, this, [text, ...rest]);
  } as typeof socket.write;
  return socket;
}

/** `destroy` settles when the socket is closed; that it was already is no error. */
function ignoreDestroyed(): void {}
