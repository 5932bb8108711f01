import { crc32 } from 'node:zlib';
import { POLYNOMIAL } from './crc-combine.ts';

/** A checksum that grows with what it is fed. */
export interface Digester {
  update(chunk: Uint8Array): void;
  digest(): Buffer;
}

export function crc32Digester(): Digester {
  return digester32((data, before) => crc32(data as Buffer, before));
}

export function crc32cDigester(): Digester {
  return digester32(crc32c);
}

function digester32(step: (data: Uint8Array, before: number) => number): Digester {
  let value = 0;
  return {
    update(chunk) {
      value = step(chunk, value);
    },
    digest() {
      const out = Buffer.alloc(4);
      out.writeUInt32BE(value >>> 0);
      return out;
    },
  };
}

const CRC32C = tables32(Number(POLYNOMIAL.crc32c));

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

/**
 * CRC-64/NVME: all ones in and out. Kept as two 32-bit halves, for BigInt is slow,
 * and eight bytes at a time: S3 computes it for every upload that brings no checksum.
 */
export function crc64nvmeDigester(): Digester {
  let [high, low] = [-1, -1];
  return {
    update(data) {
      let i = 0;
      for (const whole = data.length - (data.length % 8); i < whole; i += 8) {
        const l = low ^ (data[i]! | (data[i + 1]! << 8) | (data[i + 2]! << 16) | (data[i + 3]! << 24));
        const h = high ^ (data[i + 4]! | (data[i + 5]! << 8) | (data[i + 6]! << 16) | (data[i + 7]! << 24));
        const [a, b, c, d] = [1792 | (l & 255), 1536 | ((l >>> 8) & 255), 1280 | ((l >>> 16) & 255), 1024 | (l >>> 24)];
        const [e, f, g, k] = [768 | (h & 255), 512 | ((h >>> 8) & 255), 256 | ((h >>> 16) & 255), h >>> 24];
        low = LOW[a]! ^ LOW[b]! ^ LOW[c]! ^ LOW[d]! ^ LOW[e]! ^ LOW[f]! ^ LOW[g]! ^ LOW[k]!;
        high = HIGH[a]! ^ HIGH[b]! ^ HIGH[c]! ^ HIGH[d]! ^ HIGH[e]! ^ HIGH[f]! ^ HIGH[g]! ^ HIGH[k]!;
      }
      for (; i < data.length; i++) {
        const at = (low ^ data[i]!) & 255;
        low = ((low >>> 8) | (high << 24)) ^ LOW[at]!;
        high = (high >>> 8) ^ HIGH[at]!;
      }
    },
    digest() {
      const out = Buffer.alloc(8);
      out.writeUInt32BE(~high >>> 0, 0);
      out.writeUInt32BE(~low >>> 0, 4);
      return out;
    },
  };
}

/** Eight slicing tables of 256 entries, one after the other. */
const [HIGH, LOW] = tables64(POLYNOMIAL.crc64nvme);

function tables64(polynomial: bigint): [Int32Array, Int32Array] {
  const [high, low] = [new Int32Array(2048), new Int32Array(2048)];
  for (let n = 0; n < 256; n++) {
    let c = BigInt(n);
    for (let k = 0; k < 8; k++) c = c & 1n ? (c >> 1n) ^ polynomial : c >> 1n;
    high[n] = Number(BigInt.asIntN(32, c >> 32n));
    low[n] = Number(BigInt.asIntN(32, c));
  }
  for (let n = 256; n < 2048; n++) {
    const [h, l] = [high[n - 256]!, low[n - 256]!];
    low[n] = ((l >>> 8) | (h << 24)) ^ low[l & 255]!;
    high[n] = (h >>> 8) ^ high[l & 255]!;
  }
  return [high, low];
}
