import { createHash } from 'node:crypto';
import { ByteReader } from './byte-reader.ts';
import { S3Error } from './errors.ts';
import { sha256Hex, sign } from './sigv4.ts';
import { type PayloadRule, type SignatureChain, same } from './verify.ts';

const EMPTY_HASH = sha256Hex(Buffer.alloc(0));
/** Of every chunk but the last ("Defining the chunk body") */
const SMALLEST_CHUNK = 8192;

/**
 * The content of an aws-chunked body as it comes; each chunk's signature is checked when its bytes are through
 * ("Signature Calculations for the Authorization Header: Transferring Payload in Multiple Chunks", and the same with
 * trailing headers). The trailer's lines go into `trailers` by lower-case name. Throws the S3Error that S3 would answer.
 */
export async function* decodeChunked(
  raw: AsyncIterable<Buffer>,
  rule: Extract<PayloadRule, { kind: 'chunked' }>,
  length: string | undefined,
  trailers: Map<string, string>,
): AsyncGenerator<Buffer> {
  if (length === undefined || !/^\d+$/.test(length)) {
    throw new S3Error(
      'MissingContentLength',
      'You must provide the Content-Length HTTP header (x-amz-decoded-content-length).',
    );
  }
  const reader = new ByteReader(raw);
  try {
    const { total, last } = yield* chunks(reader, rule);
    await readTrailers(reader, rule, last, trailers);
    if (Number(length) !== total) throw incomplete(`x-amz-decoded-content-length is ${length}, ${total} bytes came`);
  } finally {
    await reader.close();
  }
}

/** All chunks, down to the empty one; then how much there was and the last signature. */
async function* chunks(
  reader: ByteReader,
  { chain }: Extract<PayloadRule, { kind: 'chunked' }>,
): AsyncGenerator<Buffer, { total: number; last: string }> {
  let last = chain?.seed ?? '';
  let [total, before] = [0, SMALLEST_CHUNK];
  for (;;) {
    const head = /^([0-9a-fA-F]{1,8})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec((await reader.line()) ?? '');
    if (!head) throw incomplete('a chunk does not begin with its size');
    const size = Number.parseInt(head[1]!, 16);
    if (size > 0 && before < SMALLEST_CHUNK) {
      throw new S3Error('InvalidChunkSizeError', 'Only the last chunk is allowed to have a size less than 8192 bytes', {
        BadChunkSize: String(before),
      });
    }
    before = size;
    const hash = createHash('sha256');
    let left = size;
    for await (const piece of reader.pieces(size)) {
      left -= piece.length;
      if (chain) hash.update(piece);
      yield piece;
    }
    if (left > 0) throw incomplete('it ends inside a chunk');
    if (chain) last = checkChunk(chain, last, hash.digest('hex'), head[2]);
    total += size;
    if (size === 0) return { total, last };
    if ((await reader.line()) !== '') throw incomplete('a chunk is longer than its size');
  }
}

function checkChunk(chain: SignatureChain, previous: string, hash: string, signature: string | undefined): string {
  const text = ['AWS4-HMAC-SHA256-PAYLOAD', chain.date, chain.scope, previous, EMPTY_HASH, hash].join('\n');
  return checked(sign(chain.key, text), signature);
}

async function readTrailers(
  reader: ByteReader,
  rule: Extract<PayloadRule, { kind: 'chunked' }>,
  previous: string,
  trailers: Map<string, string>,
): Promise<void> {
  let signature: string | undefined;
  for (let line = await reader.line(); line !== undefined; line = await reader.line()) {
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
