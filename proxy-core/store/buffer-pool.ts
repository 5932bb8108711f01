/** Size of a pooled buffer, and of the pieces in which bodies are read from and written to disk. */
export const PIECE = 1 << 20;

const KEEP_FREE = 32;

/**
 * The one budget for bytes held by in-flight reads and fills (design section 3, rule 6), handed out as 1 MiB buffers.
 * A buffer is returned by the callback of the write that used it; reuse is worth a factor of two in disk throughput.
 */
export class BufferPool {
  readonly #free: Buffer[] = [];
  readonly #limit: number;
  #out = 0;

  /** @param budget bytes that may be out at once */
  constructor(budget: number) {
    this.#limit = Math.max(4, Math.floor(budget / PIECE));
  }

  /** A buffer of {@link PIECE} bytes with undefined content, or undefined when the budget is used up. */
  take(): Buffer | undefined {
    if (this.#out >= this.#limit) return undefined;
    this.#out++;
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(PIECE);
  }

  give(buffer: Buffer): void {
    this.#out--;
    if (this.#free.length < KEEP_FREE) this.#free.push(buffer);
  }

  /** For a buffer that a destroyed socket or a stuck read may still be using: it is counted back, but left to the collector. */
  forget(): void {
    this.#out--;
  }

  get bytesOut(): number {
    return this.#out * PIECE;
  }
}
