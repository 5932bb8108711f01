import { createHash } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import type { Ask } from './objects.ts';

export interface LoadPlan {
  readonly port: number;
  /** The origin, as `host:port`, which the proxy is asked for. */
  readonly host: string;
  readonly asks: readonly Ask[];
  readonly connections: number;
  /** Goes round the asks for so long. Without it, each is asked for once. */
  readonly seconds?: number;
  /** Hashes all bodies in the order of the asks, which takes one connection. */
  readonly hash?: boolean;
}

export interface LoadResult {
  readonly seconds: number;
  /** Whole answers. */
  readonly requests: number;
  /** Of bodies, those still running at the end included. */
  readonly bytes: number;
  /** Of requests. */
  readonly bytesSent: number;
  /** ms from the request to its answer's first and last byte. */
  readonly firstByte: Percentiles;
  readonly whole: Percentiles;
  readonly sha1: string | undefined;
}

export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
}

/** Rejects at the first answer that isn't a whole 200 or 206: a measurement with errors in it measures nothing. */
export function runLoad(plan: LoadPlan): Promise<LoadResult> {
  return new Promise((resolve, reject) => new Load(plan, resolve, reject));
}

/** What the process that helper.ts starts answers with. */
export const answer = runLoad;

const HEAD_END = Buffer.from('\r\n\r\n');

/**
 * A client that costs little: HTTP/1.1 with keep-alive and absolute-form targets, one request at a time per connection,
 * one read buffer for all of them, bodies counted and dropped.
 */
class Load {
  readonly #plan: LoadPlan;
  readonly #requests: readonly string[];
  readonly #buffer = Buffer.allocUnsafe(2 ** 20);
  readonly #hash;
  readonly #lanes: Lane[];
  readonly #firstBytes: number[] = [];
  readonly #wholes: number[] = [];
  readonly #startedAt = performance.now();
  readonly #resolve: (result: LoadResult) => void;
  readonly #reject: (error: Error) => void;
  readonly #timer: NodeJS.Timeout | undefined;
  #next = 0;
  #bytes = 0;
  #bytesSent = 0;
  #over = false;

  constructor(plan: LoadPlan, resolve: (result: LoadResult) => void, reject: (error: Error) => void) {
    this.#plan = plan;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#requests = plan.asks.map(ask => requestOf(ask, plan.host));
    this.#hash = plan.hash ? createHash('sha1') : undefined;
    this.#lanes = Array.from({ length: plan.connections }, () => this.#open());
    if (plan.seconds !== undefined) this.#timer = setTimeout(() => this.#end(), plan.seconds * 1_000);
  }

  #open(): Lane {
    const onread = {
      buffer: this.#buffer,
      callback: (length: number) => {
        if (!this.#over) this.#take(lane, this.#buffer.subarray(0, length));
        return true;
      },
    };
    const socket = connect({ port: this.#plan.port, host: '127.0.0.1', noDelay: true, onread });
    const lane: Lane = { socket, head: undefined, left: -1, askedAt: 0, done: false };
    socket.on('connect', () => this.#ask(lane));
    socket.on('error', error => this.#fail(error));
    socket.on('close', () => lane.done || this.#fail(new Error('the proxy closed a connection')));
    return lane;
  }

  #ask(lane: Lane): void {
    if (this.#over) return;
    if (this.#plan.seconds === undefined && this.#next >= this.#requests.length) {
      lane.done = true;
      lane.socket.destroy();
      if (this.#lanes.every(({ done }) => done)) this.#end();
      return;
    }
    lane.left = -1;
    lane.askedAt = performance.now();
    const request = this.#requests[this.#next++ % this.#requests.length]!;
    this.#bytesSent += request.length;
    lane.socket.write(request, 'latin1');
  }

  #take(lane: Lane, data: Buffer): void {
    let body = data;
    if (lane.left < 0) {
      const whole: Buffer = lane.head ? Buffer.concat([lane.head, data]) : data;
      const end = whole.indexOf(HEAD_END);
      if (end < 0) {
        lane.head = Buffer.from(whole);
        return;
      }
      lane.head = undefined;
      const head = whole.toString('latin1', 0, end);
      const length = /\r\ncontent-length: *(\d+)/i.exec(head);
      if (!length || !/^HTTP\/1\.1 20[06] /.test(head)) {
        this.#fail(new Error(`the proxy answered: ${head}`));
        return;
      }
      lane.left = Number(length[1]);
      this.#firstBytes.push(performance.now() - lane.askedAt);
      body = whole.subarray(end + HEAD_END.length);
    }
    this.#bytes += body.length;
    this.#hash?.update(body);
    lane.left -= body.length;
    if (lane.left < 0) {
      this.#fail(new Error('the proxy sent more than it had promised'));
    } else if (lane.left === 0) {
      this.#wholes.push(performance.now() - lane.askedAt);
      this.#ask(lane);
    }
  }

  #fail(error: Error): void {
    if (this.#over) return;
    this.#close();
    this.#reject(error);
  }

  #end(): void {
    if (this.#over) return;
    const seconds = (performance.now() - this.#startedAt) / 1_000;
    this.#close();
    this.#resolve({
      seconds,
      requests: this.#wholes.length,
      bytes: this.#bytes,
      bytesSent: this.#bytesSent,
      firstByte: percentiles(this.#firstBytes),
      whole: percentiles(this.#wholes),
      sha1: this.#hash?.digest('hex'),
    });
  }

  #close(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    for (const { socket } of this.#lanes) socket.destroy();
  }
}

interface Lane {
  readonly socket: Socket;
  /** The beginning of an answer's head whose end has not come yet. */
  head: Buffer | undefined;
  /** Bytes of the body that are still to come; -1 before the end of the head. */
  left: number;
  askedAt: number;
  done: boolean;
}

function requestOf({ path, range }: Ask, host: string): string {
  const rangeLine = range ? `Range: bytes=${range[0]}-${range[1]}\r\n` : '';
  return `GET http://${host}${path} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: cistern-bench\r\n${rangeLine}\r\n`;
}

function percentiles(times: number[]): Percentiles {
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(share * times.length))] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99) };
}
