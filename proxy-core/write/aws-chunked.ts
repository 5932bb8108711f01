import type { RawHeaders } from '../request/index.ts';

/**
 * Whether a body is aws-chunked. The signed `x-amz-content-sha256` says so in all forms (STREAMING-AWS4-HMAC-SHA256-PAYLOAD,
 * STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, both also -TRAILER, STREAMING-UNSIGNED-PAYLOAD-TRAILER); `Content-Encoding:
 * aws-chunked` is often left out.
 */
export function isAwsChunked(contentSha256: string | undefined, contentEncoding?: string | undefined): boolean {
  if (contentSha256?.trimStart().toUpperCase().startsWith('STREAMING-')) return true;
  return contentEncoding?.split(',').some(coding => coding.trim().toLowerCase() === 'aws-chunked') ?? false;
}

/**
 * Decodes an aws-chunked body as it passes (S3 API reference, "Transferring payload in multiple chunks"): chunks of
 * `<hex size>[;chunk-signature=…]CRLF <data> CRLF`, a last one of size 0, then trailers and an empty line. Signatures are
 * S3's to check. It never throws: what can't be decoded ends in `problem`.
 */
export class AwsChunkedDecoder {
  #state: 'size' | 'data' | 'data_end' | 'trailers' = 'size';
  #line = '';
  #left = 0;
  #complete = false;
  #problem: string | undefined;
  readonly #trailers: string[] = [];

  /** The next bytes as they were sent; returns the slices of it that are content. */
  push(chunk: Buffer): Buffer[] {
    const content: Buffer[] = [];
    let at = 0;
    while (at < chunk.length && this.#problem === undefined) {
      if (this.#state === 'data') {
        const slice = chunk.subarray(at, at + this.#left);
        content.push(slice);
        at += slice.length;
        this.#left -= slice.length;
        if (this.#left === 0) this.#state = 'data_end';
      } else {
        at = this.#readLine(chunk, at);
      }
    }
    return content;
  }

  /** True once the last chunk and the empty line after it have come. */
  get complete(): boolean {
    return this.#complete && this.#problem === undefined;
  }

  /** Why the body can't be decoded; undefined while all is well. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Names as they came, and values: `x-amz-checksum-…` and `x-amz-trailer-signature`. */
  get trailers(): RawHeaders {
    return this.#trailers;
  }

  #readLine(chunk: Buffer, from: number): number {
    const newline = chunk.indexOf(10, from);
    const end = newline < 0 ? chunk.length : newline;
    if (this.#line.length + end - from > MAX_LINE) {
      this.#problem = 'a line is too long';
      return chunk.length;
    }
    this.#line += chunk.toString('latin1', from, end);
    if (newline < 0) return chunk.length;
    const line = this.#line.endsWith('\r') ? this.#line.slice(0, -1) : this.#line;
    this.#line = '';
    this.#endLine(line);
    return newline + 1;
  }

  #endLine(line: string): void {
    switch (this.#state) {
      case 'size': {
        const hex = /^([0-9a-f]{1,13})[ \t]*(?:;.*)?$/i.exec(line)?.[1];
        if (hex === undefined) this.#problem = 'a chunk has no size';
        else {
          this.#left = Number.parseInt(hex, 16);
          this.#state = this.#left === 0 ? 'trailers' : 'data';
        }
        return;
      }
      case 'data_end':
        if (line === '') this.#state = 'size';
        else this.#problem = 'a chunk is longer than its size';
        return;
      default:
        this.#readTrailer(line);
    }
  }

  /** Some senders put an empty line between the checksum and the signature of the trailers: so the first needn't be the last. */
  #readTrailer(line: string): void {
    const colon = line.indexOf(':');
    if (line === '') this.#complete = true;
    else if (colon <= 0) this.#problem = 'a trailer has no name';
    else if (this.#trailers.length >= 2 * MAX_TRAILERS) this.#problem = 'too many trailers';
    else this.#trailers.push(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
  }
}

const MAX_LINE = 4096;
const MAX_TRAILERS = 32;

/** The content of a whole aws-chunked body, or undefined when it can't be decoded. */
export function decodeAwsChunked(body: Buffer): Buffer | undefined {
  const decoder = new AwsChunkedDecoder();
  const content = Buffer.concat(decoder.push(body));
  return decoder.problem === undefined ? content : undefined;
}
