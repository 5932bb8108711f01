/** How far away an origin seems to be. Without any of these it is as fast as it can be. */
export interface Shape {
  /** ms from a request to the first byte of its answer. */
  readonly latencyMs?: number;
  /** Bytes a second on each connection. */
  readonly perConnection?: number;
  /** Bytes a second on all connections together. */
  readonly total?: number;
}

/** What a connection that stood still, or a timer that came late, may make up for, as the buffers on a long way would. */
const CREDIT_MS = 50;

/** A way on which bytes follow each other at a rate. Times are ms, of any one clock. */
export class Pace {
  readonly #msPerByte: number;
  #freeAt = Number.NEGATIVE_INFINITY;

  constructor(bytesPerSecond: number) {
    this.#msPerByte = 1_000 / bytesPerSecond;
  }

  /** When these bytes may leave. They have to be sent then: the way is taken for as long as they need. */
  reserve(bytes: number, now: number): number {
    const at = Math.max(this.#freeAt, now - CREDIT_MS);
    this.#freeAt = at + bytes * this.#msPerByte;
    return at;
  }
}
