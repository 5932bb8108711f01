import type { Checksum, ChecksumAlgorithm } from './checksums.ts';
import type { S3ErrorCode } from './errors.ts';
import type { Principal } from './principals.ts';
import type { Bucket, Store } from './store.ts';
import type { PayloadRule } from './verify.ts';
import { element } from './xml.ts';

/** A request whose signature has been checked; strings are latin1 as on the wire but for bucket, key and query values. */
export interface S3Request {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly string[];
  /** First value by lower-case name */
  readonly header: (name: string) => string | undefined;
  /** An x-amz-* header, or the query parameter that a presigned URL carries in its place */
  readonly amz: (name: string) => string | undefined;
  /** Decoded, by name as sent */
  readonly query: ReadonlyMap<string, string>;
  readonly host: string;
  readonly bucket: string;
  readonly key: string;
  readonly principal: Principal | undefined;
  readonly payload: PayloadRule;
  /** A plain body in chunked transfer coding, which S3 refuses and other stores take */
  readonly takesPlainChunks: boolean;
  /** The body as it comes; tells a waiting client to go on (100) first */
  readonly body: () => AsyncIterable<Buffer>;
}

export interface Reply {
  readonly status: number;
  /** Flat raw headers, without those that every answer carries (ids, Date, Server) */
  readonly headers: readonly string[];
  /** What follows the headers; without a length it goes out chunked, as S3's errors and listings do */
  readonly body?: { readonly length?: number; readonly chunks: Iterable<Buffer> | AsyncIterable<Buffer> };
}

export interface Context {
  readonly store: Store;
  readonly now: number;
  /** May the request's signer do this? Throws AccessDenied. */
  readonly require: (action: 'read' | 'write' | 'list', bucket: Bucket, key: string | undefined) => void;
  readonly may: (action: 'read' | 'write' | 'list', bucket: Bucket, key: string | undefined) => boolean;
  /** The code with which one key of a DeleteObjects is refused, whoever asks; a fault that tests set */
  readonly refused: (key: string) => S3ErrorCode | undefined;
}

export type Handler = (request: S3Request, context: Context) => Reply | Promise<Reply>;

/** The body of an answer that says all in its headers. */
export const EMPTY = { length: 0, chunks: [] };

export function xmlReply(body: string, status = 200, headers: readonly string[] = []): Reply {
  return { status, headers: [...headers, 'Content-Type', 'application/xml'], body: { chunks: [Buffer.from(body)] } };
}

export function checksumHeader(algorithm: ChecksumAlgorithm): string {
  return `x-amz-checksum-${algorithm}`;
}

export function checksumHeaders(checksums: readonly Checksum[]): string[] {
  const type = checksums[0]?.type;
  const lines = checksums.flatMap(({ algorithm, value }) => [checksumHeader(algorithm), value]);
  return type === undefined ? [] : [...lines, 'x-amz-checksum-type', type];
}

/** `crc64nvme` is `CRC64NVME` in XML. */
export function checksumElement(algorithm: ChecksumAlgorithm): string {
  return `Checksum${algorithm.toUpperCase()}`;
}

export function checksumElements(checksums: readonly Checksum[]): string {
  const type = checksums[0]?.type;
  const values = checksums.map(({ algorithm, value }) => element(checksumElement(algorithm), value));
  return values.join('') + element('ChecksumType', type);
}

export function httpDate(ms: number): string {
  return new Date(ms).toUTCString();
}

export function isoDate(ms: number): string {
  return new Date(ms).toISOString();
}
