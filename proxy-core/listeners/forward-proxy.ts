import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { CisternError } from '../errors.ts';
import type { Wire } from '../read/index.ts';
import { type ClientLimits, Connection } from './connection.ts';
import type { Inlet, Listening } from './inlet.ts';
import type { InnerResponse } from './inner-response.ts';
import { intake } from './intake.ts';
import { Lane } from './lane.ts';
import type { PlainHead } from './plain-head.ts';
import { Refusals } from './refusals.ts';
import { asCisternError, respondError } from './respond-error.ts';
import { Turns } from './turns.ts';
import type { AnswerAtOnce, Handle } from './types.ts';

export interface ForwardProxyOptions extends ClientLimits {
  readonly handle: Handle;
  /** Tried before `handle` for what the fast lane knows. Without it all connections are read by `node:http`, to the same effect. */
  readonly answerAtOnce?: AnswerAtOnce | undefined;
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** In the place of host and port. */
  readonly inlet?: Inlet | undefined;
  /** Milliseconds for the head of a request. */
  readonly headerTimeout: number;
  readonly maxConnections: number;
  /** Connections above `maxConnections` that may wait to be told so; further ones are closed at once. */
  readonly maxSurplus?: number;
  readonly maxRequests: number;
  /** Takes CONNECT requests; the tunnel's end is the socket's. */
  readonly connect: ConnectHandler;
  /** Bumped on the hot path. */
  readonly activity: { active_requests: number; active_connections: number };
  /** Hears of requests that were refused before they reached `handle`. */
  readonly onRefused?: (error: CisternError) => void;
  /** A client that came above `maxConnections`; or that the system could not hand over (EMFILE, ENFILE, …). */
  readonly onCrowded?: (error: NodeJS.ErrnoException | undefined) => void;
}

export type ConnectHandler = (target: string, socket: Socket, head: Buffer, proxy: TunnelEnd) => void;

/** What a CONNECT handler may do with the connection it was given. */
export interface TunnelEnd {
  refuse(error: CisternError): void;
  /** The tunnel carries plain HTTP: its requests take the normal way, and must name `target` as their Host. */
  serveHttp(first: Buffer): void;
}

export interface ForwardProxy {
  readonly server: Server;
  /** Resolves when connections are accepted; rejects with the system's error (EADDRINUSE, …). */
  listen(): Promise<void>;
  readonly address: Listening;
  /** Accepts no more; running transfers have `grace` milliseconds to finish. */
  close(grace: number): Promise<void>;
}

export const MAX_HEADER_SIZE = 65_536;
/** How connections are accepted, by whichever process does it. */
export const ACCEPTING = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 } as const;
/** Connections that the kernel holds until they are accepted. */
export const BACKLOG = 4096;

export function createForwardProxy(options: ForwardProxyOptions): ForwardProxy {
  return new HttpForwardProxy(options);
}

interface Tracked extends Socket {
  [STATE]?: Connection;
}

const STATE = Symbol('connection');

class HttpForwardProxy implements ForwardProxy {
  readonly server: Server;
  readonly #options: ForwardProxyOptions;
  readonly #connections = new Set<Connection>();
  readonly #turns = new Turns();
  readonly #refusals: Refusals;
  readonly #activity: ForwardProxyOptions['activity'];
  /** Node's own listener for connections, which it adds to each server. */
  readonly #toHttp: (socket: Socket) => void;
  readonly #onResponseClose: (this: ServerResponse) => void;
  #sweep: NodeJS.Timeout | undefined;
  #stopping = false;
  readonly #onEmpty: (() => void)[] = [];

