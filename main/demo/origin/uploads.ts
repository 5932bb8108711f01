import { createHash, type Hash } from 'node:crypto';
import { type Body, BodyWriter } from './bodies.ts';
import {
  algorithmNamed,
  CHECKSUM_ALGORITHMS,
  type Checksum,
  type ChecksumAlgorithm,
  digester,
  isChecksum,
} from './checksums.ts';
import { decodeChunked } from './chunked.ts';
import type { Digester } from './crc.ts';
import { S3Error } from './errors.ts';
import { checksumHeader, type S3Request } from './message.ts';
import { checkPayload } from './verify.ts';
import { parseXml } from './xml.ts';

export interface UploadedBody {
  /** Its `digest` is its MD5 */
  readonly body: Body;
  /** What came with it, checked; nothing where nothing came */
  readonly checksums: readonly Checksum[];
  /** The checksum of the algorithm that was asked for, whatever came */
  readonly sum: Buffer | undefined;
}

/**
 * The body of an upload, decoded and held against every digest that came with it; `algorithm` is computed in any case.
 * Where it is `known`, it is not kept a second time.
 */
export async function readUpload(
  request: S3Request,
  algorithm?: ChecksumAlgorithm,
  known?: Body,
): Promise<UploadedBody> {
  const md5 = expectedMd5(request);
  const announced = announcedChecksum(request);
  const digesters = new Map<ChecksumAlgorithm, Digester>();
  for (const each of [announced, algorithm]) if (each && !digesters.has(each)) digesters.set(each, digester(each));
  const trailers = new Map<string, string>();
  const into = new BodyWriter(known);
  const hash = createHash('md5');
  for await (const chunk of content(request, trailers)) {
    hash.update(chunk);
    for (const each of digesters.values()) each.update(chunk);
    into.write(chunk);
  }
  const digest = hash.digest();
  if (md5 !== undefined && md5 !== digest.toString('base64')) {
    throw new S3Error('BadDigest', 'The Content-MD5 you specified did not match what we received.', {
      ExpectedDigest: md5,
      CalculatedDigest: digest.toString('base64'),
    });
  }
  const sums = new Map([...digesters].map(([name, each]) => [name, each.digest()]));
  const body = into.end(digest.toString('hex'));
  const checksums = announced ? [checkedSum(request, trailers, announced, sums.get(announced)!)] : [];
  return { body, checksums, sum: algorithm && sums.get(algorithm) };
}

/** The children of the XML that a request carries; any checksum header may speak of something else (CompleteMultipartUpload). */
export async function readXml(request: S3Request, root: string, checked = true): Promise<Record<string, unknown>> {
  const amz = (name: string) => (name.startsWith('x-amz-checksum-') ? undefined : request.amz(name));
  const { body } = await readUpload(checked ? request : { ...request, amz });
  return parseXml(body.read(0, body.length), root);
}

/** What the body says, its framing taken off and checked. */
async function* content(request: S3Request, trailers: Map<string, string>): AsyncGenerator<Buffer> {
  const { payload } = request;
  const isChunked = payload.kind === 'chunked';
  if (request.header('transfer-encoding') !== undefined && !isChunked && !request.takesPlainChunks) {
    throw new S3Error('NotImplemented', 'A header you provided implies functionality that is not implemented', {
      Header: 'Transfer-Encoding',
    });
  }
  if (request.method === 'PUT' && ['transfer-encoding', 'content-length'].every(name => !request.header(name))) {
    throw new S3Error('MissingContentLength', 'You must provide the Content-Length HTTP header.');
  }
  if (payload.kind === 'chunked') {
    yield* decodeChunked(request.body(), payload, request.header('x-amz-decoded-content-length'), trailers);
    return;
  }
  const hash: Hash | undefined = payload.kind === 'sha256' ? createHash('sha256') : undefined;
  for await (const chunk of request.body()) {
    hash?.update(chunk);
    yield chunk;
  }
  checkPayload(payload, hash?.digest('hex'));
}

function expectedMd5(request: S3Request): string | undefined {
  const md5 = request.header('content-md5');
  if (md5 === undefined || /^[A-Za-z0-9+/]{22}==$/.test(md5)) return md5;
  throw new S3Error('InvalidDigest', 'The Content-MD5 you specified was invalid.', { 'Content-MD5': md5 });
}

/** The one algorithm whose checksum comes with the body, in a header or in the trailer ("Checking object integrity"). */
function announcedChecksum(request: S3Request): ChecksumAlgorithm | undefined {
  const inHeaders = CHECKSUM_ALGORITHMS.filter(algorithm => request.amz(checksumHeader(algorithm)) !== undefined);
  const inTrailer = (request.header('x-amz-trailer') ?? '')
    .split(',')
    .map(name => algorithmNamed(name.trim().slice('x-amz-checksum-'.length)))
    .filter(algorithm => algorithm !== undefined);
  const all = [...inHeaders, ...inTrailer];
  if (all.length > 1) {
    const message = 'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.';
    throw new S3Error('InvalidRequest', message);
  }
  for (const algorithm of inHeaders) checkForm(algorithm, request.amz(checksumHeader(algorithm))!);
  // Presigned URLs of some SDKs carry it as a parameter, without a checksum: only the header is a promise.
  const promised = request.header('x-amz-sdk-checksum-algorithm');
  if (promised === undefined) return all[0];
  const algorithm = algorithmNamed(promised);
  if (!algorithm) throw new S3Error('InvalidRequest', 'Checksum algorithm provided is unsupported.');
  if (all.length === 0 && request.header('content-md5') === undefined) {
    const message =
      'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.';
    throw new S3Error('InvalidRequest', message);
  }
  if (all[0] && all[0] !== algorithm) {
    throw new S3Error('InvalidRequest', 'Value for x-amz-sdk-checksum-algorithm header is invalid.');
  }
  return all[0];
}

function checkedSum(
  request: S3Request,
  trailers: ReadonlyMap<string, string>,
  algorithm: ChecksumAlgorithm,
  sum: Buffer,
): Checksum {
  const name = checksumHeader(algorithm);
  const value = trailers.get(name) ?? request.amz(name);
  if (value === undefined) {
    throw new S3Error('IncompleteBody', `The trailer ${name} was announced and did not come.`);
  }
  checkForm(algorithm, value);
  if (sum.toString('base64') !== value) throw wrongChecksum(algorithm);
  return { algorithm, value, type: 'FULL_OBJECT' };
}

function checkForm(algorithm: ChecksumAlgorithm, value: string): void {
  if (isChecksum(algorithm, value)) return;
  throw new S3Error('InvalidRequest', `Value for ${checksumHeader(algorithm)} header is invalid.`);
}

export function wrongChecksum(algorithm: ChecksumAlgorithm): S3Error {
  return new S3Error(
    'BadDigest',
    `The ${algorithm.toUpperCase()} you specified did not match the calculated checksum.`,
  );
}

export function parseTags(header: string | undefined): [string, string][] {
  return header === undefined ? [] : [...new URLSearchParams(header)];
}

/** The MD5 of a customer's key where one came (SSE-C), base64 as sent. */
export function customerKey(request: S3Request, prefix = 'x-amz-server-side-encryption-customer'): string | undefined {
  return request.amz(`${prefix}-key-md5`);
}

export function customerKeyHeaders(md5: string | undefined): string[] {
  const prefix = 'x-amz-server-side-encryption-customer';
  return md5 === undefined ? [] : [`${prefix}-algorithm`, 'AES256', `${prefix}-key-MD5`, md5];
}
