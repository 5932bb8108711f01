import { type BufferPool, PIECE, type Piece } from '../store/index.ts';

export interface WindowOptions {
  /** Place in the object of the first byte that comes. */
  readonly start: number;
  /** The last that can come; Infinity when that isn't known. */
  readonly end: number;
  /** Undefined for a body that nobody keeps: the budget is not used for it. */
  readonly pool: BufferPool | undefined;
  /** A piece is as full as it gets: `length` bytes from `start`. They stay as long as it is retained. */
  onPiece(piece: Piece, start: number, length: number): void;
  /** The bytes from `start` on, which come now, are in no piece. */
  onMissed(start: number): void;
}

interface Held {
  readonly start: number;
  readonly bytes: Buffer;
  length: number;
  readonly piece: Piece | undefined;
}

/** Bytes taken from a window; `release` is called once, when nothing reads from them any more. */
export interface Taken {
  readonly pieces: Buffer[];
  readonly length: number;
  release(): void;
}

/**
 * The bytes of a flight that arrived last, from which its readers stream. They are copied into pieces of the memory
 * budget, which end at the MiB boundaries of the object; where the budget is spent, in buffers of their own, and then
 * only few of them are held.
 */
export class Window {
  readonly #options: WindowOptions;
  #held: Held[] = [];
  #end: number;
  #closed = false;

  constructor(options: WindowOptions) {
    this.#options = options;
    this.#end = options.start;
  }

  /** First byte that is held. */
  get start(): number {
    return this.#held[0]?.start ?? this.#end;
  }

  /** Next byte to come. */
  get end(): number {
    return this.#end;
  }

  /** What comes now isn't in pieces of the budget, so that as little as possible of it should be held. */
  get loose(): boolean {
    const last = this.#held.at(-1);
    return last !== undefined && last.piece === undefined;
  }

  append(chunk: Buffer): void {
    for (let from = 0; from < chunk.length; ) {
      const last = this.#open() ?? this.#begin();
      if (!last) {
        // Up to the next boundary, where a piece is tried for again.
        this.#options.onMissed(this.#end);
        const size = Math.min(chunk.length - from, PIECE - (this.#end % PIECE));
        const bytes = Buffer.from(chunk.subarray(from, from + size));
        this.#held.push({ start: this.#end, bytes, length: size, piece: undefined });
        this.#end += size;
        from += size;
        continue;
      }
      const size = Math.min(last.bytes.length - last.length, chunk.length - from);
      chunk.copy(last.bytes, last.length, from, from + size);
      last.length += size;
      this.#end += size;
      from += size;
      if (last.length === last.bytes.length) this.#options.onPiece(last.piece!, last.start, last.length);
    }
  }

  /** No more will come: the last piece is handed on as it is. */
  close(): void {
    const last = this.#open();
    this.#closed = true;
    if (last) this.#options.onPiece(last.piece!, last.start, last.length);
  }

  /** What is held from `at` on, at most `max` bytes. Undefined when there is nothing, or `at` has left the window. */
  take(at: number, max: number): Taken | undefined {
    if (at < this.start || at >= this.#end) return undefined;
    const pieces: Buffer[] = [];
    const users: Piece[] = [];
    let length = 0;
    for (const held of this.#held) {
      const skip = at + length - held.start;
      if (skip >= held.length) continue;
      const size = Math.min(held.length - skip, max - length);
      pieces.push(held.bytes.subarray(skip, skip + size));
      if (held.piece) users.push(held.piece.retain());
      length += size;
      if (length === max) break;
    }
    return { pieces, length, release: () => users.forEach(giveUp) };
  }

  /** Lets go of what lies before `from`. */
  trim(from: number): void {
    while (this.#held.length > 1 && this.#held[0]!.start + this.#held[0]!.length <= from) this.#drop();
  }

  /** Lets go of everything. */
  clear(): void {
    while (this.#held.length > 0) this.#drop();
  }

  #open(): Held | undefined {
    const last = this.#held.at(-1);
    return last?.piece && !this.#closed && last.length < last.bytes.length ? last : undefined;
  }

  #begin(): Held | undefined {
    const { pool, end } = this.#options;
    const start = this.#end;
    // In the middle of a MiB the extent in hand is lost to the disk anyway.
    const rejoins = start === this.#options.start || !this.loose || start % PIECE === 0;
    if (!pool || !rejoins) return undefined;
    const size = Math.min(PIECE - (start % PIECE), end - start + 1);
    const piece = pool.takeIncoming(size > PIECE / 2 ? PIECE : size);
    if (!piece) return undefined;
    const held = { start, bytes: piece.bytes.subarray(0, size), length: 0, piece };
    this.#held.push(held);
    return held;
  }

  #drop(): void {
    this.#held.shift()?.piece?.release();
  }
}

function giveUp(piece: Piece): void {
  piece.release();
}
