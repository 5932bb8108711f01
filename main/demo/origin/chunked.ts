import { S3Error } from './errors.ts';
import { sha256Hex, sign } from './sigv4.ts';
import { type PayloadRule, type SignatureChain, same } from './verify.ts';

export interface Decoded {
  readonly body: Buffer;
  /** Lower-case names of the trailer's lines */
  readonly trailers: ReadonlyMap<string, string>;
}

const EMPTY_HASH = sha256Hex(Buffer.alloc(0));

/**
 * Takes an aws-chunked body apart and checks each chunk's signature ("Signature Calculations for the Authorization Header:
 * Transferring Payload in Multiple Chunks", and the same with trailing headers).
 */
export function decodeChunked(
  raw: Buffer,
  rule: Extract<PayloadRule, { kind: 'chunked' }>,
  length: string | undefined,
): Decoded {
  const cursor = new Cursor(raw);
  const pieces: Buffer[] = [];
  let previous = rule.chain?.seed ?? '';
  for (;;) {
    const head = /^([0-9a-fA-F]{1,8})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(cursor.line());
    if (!head) throw incomplete('a chunk does not begin with its size');
    const size = Number.parseInt(head[1]!, 16);
    const data = cursor.take(size);
    if (rule.chain) previous = checkChunk(rule.chain, previous, data, head[2]);
    if (size === 0) break;
    pieces.push(data);
    if (cursor.line() !== '') throw incomplete('a chunk is longer than its size');
  }
  const trailers = readTrailers(cursor, rule, previous);
  const body = Buffer.concat(pieces);
  if (length === undefined || !/^\d+$/.test(length)) {
    throw new S3Error(
      'MissingContentLength',
      'You must provide the Content-Length HTTP header (x-amz-decoded-content-length).',
    );
  }
  if (Number(length) !== body.length)
    throw incomplete(`x-amz-decoded-content-length is ${length}, ${body.length} bytes came`);
  return { body, trailers };
}

function checkChunk(chain: SignatureChain, previous: string, data: Buffer, signature: string | undefined): string {
  const text = ['AWS4-HMAC-SHA256-PAYLOAD', chain.date, chain.scope, previous, EMPTY_HASH, sha256Hex(data)].join('\n');
  return checked(sign(chain.key, text), signature);
}

function readTrailers(
  cursor: Cursor,
  rule: Extract<PayloadRule, { kind: 'chunked' }>,
  previous: string,
): ReadonlyMap<string, string> {
  const trailers = new Map<string, string>();
  let signature: string | undefined;
  while (!cursor.done()) {
    const line = cursor.line();
    if (line === '') continue;
    const colon = line.indexOf(':');
    if (colon < 1) throw incomplete('a trailer has no colon');
    const name = line.slice(0, colon).trim().toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (name === 'x-amz-trailer-signature') signature = value;
    else trailers.set(name, value);
  }
  if (trailers.size > 0 && !rule.trailer) throw incomplete('a trailer came that was not announced');
  if (rule.chain && rule.trailer) {
    const lines = [...trailers].map(([name, value]) => `${name}:${value}\n`).join('');
    const hash = sha256Hex(Buffer.from(lines, 'latin1'));
    checked(
      sign(rule.chain.key, ['AWS4-HMAC-SHA256-TRAILER', rule.chain.date, rule.chain.scope, previous, hash].join('\n')),
      signature,
    );
  }
  return trailers;
}

function checked(expected: string, signature: string | undefined): string {
  if (signature === undefined || !same(expected, signature)) {
    throw new S3Error(
      'SignatureDoesNotMatch',
      'The chunk or trailer signature we calculated does not match the one you provided.',
    );
  }
  return expected;
}

function incomplete(why: string): S3Error {
  return new S3Error('IncompleteBody', `The request body is not valid aws-chunked: ${why}.`);
}

class Cursor {
  readonly #raw: Buffer;
  #at = 0;

  constructor(raw: Buffer) {
    this.#raw = raw;
  }

  done(): boolean {
    return this.#at >= this.#raw.length;
  }

  /** Up to the next line end; the trailer of some clients ends without one. */
  line(): string {
    const end = this.#raw.indexOf('\n', this.#at);
    const stop = end < 0 ? this.#raw.length : end;
    const line = this.#raw.toString('latin1', this.#at, stop).replace(/\r$/, '');
    this.#at = stop + 1;
    return line;
  }

  take(size: number): Buffer {
    if (this.#at + size > this.#raw.length) throw incomplete('it ends inside a chunk');
    const data = this.#raw.subarray(this.#at, this.#at + size);
    this.#at += size;
    return data;
  }
}
