import type { OnReadOpts, Socket } from 'node:net';

/** Bytes read from a connection at once. One buffer serves all connections: what it holds is used up before the next read. */
const SIZE = 256 << 10;
let shared: Buffer | undefined;

/**
 * Lets undici read a connection without a new buffer for each 64 KiB: those lie outside V8's heap, and the collections
 * they cause cost more than anything else in a large transfer. What it is given is a view of the shared buffer, good
 * until the handler returns; what it can't take at once (it is paused, or hands a rest back) is copied and the
 * connection is not read any further meanwhile.
 */
export class SharedRead {
  /** For `net.connect`. */
  readonly onread: OnReadOpts;
  #socket: Socket | undefined;
  #fresh: Buffer | undefined;
  readonly #rest: Buffer[] = [];
  /** undici has handed back what it can't take, be it nothing: it must not hear of the connection's end either. */
  #paused = false;
  #stopped = false;

  constructor() {
    shared ??= Buffer.allocUnsafeSlow(SIZE);
    this.onread = { buffer: shared, callback: (count, buffer) => this.#arrived((buffer as Buffer).subarray(0, count)) };
  }

  /** Makes `read` and `unshift` of the socket those of this reader. Before anything is asked of the other side. */
  attach(socket: Socket): void {
    this.#socket = socket;
    const read = socket.read;
    socket.read = size => (size === 0 ? read.call(socket, 0) : (this.#next() ?? read.call(socket, size)));
    socket.unshift = (chunk: Buffer) => {
      this.#paused = true;
      if (chunk.length > 0) this.#rest.unshift(Buffer.from(chunk));
    };
  }

  #arrived(bytes: Buffer): boolean {
    this.#fresh = bytes;
    this.#socket?.emit('readable');
    if (this.#fresh) this.#rest.push(Buffer.from(this.#fresh));
    this.#fresh = undefined;
    this.#stopped = this.#paused || this.#rest.length > 0;
    return !this.#stopped;
  }

  #next(): Buffer | undefined {
    this.#paused = false;
    const bytes = this.#rest.shift() ?? this.#fresh;
    if (bytes === this.#fresh) this.#fresh = undefined;
    if (bytes === undefined && this.#stopped) {
      this.#stopped = false;
      // Reading goes on: `read` wouldn't do it, for by the stream's books nothing was ever delivered.
      this.#socket?._read(SIZE);
    }
    return bytes;
  }
}
