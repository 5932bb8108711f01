import { createHash } from 'node:crypto';

/** What a client asks for: `/bench/<size>/<id>`, size as in 1k, 64m; whole, or the bytes from `range[0]` to `range[1]`. */
export interface Ask {
  readonly path: string;
  readonly range?: readonly [first: number, last: number];
}

const UNITS: Readonly<Record<string, number>> = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

/** Length of the object at a path, or undefined where there is none. */
export function sizeOf(path: string): number | undefined {
  const match = /^\/bench\/(\d+)([kmg])\/\w+$/.exec(path);
  return match ? Number(match[1]) * UNITS[match[2]!]! : undefined;
}

/**
 * The bytes `first` to `last` of an object, as views of one block. The block's length is a prime and each object begins
 * somewhere else in it, so that bytes of another object, or of another place of the same object, are other bytes.
 */
export function* pieces(path: string, first: number, last: number): Generator<Buffer> {
  const start = createHash('md5').update(path).digest().readUInt32LE(0);
  for (let at = first; at <= last; ) {
    const offset = (start + at) % BLOCK.length;
    const piece = BLOCK.subarray(offset, Math.min(offset + PIECE, offset + last - at + 1, BLOCK.length));
    at += piece.length;
    yield piece;
  }
}

export function etagOf(path: string): string {
  return `"${createHash('md5').update(path).digest('hex')}"`;
}

/** SHA-1 of the bodies of all answers, one after the other, as {@link runLoad} computes it of what arrives. */
export function hashOf(asks: readonly Ask[]): string {
  const hash = createHash('sha1');
  for (const { path, range = [0, sizeOf(path)! - 1] } of asks) {
    for (const piece of pieces(path, range[0], range[1])) hash.update(piece);
  }
  return hash.digest('hex');
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
