import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** The checksum algorithms that S3 keeps with an object ("Checking object integrity"), by the end of their header name. */
export type ChecksumAlgorithm = 'crc32' | 'crc32c' | 'crc64nvme' | 'sha1' | 'sha256';
export const CHECKSUM_ALGORITHMS: readonly ChecksumAlgorithm[] = ['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256'];

export interface Checksum {
  readonly algorithm: ChecksumAlgorithm;
  /** base64 as in the header; with `-<parts>` for a composite one */
  readonly value: string;
  readonly type: 'FULL_OBJECT' | 'COMPOSITE';
}

/** Checksum of all bytes, big-endian as S3 writes it. */
export function digest(algorithm: ChecksumAlgorithm, chunks: Iterable<Uint8Array>): Buffer {
  if (algorithm === 'sha1' || algorithm === 'sha256') {
    const hash = createHash(algorithm);
    for (const chunk of chunks) hash.update(chunk);
    return hash.digest();
  }
  if (algorithm === 'crc64nvme') return crc64nvme(chunks);
  const step = algorithm === 'crc32' ? crc32 : crc32c;
  let value = 0;
  for (const chunk of chunks) value = step(chunk as Buffer, value);
  const out = Buffer.alloc(4);
  out.writeUInt32BE(value >>> 0);
  return out;
}

/** Of a multipart object: the checksum of the parts' checksums, and how many there were. */
export function compositeChecksum(algorithm: ChecksumAlgorithm, parts: readonly Buffer[]): Checksum {
  const value = `${digest(algorithm, parts).toString('base64')}-${parts.length}`;
  return { algorithm, value, type: 'COMPOSITE' };
}

const CRC32C = tables32(0x82f63b78);

function crc32c(data: Uint8Array, before: number): number {
  const [t0, t1, t2, t3] = CRC32C as [Uint32Array, Uint32Array, Uint32Array, Uint32Array];
  let crc = ~before;
  let i = 0;
  for (const whole = data.length - (data.length % 4); i < whole; i += 4) {
    crc ^= data[i]! | (data[i + 1]! << 8) | (data[i + 2]! << 16) | (data[i + 3]! << 24);
    crc = t3[crc & 255]! ^ t2[(crc >>> 8) & 255]! ^ t1[(crc >>> 16) & 255]! ^ t0[crc >>> 24]!;
  }
  for (; i < data.length; i++) crc = t0[(crc ^ data[i]!) & 255]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Slicing tables of a reflected 32-bit polynomial: table n advances a byte by n more bytes. */
function tables32(polynomial: number): Uint32Array[] {
  const first = new Uint32Array(256);
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ polynomial : c >>> 1;
    first[n] = c;
  }
  const tables = [first];
  for (let t = 1; t < 4; t++) {
    const before = tables[t - 1]!;
    tables.push(before.map(c => first[c & 255]! ^ (c >>> 8)));
  }
  return tables;
}

/** CRC-64/NVME (reflected polynomial 0x9a6c9329ac4bc9b5, all ones in and out), kept as two 32-bit halves: BigInt is slow. */
const CRC64 = tables64(0x9a6c9329ac4bc9b5n);

function crc64nvme(chunks: Iterable<Uint8Array>): Buffer {
  const { high, low } = CRC64;
  let h = -1;
  let l = -1;
  for (const data of chunks) {
    for (let i = 0; i < data.length; i++) {
      const at = (l ^ data[i]!) & 255;
      l = ((l >>> 8) | (h << 24)) ^ low[at]!;
      h = (h >>> 8) ^ high[at]!;
    }
  }
  const out = Buffer.alloc(8);
  out.writeUInt32BE(~h >>> 0, 0);
  out.writeUInt32BE(~l >>> 0, 4);
  return out;
}

function tables64(polynomial: bigint): { high: Uint32Array; low: Uint32Array } {
  const high = new Uint32Array(256);
  const low = new Uint32Array(256);
  for (let n = 0; n < 256; n++) {
    let c = BigInt(n);
    for (let k = 0; k < 8; k++) c = c & 1n ? (c >> 1n) ^ polynomial : c >> 1n;
    high[n] = Number(c >> 32n);
    low[n] = Number(c & 0xffffffffn);
  }
  return { high, low };
}
