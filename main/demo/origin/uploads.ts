import { createHash } from 'node:crypto';
import { type Body, bufferBody, chunksOf } from './bodies.ts';
import { CHECKSUM_ALGORITHMS, type Checksum, digest } from './checksums.ts';
import { decodeChunked } from './chunked.ts';
import { S3Error } from './errors.ts';
import { checksumHeader, type S3Request } from './message.ts';
import { checkPayload } from './verify.ts';

export interface UploadedBody {
  readonly body: Body;
  readonly bytes: Buffer;
  readonly checksums: readonly Checksum[];
}

/** The body of an upload, decoded and held against every digest that came with it. */
export async function readUpload(request: S3Request): Promise<UploadedBody> {
  const raw = await request.readBody();
  checkPayload(request.payload, raw);
  let bytes = raw;
  let trailers: ReadonlyMap<string, string> = new Map();
  if (request.payload.kind === 'chunked') {
    ({ body: bytes, trailers } = decodeChunked(raw, request.payload, request.header('x-amz-decoded-content-length')));
  }
  const md5 = request.header('content-md5');
  if (md5 !== undefined && createHash('md5').update(bytes).digest('base64') !== md5) {
    throw new S3Error('BadDigest', 'The Content-MD5 you specified did not match what we received.');
  }
  checkAnnounced(request, trailers);
  const body = bufferBody(bytes);
  return { body, bytes, checksums: checksumsOf(request, trailers, body) };
}

function checkAnnounced(request: S3Request, trailers: ReadonlyMap<string, string>): void {
  const announced = request.header('x-amz-trailer')?.toLowerCase();
  if (announced !== undefined && !trailers.has(announced)) {
    throw new S3Error('IncompleteBody', `The trailer ${announced} was announced and did not come.`);
  }
}

function checksumsOf(request: S3Request, trailers: ReadonlyMap<string, string>, body: Body): Checksum[] {
  const found: Checksum[] = [];
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const name = checksumHeader(algorithm);
    const value = trailers.get(name) ?? request.amz(name);
    if (value === undefined) continue;
    if (digest(algorithm, chunksOf(body)).toString('base64') !== value) {
      throw new S3Error(
        'BadDigest',
        `The ${algorithm.toUpperCase()} you specified did not match the calculated checksum.`,
      );
    }
    found.push({ algorithm, value, type: 'FULL_OBJECT' });
  }
  return found;
}

/** Headers that S3 keeps with an object and gives back with it, by lower-case name. */
const KEPT = new Set([
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-type',
  'expires',
  'x-amz-storage-class',
  'x-amz-website-redirect-location',
]);

/** What of an upload's headers becomes the object's; S3 gives names back in this spelling. */
export function keptHeaders(headers: readonly string[]): string[] {
  const kept: string[] = [];
  let encryption = ['x-amz-server-side-encryption', 'AES256'];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i]!.toLowerCase();
    let value = headers[i + 1]!;
    if (name.startsWith('x-amz-server-side-encryption-customer-')) encryption = [];
    else if (name === 'x-amz-server-side-encryption') encryption[1] = value;
    else if (name.startsWith('x-amz-server-side-encryption')) encryption.push(name, value);
    if (name === 'content-encoding') value = withoutAwsChunked(value);
    if (name === 'x-amz-storage-class' && value === 'STANDARD') continue;
    if ((KEPT.has(name) && value !== '') || name.startsWith('x-amz-meta-')) kept.push(spelled(name), value);
  }
  return [...encryption, ...kept];
}

function withoutAwsChunked(value: string): string {
  return value
    .split(',')
    .map(coding => coding.trim())
    .filter(coding => coding.toLowerCase() !== 'aws-chunked')
    .join(',');
}

function spelled(name: string): string {
  return name.startsWith('x-amz-') ? name : name.replace(/(^|-)[a-z]/g, start => start.toUpperCase());
}

export function parseTags(header: string | undefined): [string, string][] {
  return header === undefined ? [] : [...new URLSearchParams(header)];
}

/** The MD5 of a customer's key where one came (SSE-C), base64 as sent. */
export function customerKey(request: S3Request, prefix = 'x-amz-server-side-encryption-customer'): string | undefined {
  return request.amz(`${prefix}-key-md5`);
}
