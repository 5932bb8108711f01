export type CrcAlgorithm = 'crc32' | 'crc32c' | 'crc64nvme';

/** Reflected */
export const POLYNOMIAL: Readonly<Record<CrcAlgorithm, bigint>> = {
  crc32: 0xedb88320n,
  crc32c: 0x82f63b78n,
  crc64nvme: 0x9a6c9329ac4bc9b5n,
};

/**
 * The CRC of runs of bytes one after the other, from the CRC and the length of each, without the bytes: a CRC is linear, so
 * the first one is multiplied by x^(8·length of the second) and added (as zlib's crc32_combine does).
 */
export function combineCrc(algorithm: CrcAlgorithm, sums: readonly Buffer[], lengths: readonly number[]): Buffer {
  const bits = algorithm === 'crc64nvme' ? 64n : 32n;
  const field = new Field(bits, POLYNOMIAL[algorithm]);
  let value = 0n;
  for (const [i, sum] of sums.entries()) {
    value = field.multiply(field.power(BigInt(lengths[i]!) * 8n), value) ^ BigInt(`0x${sum.toString('hex')}`);
  }
  return Buffer.from(value.toString(16).padStart(Number(bits) / 4, '0'), 'hex');
}

/** Polynomials over GF(2) modulo a reflected one: the highest bit is the coefficient of x^0. */
class Field {
  readonly #one: bigint;
  readonly #polynomial: bigint;

  constructor(bits: bigint, polynomial: bigint) {
    this.#one = 1n << (bits - 1n);
    this.#polynomial = polynomial;
  }

  multiply(a: bigint, b: bigint): bigint {
    let product = 0n;
    for (let bit = this.#one; bit > 0n; bit >>= 1n) {
      if (a & bit) product ^= b;
      b = b & 1n ? (b >> 1n) ^ this.#polynomial : b >> 1n;
    }
    return product;
  }

  /** x^n */
  power(n: bigint): bigint {
    let [result, square] = [this.#one, this.#one >> 1n];
    for (; n > 0n; n >>= 1n) {
      if (n & 1n) result = this.multiply(result, square);
      square = this.multiply(square, square);
    }
    return result;
  }
}
