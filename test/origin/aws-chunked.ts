import {
  type Principal,
  type SignInput,
  sha256Hex,
  sign,
  signHeaders,
  signingKey,
} from '../../main/demo/origin/index.ts';

export interface ChunkedUpload {
  /** Flat raw headers, Content-Length included */
  readonly headers: string[];
  /** The framed body */
  readonly body: Buffer;
}

export interface ChunkedOptions {
  readonly content: Buffer;
  /** How its integrity is vouched for; with a trailer, `trailer` goes into it */
  readonly form: 'signed' | 'signed-trailer' | 'unsigned-trailer';
  /** S3 wants at least 8192 of every chunk but the last */
  readonly chunkSize?: number;
  /** Name and value of the one trailer line, e.g. `['x-amz-checksum-crc32', '…']` */
  readonly trailer?: readonly [string, string];
  /** What else is to be in Content-Encoding, before aws-chunked */
  readonly encoding?: string;
  /** In chunked transfer coding: without Content-Length, the sender frames it */
  readonly transferChunked?: boolean;
}

const WORDS = {
  signed: 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
  'signed-trailer': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
  'unsigned-trailer': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
};
const EMPTY = sha256Hex(Buffer.alloc(0));

/** An upload in one of the forms of aws-chunked that AWS's clients send: what a proxy sees, and has to take apart. */
export function chunkedUpload(principal: Principal, input: SignInput, options: ChunkedOptions): ChunkedUpload {
  const at = input.at ?? Date.now();
  const { content, form, chunkSize = 65_536, trailer, encoding } = options;
  const isSigned = form !== 'unsigned-trailer';
  const frame = (chain: Chain | undefined) => framed(content, chunkSize, trailer, chain);
  const { length } = frame(isSigned ? UNKNOWN : undefined);
  const headers = signHeaders(principal, {
    ...input,
    at,
    payloadHash: WORDS[form],
    headers: [
      ...['Content-Encoding', encoding === undefined ? 'aws-chunked' : `${encoding},aws-chunked`],
      ...['x-amz-decoded-content-length', String(content.length)],
      ...(trailer ? ['x-amz-trailer', trailer[0]] : []),
      ...(options.transferChunked ? [] : ['Content-Length', String(length)]),
      ...(input.headers ?? []),
    ],
  });
  if (options.transferChunked) headers.push('Transfer-Encoding', 'chunked');
  return { headers, body: frame(isSigned ? chainOf(principal, headers) : undefined) };
}

interface Chain {
  chunk(data: Buffer): string;
  trailer(line: readonly [string, string]): string;
}

/** As long as a signature, which can only be made when the length is known. */
const UNKNOWN: Chain = { chunk: () => '0'.repeat(64), trailer: () => '0'.repeat(64) };

function framed(
  content: Buffer,
  chunkSize: number,
  trailer: ChunkedOptions['trailer'],
  chain: Chain | undefined,
): Buffer {
  const pieces: Buffer[] = [];
  let start = 0;
  for (const size of [...sizesOf(content.length, chunkSize), 0]) {
    const data = content.subarray(start, start + size);
    start += size;
    const extension = chain ? `;chunk-signature=${chain.chunk(data)}` : '';
    pieces.push(Buffer.from(`${size.toString(16)}${extension}\r\n`), data);
    if (size > 0) pieces.push(Buffer.from('\r\n'));
  }
  if (trailer) pieces.push(Buffer.from(`${trailer[0]}:${trailer[1]}\r\n`));
  if (trailer && chain) pieces.push(Buffer.from(`x-amz-trailer-signature:${chain.trailer(trailer)}\r\n`));
  return Buffer.concat([...pieces, Buffer.from('\r\n')]);
}

function sizesOf(length: number, chunkSize: number): number[] {
  const sizes: number[] = [];
  for (let left = length; left > 0; left -= chunkSize) sizes.push(Math.min(left, chunkSize));
  return sizes;
}

/** Each signature is over the one before; the first of them is the request's. */
function chainOf(principal: Principal, headers: readonly string[]): Chain {
  const authorization = headers[headers.indexOf('Authorization') + 1]!;
  const date = headers[headers.indexOf('x-amz-date') + 1]!;
  const scope = /Credential=[^/]+\/([^,]+)/.exec(authorization)![1]!;
  const key = signingKey(principal.secretAccessKey, scope);
  let previous = /Signature=(\w+)/.exec(authorization)![1]!;
  const next = (lines: readonly string[]) => {
    previous = sign(key, lines.join('\n'));
    return previous;
  };
  return {
    chunk: (data: Buffer) => next(['AWS4-HMAC-SHA256-PAYLOAD', date, scope, previous, EMPTY, sha256Hex(data)]),
    trailer: ([name, value]: readonly [string, string]) => {
      const hash = sha256Hex(Buffer.from(`${name}:${value}\n`));
      return next(['AWS4-HMAC-SHA256-TRAILER', date, scope, previous, hash]);
    },
  };
}
