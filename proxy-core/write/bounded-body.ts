/** Keeps a body's chunks up to a limit, in bytes. */
export class BoundedBody {
  readonly #limit: number;
  #chunks: Buffer[] = [];
  #size = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  push(chunk: Buffer): void {
    if (this.#size < this.#limit) this.#chunks.push(chunk);
    this.#size += chunk.length;
  }

  /** The whole body; undefined when it went over the limit. */
  whole(): Buffer | undefined {
    return this.#size <= this.#limit ? this.start() : undefined;
  }

  /** As much of the beginning as the limit lets keep. */
  start(): Buffer {
    const all = Buffer.concat(this.#chunks);
    this.#chunks = [all];
    return all.subarray(0, this.#limit);
  }
}
