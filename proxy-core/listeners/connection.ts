import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Lane } from './lane.ts';

export interface ClientLimits {
  /** Milliseconds a client may be silent: between requests, in the middle of a body, or not reading its answer. */
  readonly idleTimeout: number;
  /** Bytes a second that an upload must reach over `idleTimeout`; 128 where not given. */
  readonly minBodyRate?: number;
}

const MIN_BODY_RATE = 128;
/** Requests of one connection that may wait for the answers to others. */
const MOST_PIPELINED = 1000;

/** What is known of one client connection. Checked from outside every now and then, so that a request costs no timer. */
export class Connection {
  readonly socket: Socket;
  /** Above the limit on connections: the first request is answered 503. */
  readonly surplus: boolean;
  tunnelHost: string | undefined;
  /** Reads the requests, until `node:http` does. */
  lane: Lane | undefined;
  /** The latest request and its answer, while it is not finished. */
  req: IncomingMessage | undefined;
  res: ServerResponse | undefined;
  /** Ways to take in the requests that came before the answer to the latest was through, in their order. */
  readonly #pipelined: (() => void)[] = [];
  /** More came than may wait: those that do are answered, and what comes behind them is not. */
  #overrun = false;
  /** The parser gave up on it. */
  broken = false;
  /** Where the next request begins is not certain: none is taken any more. */
  last = false;
  /** Carries a tunnel, which has its own limits. */
  tunnel = false;
  #since: number;
  #state: Waiting = 'request';
  #read = 0;
  #written = 0;
  #queued = 0;

  constructor(socket: Socket, surplus: boolean, now: number) {
    this.socket = socket;
    this.surplus = surplus;
    this.#since = now;
  }

  /**
   * A request that came before the answer to the latest was through: `take` takes it in when its turn comes. The first that there
   * is no room for is refused when all before it have been answered, and what comes behind it is not looked at.
   */
  waitInLine(take: () => void, refuse: () => void): void {
    if (!this.#overrun && this.#pipelined.length < MOST_PIPELINED) {
      this.#pipelined.push(take);
      return;
    }
    if (!this.#overrun) this.#pipelined.push(refuse);
    this.#overrun = true;
    // Node's HTTP server would read on, and keep each request that it reads. Later, because the parser lets the socket go on when
    // it has come to the end of a request; and each time, because the body of one that waits does so, too.
    process.nextTick(readNoMore, this);
  }

  /** The latest answer is through. What is refused at once doesn't keep the next one waiting. */
  takeNext(): void {
    while (!this.res && !this.socket.destroyed) {
      const take = this.#pipelined.shift();
      if (!take) return;
      take();
    }
  }

  /** Whether the client kept Cistern waiting for too long. */
  overdue(now: number, limits: ClientLimits): boolean {
    if (this.tunnel) return false;
    const state = this.#waitsFor();
    const read = this.socket.bytesRead;
    const written = this.socket.bytesWritten;
    const queued = queueSize(this.socket);
    const progress =
      state !== this.#state ||
      state === 'nothing' ||
      (state === 'request' && read !== this.#read) ||
      (state === 'body' &&
        read - this.#read >= Math.max(1, ((limits.minBodyRate ?? MIN_BODY_RATE) * limits.idleTimeout) / 1_000)) ||
      (state === 'reader' && (written !== this.#written || queued !== this.#queued));
    if (!progress) return now - this.#since > limits.idleTimeout;
    this.#state = state;
    this.#since = now;
    this.#read = read;
    this.#written = written;
    this.#queued = queued;
    return false;
  }

  #waitsFor(): Waiting {
    if (!this.res || this.res.writableFinished) return this.socket.writableLength > 0 ? 'reader' : 'request';
    if (this.socket.writableLength > 0 || queueSize(this.socket) > 0) return 'reader';
    // Paused by back-pressure, or not begun: then it is not the client who is slow.
    if (this.req && !this.req.complete && this.req.readableFlowing === true) return 'body';
    return 'nothing';
  }
}

function readNoMore({ socket, last }: Connection): void {
  if (!last) socket.pause();
}

/** What the client has to do next. */
type Waiting = 'request' | 'body' | 'reader' | 'nothing';

/** Bytes handed to the system and not taken by it yet: a single large write makes progress that only this shows. */
function queueSize(socket: Socket): number {
  return (socket as Socket & { _handle?: { writeQueueSize?: number } | null })._handle?.writeQueueSize ?? 0;
}
