import { UNIT } from './disk/extent-format.ts';
import { type Cell, Cells } from './memory/cells.ts';
import { createWeightedCache, type EvictionAlgorithm, type WeightedCache } from './memory/index.ts';

/**
 * What a cached cell costs beside its bytes: its objects, the key and the policy's entry, as measured (test/store/ram-cost.test.ts).
 * S3-FIFO remembers about as many keys as it keeps cells.
 */
const OVERHEAD: Readonly<Record<EvictionAlgorithm, number>> = { tinylfu: 640, lru: 640, s3fifo: 896 };

/**
 * Verified content in RAM, in cells of 64 KiB of an object's version (the last one shorter). Only whole cells are kept. The limit
 * is for all memory that this costs: the cells, what of their slabs is unused, what belongs to them, and those that somebody
 * still reads from though they have had to go.
 */
export class Blocks {
  readonly #cache: WeightedCache<Cell>;
  readonly #cells = new Cells();
  readonly #overhead: number;
  #most = 0;

  constructor(options: { algorithm: EvictionAlgorithm; maxBytes: number }) {
    this.#overhead = OVERHEAD[options.algorithm];
    this.#cache = createWeightedCache<Cell>(options.algorithm, {
      maxWeight: 0,
      onEvict: (_key, cell) => cell.drop(),
    });
    this.maxBytes = options.maxBytes;
  }

  /** Acts at once. */
  set maxBytes(bytes: number) {
    this.#most = bytes - this.#cells.fit(bytes);
    this.#keepTo();
  }

  /** @param version key of the object's version, unique among objects */
  get(version: string, cell: number): Cell | undefined {
    return this.#cache.get(`${version}${cell}`);
  }

  has(version: string, cell: number): boolean {
    return this.#cache.peek(`${version}${cell}`) !== undefined;
  }

  /** Keeps `content` itself, of less than a cell or a whole one, or a copy, where it is a view of something larger. */
  put(version: string, cell: number, content: Buffer): void {
    this.#set(`${version}${cell}`, this.#cells.own(content), false);
  }

  /** Copies the whole cells of `content` that are worth keeping. `start` is its first byte's place in the object. */
  offer(version: string, start: number, content: Buffer, objectLength: number, scan: boolean): void {
    let at = start % UNIT === 0 ? 0 : UNIT - (start % UNIT);
    while (at < content.length) {
      const size = Math.min(UNIT, objectLength - start - at);
      if (at + size > content.length) return;
      const key = `${version}${(start + at) / UNIT}`;
      if (this.#cache.peek(key) === undefined && this.#cache.admits(key, size + this.#overhead, { scan }))
        this.#set(key, this.#cells.copy(content.subarray(at, at + size)), scan);
      at += size;
    }
  }

  /** Memory that it costs now. */
  get bytes(): number {
    return this.#cache.weight + this.#cells.unused + this.#cells.held;
  }

  #set(key: string, cell: Cell, scan: boolean): void {
    const old = this.#cache.peek(key);
    const kept = this.#cache.set(key, cell, cell.bytes.length + this.#overhead, { scan });
    old?.drop();
    if (!kept) cell.drop();
    this.#keepTo();
  }

  /** What is read from still takes the place of what could be kept. */
  #keepTo(): void {
    const most = Math.max(0, this.#most - this.#cells.held);
    if (this.#cache.maxWeight !== most) this.#cache.maxWeight = most;
  }
}
