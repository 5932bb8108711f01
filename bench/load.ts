import { connect, type Socket } from 'node:net';
import { type Ask, Content, lengthOf, sizeOf } from './objects.ts';
import { Pace } from './shape.ts';

export interface LoadPlan {
  readonly port: number;
  /** The origin, as `host:port`, which the proxy is asked for. */
  readonly host: string;
  readonly asks: readonly Ask[];
  readonly connections: number;
  /** Goes round the asks for so long. Without it, each is asked for once. */
  readonly seconds?: number;
  /** Compares each body with the object's bytes as it comes. */
  readonly check?: boolean;
  /** How fast each connection reads, where that is not as fast as it can. */
  readonly bytesPerSecond?: number;
}

export interface LoadResult {
  readonly seconds: number;
  /** Whole answers. */
  readonly requests: number;
  /** Of bodies, those still running at the end included; of uploads those that were answered. */
  readonly bytes: number;
  /** Of requests, but for what is uploaded. */
  readonly bytesSent: number;
  /** ms from the request to the first and the last byte of its answer's body, of those that have come. */
  readonly firstByte: Percentiles | undefined;
  readonly whole: Percentiles | undefined;
}

export interface Percentiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** Rejects at the first answer that isn't a whole 200 or 206: a measurement with errors in it measures nothing. */
export function runLoad(plan: LoadPlan): Promise<LoadResult> {
  return new Promise((resolve, reject) => new Load(plan, resolve, reject));
}

/** What the process that helper.ts starts answers with. */
export const answer = runLoad;

const HEAD_END = Buffer.from('\r\n\r\n');
const READ = 2 ** 20;
/** Of a slow reader, so that it reads evenly. */
const SLOW_READ = 2 ** 16;

/**
 * A client that costs little: HTTP/1.1 with keep-alive and absolute-form targets, one request at a time per connection,
 * one read buffer for all of them, bodies counted, compared where that is wanted, and dropped.
 */
class Load {
  readonly #plan: LoadPlan;
  readonly #requests: readonly string[];
  readonly #buffer: Buffer;
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
    this.#buffer = Buffer.allocUnsafe(plan.bytesPerSecond === undefined ? READ : SLOW_READ);
    this.#lanes = Array.from({ length: plan.connections }, () => this.#open());
    if (plan.seconds !== undefined) this.#timer = setTimeout(() => this.#end(), plan.seconds * 1_000);
  }

  #open(): Lane {
    const onread = {
      buffer: this.#buffer,
      callback: (length: number) => {
        if (!this.#over) this.#take(lane, this.#buffer.subarray(0, length));
        return this.#pace(lane, length);
      },
    };
    const socket = connect({ port: this.#plan.port, host: '127.0.0.1', noDelay: true, onread });
    const { asks, bytesPerSecond } = this.#plan;
    const lane: Lane = {
      socket,
      pace: bytesPerSecond === undefined ? undefined : new Pace(bytesPerSecond),
      ask: asks[0]!,
      content: undefined,
      head: undefined,
      left: -1,
      at: 0,
      askedAt: 0,
      waiting: false,
      done: false,
    };
    socket.on('connect', () => this.#ask(lane));
    socket.on('error', error => this.#fail(error));
    socket.on(
      'close',
      () => lane.done || this.#fail(new Error(`the connection was closed before the end of ${lane.ask.path}`)),
    );
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
    const index = this.#next++ % this.#requests.length;
    const request = this.#requests[index]!;
    lane.ask = this.#plan.asks[index]!;
    lane.at = lane.ask.range?.[0] ?? 0;
    if (this.#plan.check) lane.content = new Content(lane.ask.path);
    this.#bytesSent += request.length;
    lane.socket.write(request, 'latin1');
    if (lane.ask.put) this.#upload(lane.socket, new Content(lane.ask.path).pieces(0, sizeOf(lane.ask.path)! - 1));
  }

  #upload(socket: Socket, body: Iterator<Buffer>): void {
    for (let next = body.next(); !next.done && !this.#over; next = body.next()) {
      if (socket.write(next.value)) continue;
      socket.once('drain', () => this.#upload(socket, body));
      return;
    }
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
        this.#fail(new Error(`${lane.ask.path} was answered with: ${head}`));
        return;
      }
      lane.left = Number(length[1]);
      if (lane.content && lane.left !== lengthOf(lane.ask)) {
        this.#fail(new Error(`${lane.left} bytes were promised of ${lane.ask.path}, not ${lengthOf(lane.ask)}`));
        return;
      }
      lane.waiting = true;
      body = whole.subarray(end + HEAD_END.length);
    }
    this.#takeBody(lane, body);
  }

  #takeBody(lane: Lane, body: Buffer): void {
    if (lane.waiting && body.length > 0) {
      lane.waiting = false;
      this.#firstBytes.push(performance.now() - lane.askedAt);
    }
    if (lane.content?.matches(lane.at, body) === false) {
      this.#fail(
        new Error(`wrong bytes of ${lane.ask.path} somewhere from ${lane.at} to ${lane.at + body.length - 1}`),
      );
      return;
    }
    this.#bytes += body.length;
    lane.at += body.length;
    lane.left -= body.length;
    if (lane.left < 0) {
      this.#fail(new Error(`more came of ${lane.ask.path} than was promised`));
    } else if (lane.left === 0) {
      if (lane.ask.put) this.#bytes += sizeOf(lane.ask.path)!;
      this.#wholes.push(performance.now() - lane.askedAt);
      this.#ask(lane);
    }
  }

  /** Whether more may be read at once; if not, reading goes on when it is time. */
  #pace({ pace, socket }: Lane, length: number): boolean {
    if (!pace || this.#over) return true;
    const now = performance.now();
    const wait = pace.reserve(length, now) - now;
    if (wait > 0) setTimeout(() => socket.resume(), wait);
    return wait <= 0;
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
  /** Of a slow reader. */
  readonly pace: Pace | undefined;
  /** What the answer that is awaited or under way was asked by. */
  ask: Ask;
  /** Its object's bytes, where they are compared. */
  content: Content | undefined;
  /** The beginning of an answer's head whose end has not come yet. */
  head: Buffer | undefined;
  /** Bytes of the body that are still to come; -1 before the end of the head. */
  left: number;
  /** Where in the object the next byte of the body lies. */
  at: number;
  askedAt: number;
  /** No byte of the body has come yet. */
  waiting: boolean;
  done: boolean;
}

function requestOf({ path, range, put }: Ask, host: string): string {
  const lines = put
    ? `Content-Type: binary/octet-stream\r\nContent-Length: ${sizeOf(path)}\r\n`
    : range
      ? `Range: bytes=${range[0]}-${range[1]}\r\n`
      : '';
  const method = put ? 'PUT' : 'GET';
  return `${method} http://${host}${path} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: cistern-bench\r\n${lines}\r\n`;
}

function percentiles(times: number[]): Percentiles | undefined {
  if (times.length === 0) return undefined;
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(share * times.length))]!;
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}
