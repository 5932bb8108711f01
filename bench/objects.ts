import { createHash } from 'node:crypto';

/** What a client asks for: `/bench/<size>/<id>`, size as in 1k, 64m; whole, or the bytes from `range[0]` to `range[1]`. */
export interface Ask {
  readonly path: string;
  readonly range?: readonly [first: number, last: number];
  /** The object is uploaded rather than read. */
  readonly put?: true;
}

/** That many objects of a size. Those of another id are others. */
export function objects(size: string, count: number, id = 'x'): Ask[] {
  return Array.from({ length: count }, (_, i) => ({ path: `/bench/${size}/${id}${i}` }));
}

const UNITS: Readonly<Record<string, number>> = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

/** Length of the object at a path, or undefined where there is none. */
export function sizeOf(path: string): number | undefined {
  const match = /^\/bench\/(\d+)([kmg])\/\w+$/.exec(path);
  return match ? Number(match[1]) * UNITS[match[2]!]! : undefined;
}

/** The same objects, to be uploaded. */
export function uploads(asks: readonly Ask[]): Ask[] {
  return asks.map(({ path }) => ({ path, put: true }));
}

/** How many bytes of a body an ask is answered with. */
export function lengthOf({ path, range, put }: Ask): number {
  if (put) return 0;
  return range ? range[1] - range[0] + 1 : sizeOf(path)!;
}

export function etagOf(path: string): string {
  return `"${createHash('md5').update(path).digest('hex')}"`;
}

/**
 * The bytes of an object, as views of one block: the largest object takes no memory. The block's length is a prime and
 * each object begins somewhere else in it, so that bytes of another object, or of another place of the same object, are
 * other bytes.
 */
export class Content {
  readonly #start: number;

  constructor(path: string) {
    this.#start = createHash('md5').update(path).digest().readUInt32LE(0);
  }

  /** Those from `first` to `last`, at most `most` at a time. */
  *pieces(first: number, last: number, most = PIECE): Generator<Buffer> {
    for (let at = first; at <= last; ) {
      const offset = (this.#start + at) % BLOCK.length;
      const piece = BLOCK.subarray(offset, Math.min(offset + most, offset + last - at + 1, BLOCK.length));
      at += piece.length;
      yield piece;
    }
  }

  /** Whether these are the object's bytes from `at` on. Costs a comparison in memory, so that all of a load can be checked. */
  matches(at: number, data: Buffer): boolean {
    let done = 0;
    for (const piece of this.pieces(at, at + data.length - 1)) {
      if (data.compare(piece, 0, piece.length, done, done + piece.length) !== 0) return false;
      done += piece.length;
    }
    return true;
  }
}

const PIECE = 2 ** 20;
const BLOCK = randomBlock(4_194_301);

/** Bytes that don't compress, the same in each run (xorshift). */
function randomBlock(length: number): Buffer {
  const words = new Int32Array(Math.ceil(length / 4));
  let state = 0x12345678;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return Buffer.from(words.buffer, 0, length);
}
