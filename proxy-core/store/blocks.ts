import { UNIT } from './disk/extent-format.ts';
import { Cell, Cells } from './memory/cells.ts';
import { createWeightedCache, type WeightedCache } from './memory/index.ts';

/** What a cached cell costs beside its bytes: the Buffer, the key and the entry. */
const OVERHEAD = 320;

/** Verified content in RAM, in cells of 64 KiB of an object's version (the last one shorter). Only whole cells are kept. */
export class Blocks {
  readonly #cache: WeightedCache<Cell>;
  readonly #cells = new Cells();

  constructor(options: { algorithm: 'tinylfu' | 'lru' | 's3fifo'; maxBytes: number }) {
    this.#cache = createWeightedCache<Cell>(options.algorithm, {
      maxWeight: options.maxBytes,
      onEvict: (_key, cell) => cell.drop(),
    });
  }

  /** @param version key of the object's version, unique among objects */
  get(version: string, cell: number): Cell | undefined {
    return this.#cache.get(`${version}${cell}`);
  }

  has(version: string, cell: number): boolean {
    return this.#cache.peek(`${version}${cell}`) !== undefined;
  }

  /** Keeps `content` itself, of less than a cell or a whole one; it must be a buffer of its own, not a view of a larger one. */
  put(version: string, cell: number, content: Buffer): void {
    this.#set(`${version}${cell}`, new Cell(content), false);
  }

  /** Copies the whole cells of `content` that are worth keeping. `start` is its first byte's place in the object. */
  offer(version: string, start: number, content: Buffer, objectLength: number, scan: boolean): void {
    let at = start % UNIT === 0 ? 0 : UNIT - (start % UNIT);
    while (at < content.length) {
      const size = Math.min(UNIT, objectLength - start - at);
      if (at + size > content.length) return;
      const key = `${version}${(start + at) / UNIT}`;
      if (this.#cache.peek(key) === undefined && this.#cache.admits(key, size + OVERHEAD, { scan }))
        this.#set(key, this.#cells.copy(content.subarray(at, at + size)), scan);
      at += size;
    }
  }

  get bytes(): number {
    return this.#cache.weight;
  }

  #set(key: string, cell: Cell, scan: boolean): void {
    const old = this.#cache.peek(key);
    const kept = this.#cache.set(key, cell, cell.bytes.length + OVERHEAD, { scan });
    old?.drop();
    if (!kept) cell.drop();
  }
}
