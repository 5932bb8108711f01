import { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { CisternError } from '../errors.ts';
import type { Wire } from '../read/index.ts';
import type { InnerResponse } from './inner-response.ts';
import { type PlainHead, readPlainHead } from './plain-head.ts';

/** What a lane asks of the listener it belongs to. */
export interface LaneHost {
  /** Answers on the wire before it returns; or false, with nothing done. */
  answerAtOnce(head: PlainHead, wire: Wire): boolean;
  /** Takes a request the way of those that `node:http` has parsed. */
  take(req: IncomingMessage, res: ServerResponse): void;
  /** Now, or in one of the next turns of the loop where there is a burst of them. */
  inTurn(act: () => void): void;
  /** `node:http` takes the connection, which the lane has left. */
  takeOver(): void;
  /** What came makes no request. */
  refuse(error: CisternError): void;
  /** An answer waits for its client to read; and no longer. */
  onUnsent(change: 1 | -1): void;
}

/** More than this is not read ahead while an answer is under way. */
const READ_AHEAD = 65_536;
/** Bytes kept for the heads of a connection's larger answers. */
const HEAD_SPACE = 2_048;
/** A head in more pieces than this is left to `node:http`, which doesn't begin anew with each. */
const PIECES = 8;

/**
 * The fast lane (design section 15). A connection begins here: requests that {@link readPlainHead} knows are answered on the
 * socket itself where they can be answered at once, and are else given an {@link IncomingMessage} and a
 * {@link ServerResponse} of their own and take the normal way, after which the next one is read here again. With the first
 * request that is anything else, be it an upload or no HTTP at all, the connection goes over to `node:http`.
 */
export class Lane implements Wire {
  /** Monotonic ms when the head that is being waited for began; undefined between requests. */
  waitsSince: number | undefined;
  readonly #socket: Socket;
  readonly #host: LaneHost;
  /** What came behind the request in hand, or the beginning of a head. */
  #rest: Buffer | undefined;
  #pieces = 0;
  /** Something of the answer in hand was written. */
  #begun = false;
  /** An answer that takes the normal way. */
  #res: ServerResponse | undefined;
  /** The kernel has not taken the whole answer yet. */
  #unsent = false;
  #release: (() => void) | undefined;
  /** Holds the head of the answer in hand, of which there is never more than one. */
  #space: Buffer | undefined;
  /** The client has ended its side. */
  #ended = false;
  #left = false;

  constructor(socket: Socket, host: LaneHost, now: number) {
    this.#socket = socket;
    this.#host = host;
    this.waitsSince = now;
    socket
      .on('data', this.#onData)
      .on('drain', this.#onDrain)
      .on('end', this.#onEnd)
      .on('close', this.#onClose)
      .on('error', noop);
  }

  /** Takes nothing more from the client. */
  stop(): void {
    this.#left = true;
    this.#rest = undefined;
    this.waitsSince = undefined;
    this.#socket.off('data', this.#onData);
  }

  send(head: string, pieces: readonly Buffer[]): boolean {
    const socket = this.#socket;
    this.#begun = true;
    if (pieces.length === 0) socket.write(head, 'latin1');
    else {
      socket.cork();
      socket.write(this.#bytesOf(head));
      for (const piece of pieces) socket.write(piece);
      socket.uncork();
    }
    if (socket.writableLength === 0) return true;
    this.#unsent = true;
    this.#host.onUnsent(1);
    // Called when all before it is with the kernel.
    socket.write('', 'latin1', this.#onSent);
    return false;
  }

  /** As bytes where bytes follow: for a string among them Node would take memory outside of V8's heap with each answer. */
  #bytesOf(head: string): Buffer {
    if (head.length > HEAD_SPACE) return Buffer.from(head, 'latin1');
    this.#space ??= Buffer.allocUnsafeSlow(HEAD_SPACE);
    return this.#space.subarray(0, this.#space.write(head, 'latin1'));
  }

  onSent(release: () => void): void {
    this.#release = release;
  }

  get #busy(): boolean {
    return this.#unsent || this.#res !== undefined;
  }

  readonly #onData = (chunk: Buffer): void => {
    const bytes = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk;
    this.#rest = undefined;
    if (!this.#busy) {
      this.#run(bytes);
      return;
    }
    this.#rest = bytes;
    if (bytes.length > READ_AHEAD) this.#socket.pause();
  };

  /** Takes one request after the other, until there is none whole, or one has to be waited for. */
  #run(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      const head = readPlainHead(bytes, at);
      if (head === 'other' || (head === 'incomplete' && ++this.#pieces > PIECES)) {
        this.#leave(bytes.subarray(at));
        return;
      }
      if (head === 'incomplete') {
        this.#rest = bytes.subarray(at);
        this.waitsSince ??= performance.now();
        return;
      }
      at = head.end;
      this.#pieces = 0;
      this.waitsSince = undefined;
      if (!this.#answerAtOnce(head)) this.#takeNormalWay(head);
      if (this.#left || this.#socket.destroyed) return;
      if (this.#busy) {
        if (at < bytes.length) this.#rest = bytes.subarray(at);
        return;
      }
    }
  }

  /** A failure before anything was sent is met again, and answered, on the normal way; after that only a cut is honest. */
  #answerAtOnce(head: PlainHead): boolean {
    this.#begun = false;
    try {
      return this.#host.answerAtOnce(head, this);
    } catch {
      if (this.#begun) this.#socket.destroy();
      return this.#begun;
    }
  }

  /** What `node:http` does with a request that its parser has read, and nothing else. */
  #takeNormalWay(head: PlainHead): void {
    const socket = this.#socket;
    const req = new IncomingMessage(socket);
    req.httpVersionMajor = 1;
    req.httpVersionMinor = 1;
    req.httpVersion = '1.1';
    req.method = head.method;
    req.url = head.url;
    req.rawHeaders = head.rawHeaders;
    req.complete = true;
    req.push(null);
    const res = new ServerResponse(req);
    this.#res = res;
    res.assignSocket(socket);
    res.on('finish', () => this.#onFinish(res));
    this.#host.take(req, res);
  }

  #onFinish(res: ServerResponse): void {
    const socket = this.#socket;
    res.detachSocket(socket);
    if ((res as InnerResponse)._last !== false) {
      this.stop();
      socket.destroySoon();
    }
    process.nextTick(closed, this, res);
  }

  static closed(lane: Lane, res: ServerResponse): void {
    if (!res.closed) {
      const inner = res as InnerResponse;
      inner.destroyed = true;
      inner._closed = true;
      res.emit('close');
    }
    if (lane.#res !== res) return;
    lane.#res = undefined;
    lane.#goOn();
  }

  readonly #onSent = (): void => {
    if (!this.#unsent) return;
    this.#sent();
    this.#goOn();
  };

  #sent(): void {
    this.#unsent = false;
    this.#host.onUnsent(-1);
    const release = this.#release;
    this.#release = undefined;
    release?.();
  }

  /** The answer in hand is through. */
  #goOn(): void {
    if (this.#left || this.#socket.destroyed) return;
    const rest = this.#rest;
    this.#rest = undefined;
    if (rest) this.#run(rest);
    if (this.#left || this.#busy) return;
    if (this.#ended) this.#end();
    else if (this.#socket.isPaused()) this.#socket.resume();
  }

  readonly #onDrain = (): void => {
    if (this.#res?.writableEnded === false) this.#res.emit('drain');
  };

  readonly #onEnd = (): void => {
    this.#ended = true;
    if (!this.#busy && !this.#left) this.#end();
  };

  #end(): void {
    if (this.#rest) this.#host.refuse(new CisternError('InvalidRequest', '(Invalid EOF state)'));
    else this.#socket.end();
  }

  readonly #onClose = (): void => {
    this.#rest = undefined;
    this.#res = undefined;
    if (this.#unsent) this.#sent();
  };

  /** The listeners of `node:http` hear what is left as if it came only now; the stream would take nothing back after its end. */
  #leave(rest: Buffer): void {
    const socket = this.#socket;
    this.stop();
    socket.pause();
    this.#host.inTurn(() => {
      socket.off('drain', this.#onDrain).off('end', this.#onEnd).off('close', this.#onClose).off('error', noop);
      if (socket.destroyed) return;
      this.#host.takeOver();
      socket.emit('data', rest);
      if (this.#ended) socket.emit('end');
      else socket.resume();
    });
  }
}

const { closed } = Lane;

function noop(): void {}
