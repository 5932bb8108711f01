import type { ServerResponse } from 'node:http';
import type { Note } from './types.ts';

/** Bytes that may wait in the client's connection before the next piece is prepared. */
const AHEAD = 1 << 20;

/** Bodies up to this size are joined with their header, which costs a copy and saves a system call's worth of work. */
const ONE_PIECE = 8 << 10;

/** The client's side of an answer: counts, back-pressure, and buffers given back when the kernel has taken them. */
export class Outlet {
  readonly #res: ServerResponse;
  readonly #note: Note;
  #waiting = 0;
  #wake: (() => void) | undefined;
  #expected = -1;
  #onGone: (() => void) | undefined;

  constructor(res: ServerResponse, note: Note) {
    this.#res = res;
    this.#note = note;
    res.once('close', () => {
      this.#wake?.();
      this.#onGone?.();
    });
  }

  get gone(): boolean {
    return this.#res.destroyed || this.#res.closed;
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

  /** @param length body bytes that will follow, which `end` holds the answer to; -1 when unknown */
  begin(status: number, statusText: string | undefined, headers: string[], length: number): void {
    this.#note.status = status;
    this.#note.firstByteAt = performance.now();
    this.#expected = length;
    this.#res.sendDate = false;
    if (statusText === undefined) this.#res.writeHead(status, headers);
    else this.#res.writeHead(status, statusText, headers);
  }

  /** `release` is called when the pieces are no longer needed; with false when the client went away while they were being sent. */
  write(pieces: readonly Buffer[], length: number, release?: (reusable: boolean) => void): void {
    this.#note.bytesSent += length;
    this.#waiting += length;
    const last = pieces.length - 1;
    const flushed = (error?: Error | null) => {
      this.#waiting -= length;
      release?.(!error);
      if (this.#waiting <= AHEAD) this.#wake?.();
    };
    if (last > 0) this.#res.cork();
    for (let i = 0; i < last; i++) this.#res.write(pieces[i]);
    this.#res.write(pieces[last], flushed);
    if (last > 0) this.#res.uncork();
  }

  /** Undefined when the next piece may be written at once. Also resolves when the client goes away. */
  room(): Promise<void> | undefined {
    if (this.#waiting <= AHEAD || this.gone) return undefined;
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
    this.#res.end();
  }

  /** A whole small answer in one go. */
  endWith(status: number, headers: string[], body: Buffer | undefined): void {
    this.#note.status = status;
    this.#note.firstByteAt = performance.now();
    this.#res.sendDate = false;
    this.#res.writeHead(status, headers);
    if (body === undefined) {
      this.#res.end();
      return;
    }
    this.#note.bytesSent += body.length;
    // Node sends a header and a latin1 string in one piece, a header and a buffer in two.
    if (body.length <= ONE_PIECE) this.#res.end(body.toString('latin1'), 'latin1');
    else this.#res.end(body);
  }

  /** Destroys the connection, so that the client sees that the answer is not complete. */
  cut(reason: string): void {
    // A client that has left was not failed.
    if (this.gone) return;
    this.#note.error ??= reason;
    this.#res.destroy();
  }
}
