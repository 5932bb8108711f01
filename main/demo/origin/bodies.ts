import { createHash } from 'node:crypto';

/** Content of an object: its length and any stretch of it. `read` may generate, so that a 100 GiB object costs nothing. */
export interface Body {
  readonly length: number;
  /** In place of the MD5 of all bytes, where making them all would take long; hex */
  readonly digest?: string;
  /** Bytes from `start` up to but not including `end`, both within the length. */
  read(start: number, end: number): Buffer;
}

const CHUNK = 256 * 1024;

export function bufferBody(bytes: Buffer): Body {
  return { length: bytes.length, read: (start, end) => bytes.subarray(start, end) };
}

const PIECE = 2 ** 20;

/** Collects a body as it comes, in pieces of 1 MiB, so that nothing is copied twice; of a body that it knows it keeps nothing. */
export class BodyWriter {
  readonly #pieces: Body[] = [];
  #known: Body | undefined;
  #waiting: Buffer[] = [];
  /** Of what waits, and of all that came */
  #size = 0;
  #length = 0;

  /** @param known what may be coming: held against what comes, and taken for it while that is the same */
  constructor(known?: Body) {
    this.#known = known;
  }

  write(chunk: Buffer): void {
    const from = this.#length;
    this.#length += chunk.length;
    if (this.#known) {
      if (this.#length <= this.#known.length && this.#known.read(from, this.#length).equals(chunk)) return;
      this.#isAnother(from);
    }
    this.#waiting.push(chunk);
    this.#size += chunk.length;
    if (this.#size >= PIECE) this.#cut();
  }

  /** `digest` is the MD5 of what was written, hex. */
  end(digest: string): Body {
    if (this.#known && this.#known.length !== this.#length) this.#isAnother(this.#length);
    if (this.#known) return { ...this.#known, digest };
    if (this.#size > 0) this.#cut();
    return { ...joinBodies(this.#pieces), digest };
  }

  /** Not the body that was known, after so many bytes that were the same. */
  #isAnother(same: number): void {
    this.#pieces.push(sliceBody(this.#known!, 0, same));
    this.#known = undefined;
  }

  #cut(): void {
    this.#pieces.push(bufferBody(Buffer.concat(this.#waiting)));
    this.#waiting = [];
    this.#size = 0;
  }
}

/**
 * Bytes made from their position: each aligned 8 bytes are a hash of (seed, position), so any two stretches differ, nothing
 * compresses, and a reader can tell from a few bytes that it got the wrong ones.
 */
export function generatedBody(length: number, seed = 1): Body {
  const digest = createHash('md5').update(`generated ${length} ${seed}`).digest('hex');
  return { length, digest, read: (start, end) => generate(start, end, seed) };
}

function generate(start: number, end: number, seed: number): Buffer {
  const first = Math.floor(start / 8);
  const words = Math.ceil(end / 8) - first;
  const out = Buffer.allocUnsafe(Math.max(words, 0) * 8);
  for (let i = 0; i < words; i++) {
    const word = first + i;
    const low = mix((word >>> 0) ^ Math.imul(seed, 0x9e3779b1));
    out.writeUInt32LE(low, i * 8);
    out.writeUInt32LE(mix(low ^ Math.floor(word / 2 ** 32) ^ 0x85ebca6b), i * 8 + 4);
  }
  return out.subarray(start - first * 8, end - first * 8);
}

/** The finaliser of MurmurHash3 */
function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** A stretch of another body, as a part copied with x-amz-copy-source-range is. */
export function sliceBody(body: Body, start: number, end: number): Body {
  return { length: end - start, read: (from, to) => body.read(start + from, start + to) };
}

/** Parts one after the other, as a completed multipart upload is. */
export function joinBodies(parts: readonly Body[]): Body {
  const starts: number[] = [];
  let length = 0;
  for (const part of parts) {
    starts.push(length);
    length += part.length;
  }
  const read = (start: number, end: number): Buffer => {
    const pieces: Buffer[] = [];
    for (let i = indexAt(starts, start); i < parts.length && starts[i]! < end; i++) {
      const from = Math.max(start - starts[i]!, 0);
      const to = Math.min(end - starts[i]!, parts[i]!.length);
      if (from < to) pieces.push(parts[i]!.read(from, to));
    }
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  };
  return { length, read };
}

/** The last of ascending starts that is not after `at`, or 0. */
function indexAt(starts: readonly number[], at: number): number {
  let [low, high] = [0, starts.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (starts[middle]! <= at) low = middle;
    else high = middle - 1;
  }
  return low;
}

export function* chunksOf(body: Body, start = 0, end = body.length): Generator<Buffer> {
  for (let at = start; at < end; at += CHUNK) yield body.read(at, Math.min(at + CHUNK, end));
}
