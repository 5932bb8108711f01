/** Bytes of a slot, and slots of a slab. */
export const SLOT = 1 << 16;
const SLOTS = 64;

interface Slab {
  readonly memory: Buffer;
  readonly free: Buffer[];
}

/**
 * Content in RAM. Whoever hands `bytes` to something that reads them later (a socket) pins the cell until that is done:
 * its memory is used again as soon as it has been given up and nobody holds it.
 */
export class Cell {
  readonly bytes: Buffer;
  #giveBack: (() => void) | undefined;
  #pins = 0;
  #dropped = false;

  /** @param giveBack undefined for a buffer of its own, which the collector takes care of */
  constructor(bytes: Buffer, giveBack?: () => void) {
    this.bytes = bytes;
    this.#giveBack = giveBack;
  }

  pin(): void {
    this.#pins++;
  }

  unpin(): void {
    this.#pins--;
    this.#settle();
  }

  /** The cache has given it up. */
  drop(): void {
    this.#dropped = true;
    this.#settle();
  }

  #settle(): void {
    if (!this.#dropped || this.#pins > 0) return;
    this.#giveBack?.();
    this.#giveBack = undefined;
  }
}

/**
 * Memory for full cells, cut from slabs of 4 MiB that stay: a cell of its own for each 64 KiB would cost V8 a full
 * collection for every 64 MiB that pass through the cache, because they lie outside its heap.
 */
export class Cells {
  readonly #open: Slab[] = [];

  /** A cell with a copy of `content`, of at most {@link SLOT} bytes. */
  copy(content: Buffer): Cell {
    if (content.length < SLOT) {
      const own = Buffer.allocUnsafeSlow(content.length);
      content.copy(own);
      return new Cell(own);
    }
    const slab = this.#open.at(-1) ?? this.#add();
    const slot = slab.free.pop()!;
    if (slab.free.length === 0) this.#open.pop();
    content.copy(slot);
    return new Cell(slot, () => this.#giveBack(slab, slot));
  }

  #add(): Slab {
    const memory = Buffer.allocUnsafeSlow(SLOTS * SLOT);
    const slab = { memory, free: Array.from({ length: SLOTS }, (_, i) => memory.subarray(i * SLOT, (i + 1) * SLOT)) };
    this.#open.push(slab);
    return slab;
  }

  #giveBack(slab: Slab, slot: Buffer): void {
    if (slab.free.push(slot) === 1) this.#open.push(slab);
    // One empty slab is kept in hand; another one's memory goes back.
    if (slab.free.length < SLOTS || this.#open.length === 1) return;
    if (!this.#open.some(other => other !== slab && other.free.length === SLOTS)) return;
    this.#open.splice(this.#open.indexOf(slab), 1);
  }
}
