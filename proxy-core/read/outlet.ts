import type { ServerResponse } from 'node:http';
import type { Note } from './types.ts';

/** Bytes that may wait in the client's connection before the next piece is prepared. */
const AHEAD = 1 << 20;

/** Bytes written after which the other connections have their turn: a socket of this machine would take everything at once. */
const TURN = 512 << 10;

/** How long a client that is cut off may take for what was written to it before, ms. */
const LAST = 1000;

/** A piece on its way into the client's connection. */
interface Sending {
  readonly length: number;
  readonly release: (() => void) | undefined;
}

/** The client's side of an answer: counts, back-pressure, and buffers given back when the kernel has taken them. */
export class Outlet {
  readonly #res: ServerResponse;
  readonly #note: Note;
  /** In the order in which they were written, which is the order in which they are flushed. */
  readonly #sending: Sending[] = [];
  #waiting = 0;
  #turn = 0;
  #wake: (() => void) | undefined;
  #expected = -1;
  #head: (() => void) | undefined;
  #onGone: (() => void) | undefined;
  #isCut = false;

  constructor(res: ServerResponse, note: Note) {
    this.#res = res;
    this.#note = note;
    res.once('close', () => {
      // The socket is closed: nothing reads from these buffers any more, and node won't call for all of them.
      while (this.#sending.length > 0) this.#flushed();
      this.#wake?.();
      this.#onGone?.();
    });
  }

  get gone(): boolean {
    return this.#isCut || this.#res.destroyed || this.#res.closed;
  }

  get begun(): boolean {
    return this.#res.headersSent;
  }

  /** Told when the client goes away; returns the way to stop being told. */
  onGone(listener: () => void): () => void {
    this.#onGone = listener;
    return () => {
      this.#onGone = undefined;
    };
  }

  /**
   * The head goes out with the first bytes of the body: until then another may take its place.
   * @param length body bytes that will follow, which `end` holds the answer to; -1 when unknown
   */
  begin(status: number, statusText: string | undefined, headers: string[], length: number): void {
    this.#expected = length;
    this.#head = () => {
      this.#head = undefined;
      this.#note.status = status;
      this.#note.firstByteAt = performance.now();
      this.#res.sendDate = false;
      if (statusText === undefined) this.#res.writeHead(status, headers);
      else this.#res.writeHead(status, statusText, headers);
    };
  }

  /** `release` is called when nothing reads from the pieces any more, the client having them or being gone. */
  write(pieces: readonly Buffer[], length: number, release?: () => void): void {
    if (this.gone) {
      release?.();
      return;
    }
    // What goes out with the head is a turn: of many who wait for the same bytes all have their first ones before any has more.
    this.#turn = this.begun ? this.#turn + length : TURN;
    this.#head?.();
    this.#note.bytesSent += length;
    this.#waiting += length;
    const sending = { length, release };
    this.#sending.push(sending);
    const last = pieces.length - 1;
    if (last > 0) this.#res.cork();
    for (let i = 0; i < last; i++) this.#res.write(pieces[i]);
    this.#res.write(pieces[last], () => {
      // After an error it is still in the list, or was taken care of when the connection closed.
      if (this.#sending[0] === sending && !this.gone) this.#flushed();
      if (this.#waiting <= AHEAD) this.#wake?.();
    });
    if (last > 0) this.#res.uncork();
  }

  /** Undefined when the next piece may be written at once. Also resolves when the client goes away. */
  room(): Promise<void> | undefined {
    if (this.gone) return undefined;
    const turn = this.#turn >= TURN;
    if (turn) this.#turn = 0;
    if (this.#waiting <= AHEAD) return turn ? new Promise(resolve => setImmediate(resolve)) : undefined;
    return new Promise(resolve => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }

  /** Ends the answer; a body shorter than promised cuts the connection instead (design section 3, rule 4). */
  end(): void {
    if (this.#expected >= 0 && this.#note.bytesSent !== this.#expected) {
      this.cut(`${this.#note.bytesSent} of ${this.#expected} bytes`);
      return;
    }
    this.#head?.();
    this.#res.end();
  }

  /** A whole answer in one go, its body one that nobody else uses. */
  endWith(status: number, headers: string[], body: Buffer | undefined): void {
    this.#note.status = status;
    this.#note.firstByteAt = performance.now();
    this.#res.sendDate = false;
    this.#res.writeHead(status, headers);
    this.#note.bytesSent += body?.length ?? 0;
    this.#res.end(body);
  }

  #flushed(): void {
    const sent = this.#sending.shift();
    if (!sent) return;
    this.#waiting -= sent.length;
    sent.release?.();
  }

  /**
   * Ends the connection, so that the client sees that the answer is not complete. Where it knows how long the answer was to be,
   * it gets what was written before; a length that only the end of the connection tells must not end in order.
   */
  cut(reason: string): void {
    // A client that has left was not failed.
    if (this.gone) return;
    this.#note.error ??= reason;
    this.#isCut = true;
    const { socket } = this.#res;
    if (this.#expected < 0 || this.#waiting === 0 || !socket) {
      this.#res.destroy();
      return;
    }
    socket.destroySoon();
    setTimeout(() => this.#res.destroy(), LAST).unref();
  }
}
