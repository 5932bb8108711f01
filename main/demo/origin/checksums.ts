import { createHash } from 'node:crypto';
import { crc32cDigester, crc32Digester, crc64nvmeDigester, type Digester } from './crc.ts';

/** The checksum algorithms that S3 keeps with an object ("Checking object integrity"), by the end of their header name. */
export type ChecksumAlgorithm = 'crc32' | 'crc32c' | 'crc64nvme' | 'sha1' | 'sha256';
export const CHECKSUM_ALGORITHMS: readonly ChecksumAlgorithm[] = ['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256'];

/** What S3 computes for an upload that brings no checksum of its own. */
export const DEFAULT_ALGORITHM: ChecksumAlgorithm = 'crc64nvme';

export interface Checksum {
  readonly algorithm: ChecksumAlgorithm;
  /** base64 as in the header; with `-<parts>` for a composite one */
  readonly value: string;
  readonly type: 'FULL_OBJECT' | 'COMPOSITE';
}

export function digester(algorithm: ChecksumAlgorithm): Digester {
  if (algorithm === 'crc32') return crc32Digester();
  if (algorithm === 'crc32c') return crc32cDigester();
  return algorithm === 'crc64nvme' ? crc64nvmeDigester() : createHash(algorithm);
}

/** Checksum of all bytes, big-endian as S3 writes it. */
export function digest(algorithm: ChecksumAlgorithm, chunks: Iterable<Uint8Array>): Buffer {
  const growing = digester(algorithm);
  for (const chunk of chunks) growing.update(chunk);
  return growing.digest();
}

/** Of a multipart object: the checksum of the parts' checksums, and how many there were. */
export function compositeChecksum(algorithm: ChecksumAlgorithm, parts: readonly Buffer[]): Checksum {
  const value = `${digest(algorithm, parts).toString('base64')}-${parts.length}`;
  return { algorithm, value, type: 'COMPOSITE' };
}

/** How many bytes each has. */
const LENGTH: Readonly<Record<ChecksumAlgorithm, number>> = { crc32: 4, crc32c: 4, crc64nvme: 8, sha1: 20, sha256: 32 };

/** Is this base64 of as many bytes as the algorithm gives? */
export function isChecksum(algorithm: ChecksumAlgorithm, value: string): boolean {
  const bytes = Buffer.from(value, 'base64');
  return bytes.length === LENGTH[algorithm] && bytes.toString('base64') === value;
}

export function algorithmNamed(name: string | undefined): ChecksumAlgorithm | undefined {
  return CHECKSUM_ALGORITHMS.find(algorithm => algorithm === name?.toLowerCase());
}