  constructor(options: ForwardProxyOptions) {
    this.#options = options;
    this.#activity = options.activity;
    this.#refusals = new Refusals(options.onRefused);
    this.server = createServer({
      maxHeaderSize: MAX_HEADER_SIZE,
      // Checked in `intake`, with a body that says what is wrong.
      requireHostHeader: false,
      insecureHTTPParser: false,
      // It would cut long uploads; silence and slowness are what `Connection` limits.
      requestTimeout: 0,
      headersTimeout: options.headerTimeout,
      connectionsCheckingInterval: Math.min(5_000, Math.max(20, options.headerTimeout / 4)),
      keepAliveTimeout: 0,
      ...ACCEPTING,
    });
    // Node drops header lines above a number without a word; the size limit is the one that refuses.
    this.server.maxHeadersCount = 0;
    this.server.timeout = 0;
    // A client that ends its side after the request still wants the answer; one that has gone is noticed by the first write.
    (this.server as Server & { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true;
    const closed = (res: ServerResponse) => this.#responseClosed(res);
    this.#onResponseClose = function () {
      closed(this);
    };
    const [toHttp] = this.server.listeners('connection');
    this.#toHttp = socket => toHttp!.call(this.server, socket);
    this.server
      .removeAllListeners('connection')
      .on('connection', socket => this.#accept(socket))
      .on('request', (req, res) => this.#take(req, res, false))
      .on('checkContinue', (req, res) => this.#take(req, res, true))
      .on('checkExpectation', (_req, res) => this.#refusals.request(res, new CisternError('ExpectationFailed')))
      .on('connect', (req, socket: Socket, head) => this.#connect(req, socket, head))
      .on('clientError', (error, socket: Tracked) => {
        const connection = socket[STATE];
        if (connection) this.#refusals.unparsed(connection, error);
      });
  }

  listen(): Promise<void> {
    const { host, port, inlet, idleTimeout, headerTimeout } = this.#options;
    const soonest = Math.min(idleTimeout / 8, headerTimeout / 4);
    const began = () => {
      this.#sweep = setInterval(() => this.#checkClients(), Math.min(1_000, Math.max(5, soonest))).unref();
    };
    if (inlet) {
      // With this Node begins to watch over the heads of requests.
      this.server.emit('listening');
      inlet.open(socket => this.#takeIn(socket));
      began();
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen({ host, port, backlog: BACKLOG }, () => {
        this.server.off('error', reject);
        // Of one connection that could not be accepted: those that are there go on, and the next one is tried.
        this.server.on('error', error => this.#options.onCrowded?.(error));
        began();
        resolve();
      });
    });
  }

  get address(): Listening {
    return this.#options.inlet?.address ?? (this.server.address() as AddressInfo);
  }

  async close(grace: number): Promise<void> {
    this.#stopping = true;
    this.#options.inlet?.close();
    const closed = Promise.all([new Promise<void>(resolve => this.server.close(() => resolve())), this.#emptied()]);
    for (const connection of this.#connections) {
      if (connection.res && !connection.res.headersSent) connection.res.shouldKeepAlive = false;
      else if (!connection.res && !connection.tunnel) connection.socket.destroySoon();
    }
    const timer = setTimeout(() => {
      for (const { socket } of this.#connections) socket.destroy();
    }, grace);
    await closed;
    clearTimeout(timer);
    clearInterval(this.#sweep);
  }

  /** Node's server knows of those only that it has accepted itself. */
  #emptied(): Promise<void> {
    if (this.#connections.size === 0) return Promise.resolve();
    return new Promise(resolve => {
      this.#onEmpty.push(resolve);
    });
  }

  /** What Node's server does with a socket; the rest is the kernel's and was set by {@link ACCEPTING}. */
  #takeIn(socket: Socket): void {
    socket.allowHalfOpen = true;
    this.#accept(socket);
  }

  #accept(socket: Tracked): void {
    const now = performance.now();
    const { maxConnections, maxSurplus = Number.POSITIVE_INFINITY } = this.#options;
    const surplus = this.#connections.size >= maxConnections;
    if (surplus) this.#options.onCrowded?.(undefined);
    if (this.#connections.size >= maxConnections + maxSurplus) {
      socket.destroy();
      return;
    }
    const connection = new Connection(socket, surplus, now);
    socket[STATE] = connection;
    this.#connections.add(connection);
    this.#activity.active_connections++;
    socket.once('close', () => {
      this.#connections.delete(connection);
      this.#activity.active_connections--;
      if (this.#connections.size === 0) for (const resolve of this.#onEmpty.splice(0)) resolve();
    });
    const { answerAtOnce } = this.#options;
    if (answerAtOnce) connection.lane = this.#lane(connection, answerAtOnce, now);
    else this.#toHttp(socket);
  }

  #lane(connection: Connection, answerAtOnce: AnswerAtOnce, now: number): Lane {
    const { socket } = connection;
    return new Lane(
      socket,
      {
        answerAtOnce: (head, wire) => this.#answerAtOnce(connection, head, wire, answerAtOnce),
        inTurn: act => this.#turns.take(act),
        take: (req, res) => this.#take(req, res, false),
        takeOver: () => {
          connection.lane = undefined;
          this.#toHttp(socket);
        },
        refuse: error => this.#refusals.connection(connection, error),
        onUnsent: change => {
          this.#activity.active_requests += change;
        },
      },
      now,
    );
  }

  #answerAtOnce(connection: Connection, head: PlainHead, wire: Wire, answer: AnswerAtOnce): boolean {
    if (this.#stopping || connection.surplus || this.#activity.active_requests >= this.#options.maxRequests)
      return false;
    const found = intake(head.method, head.url, head.rawHeaders, 1);
    if (found instanceof CisternError || found.framing !== 'none') return false;
    const { scheme, authority, target, headers } = found;
    const { socket } = connection;
    return answer({ method: head.method, scheme, authority, target, headers }, socket, wire);
  }

  #take(req: IncomingMessage, res: ServerResponse, expectsContinue: boolean): void {
    const connection = (req.socket as Tracked)[STATE]!;
    if (connection.last) return;
    if (connection.res) {
      // Pipelined: one after the other, so that a read behind a write sees what was written (RFC 9112 section 9.3.2).
      connection.waitInLine(
        () => this.#take(req, res, expectsContinue),
        () => this.#refusals.connection(connection, new CisternError('SlowDown')),
      );
      return;
    }
    const method = req.method!;
    const found = intake(method, req.url!, req.rawHeaders, req.httpVersionMinor, connection.tunnelHost);
    if (this.#stopping) res.shouldKeepAlive = false;
    if (found instanceof CisternError) {
      // A head that can be read in two ways says nothing sure about where the next one begins.
      res.shouldKeepAlive = false;
      connection.broken = true;
      connection.last = true;
      this.#refusals.request(res, found);
      return;
    }
    const activity = this.#activity;
    if (activity.active_requests >= this.#options.maxRequests || connection.surplus) {
      if (connection.surplus) res.shouldKeepAlive = false;
      this.#refusals.request(res, new CisternError('SlowDown'));
      return;
    }
    activity.active_requests++;
    connection.req = req;
    connection.res = res;
    res.on('close', this.#onResponseClose);
    const { scheme, authority, target, headers, framing } = found;
    const { tunnelHost } = connection;
    try {
      const promise = this.#options.handle({
        req,
        res,
        method,
        scheme,
        authority,
        target,
        headers,
        framing,
        expectsContinue,
        tunnelHost,
      });
      if (promise) promise.catch(error => respondError(res, asCisternError(error)));
    } catch (error) {
      respondError(res, asCisternError(error));
    }
  }

  #responseClosed(res: ServerResponse): void {
    this.#activity.active_requests--;
    const connection = (res.req.socket as Tracked)[STATE];
    if (connection?.res !== res) return;
    connection.req = undefined;
    connection.res = undefined;
    // It said so: nothing that comes behind it is acted upon (RFC 9112 section 9.6).
    if ((res as InnerResponse)._last === true) connection.last = true;
    if (this.#stopping) connection.socket.destroySoon();
    else connection.takeNext();
  }

  #connect(req: IncomingMessage, socket: Tracked, head: Buffer): void {
    const connection = socket[STATE]!;
    connection.tunnel = true;
    const refuse = (error: CisternError) => this.#refusals.tunnel(connection, error);
    socket.on('error', () => socket.destroy());
    if (this.#stopping || connection.surplus) {
      refuse(new CisternError(this.#stopping ? 'ShuttingDown' : 'SlowDown'));
      return;
    }
    const target = req.url!;
    const serveHttp = (first: Buffer) => {
      connection.tunnel = false;
      connection.tunnelHost = target;
      socket.unshift(first);
      this.#toHttp(socket);
      socket.resume();
    };
    this.#options.connect(target, socket, head, { refuse, serveHttp });
  }

  #checkClients(): void {
    const now = performance.now();
    const { headerTimeout } = this.#options;
    for (const connection of this.#connections) {
      const since = connection.lane?.waitsSince;
      if (since !== undefined && now - since > headerTimeout)
        this.#refusals.connection(connection, new CisternError('RequestTimeout'));
      else if (connection.overdue(now, this.#options)) connection.socket.destroy();
    }
  }
}
