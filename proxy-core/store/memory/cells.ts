/** Bytes of a slot, and most slots of a slab. */
export const SLOT = 1 << 16;
const SLOTS = 64;
/** Free slots beyond those of one slab, as a share of all, above which cells move together so that slabs can go. */
const SPARE = 1 / 32;

/** Where a cell is. */
interface Place {
  readonly slab: Slab;
  readonly slot: number;
}

interface Slab {
  readonly memory: Buffer;
  readonly cells: (Cell | undefined)[];
  readonly free: number[];
}

/**
 * Content in RAM. Whoever hands `bytes` to something that reads them later (a socket) pins the cell until that is done:
 * its memory is used again, or moved from, as soon as nobody holds it.
 */
export class Cell {
  bytes: Buffer;
  /** Undefined for a buffer of its own, which the collector takes care of. */
  place: Place | undefined;
  readonly #cells: Cells;
  #pins = 0;
  #dropped = false;

  constructor(cells: Cells, bytes: Buffer, place?: Place) {
    this.#cells = cells;
    this.bytes = bytes;
    this.place = place;
  }

  get isPinned(): boolean {
    return this.#pins > 0;
  }

  pin(): void {
    this.#pins++;
  }

  unpin(): void {
    this.#pins--;
    if (!this.#dropped || this.#pins > 0) return;
    this.#cells.held -= this.bytes.length;
    this.#cells.giveBack(this);
  }

  /** The cache has given it up. */
  drop(): void {
    if (this.#dropped) return;
    this.#dropped = true;
    if (this.#pins > 0) this.#cells.held += this.bytes.length;
    else this.#cells.giveBack(this);
  }
}

/**
 * Memory for cells. Full ones are cut from slabs of 4 MiB that stay: one of its own for each 64 KiB would cost V8 a full
 * collection for every 64 MiB that pass through the cache, because they lie outside its heap. Where cells of another size come
 * after them, what is left of full ones is moved together, so that no slab is kept for the sake of a few.
 */
export class Cells {
  /** Bytes of cells that the cache has given up and somebody still reads from. */
  held = 0;
  readonly #slabs = new Set<Slab>();
  /** Those with a free slot. */
  readonly #open = new Set<Slab>();
  #slotsPerSlab = SLOTS;
  #slots = 0;
  #free = 0;

  /** Sets the size of slabs to come by the most that all cells may take, bytes. Returns how much of it is not for cells. */
  fit(most: number): number {
    this.#slotsPerSlab = Math.min(SLOTS, Math.max(1, Math.floor(most / (32 * SLOT))));
    let largest = this.#slotsPerSlab;
    for (const { cells } of this.#slabs) largest = Math.max(largest, cells.length);
    // A slab that is in use only since a moment ago, and the slots that are kept free.
    return Math.min(most, 2 * largest * SLOT + Math.ceil(most * SPARE));
  }

  /** Memory of slabs that no cell uses, bytes. */
  get unused(): number {
    return this.#free * SLOT;
  }

  /** A cell with a copy of `content`, of at most {@link SLOT} bytes. */
  copy(content: Buffer): Cell {
    if (content.length < SLOT) {
      const own = Buffer.allocUnsafeSlow(content.length);
      content.copy(own);
      return new Cell(this, own);
    }
    const { bytes, place } = this.#take();
    content.copy(bytes);
    const cell = new Cell(this, bytes, place);
    place.slab.cells[place.slot] = cell;
    return cell;
  }

  /** A cell of the content itself, or of a copy, where it is part of something larger. */
  own(content: Buffer): Cell {
    return content.buffer.byteLength === content.length ? new Cell(this, content) : this.copy(content);
  }

  /** Of a cell that nobody reads from any more. */
  giveBack(cell: Cell): void {
    const { place } = cell;
    if (!place) return;
    cell.place = undefined;
    this.#empty(place);
    const perSlab = place.slab.cells.length;
    if (place.slab.free.length === perSlab && this.#free >= 2 * perSlab) this.#remove(place.slab);
    while (this.#free > perSlab + this.#slots * SPARE && this.#gather());
  }

  #take(from?: Slab): { bytes: Buffer; place: Place } {
    let slab: Slab | undefined;
    for (const open of this.#open)
      if (open !== from) {
        slab = open;
        break;
      }
    slab ??= this.#add();
    const slot = slab.free.pop()!;
    this.#free--;
    if (slab.free.length === 0) this.#open.delete(slab);
    return { bytes: slab.memory.subarray(slot * SLOT, (slot + 1) * SLOT), place: { slab, slot } };
  }

  #empty({ slab, slot }: Place): void {
    slab.cells[slot] = undefined;
    slab.free.push(slot);
    this.#open.add(slab);
    this.#free++;
  }

  #add(): Slab {
    const count = this.#slotsPerSlab;
    const slab: Slab = {
      memory: Buffer.allocUnsafeSlow(count * SLOT),
      cells: new Array<Cell | undefined>(count).fill(undefined),
      free: Array.from({ length: count }, (_, i) => count - 1 - i),
    };
    this.#slabs.add(slab);
    this.#open.add(slab);
    this.#slots += count;
    this.#free += count;
    return slab;
  }

  #remove(slab: Slab): void {
    this.#slabs.delete(slab);
    this.#open.delete(slab);
    this.#slots -= slab.cells.length;
    this.#free -= slab.cells.length;
  }

  /** Empties the slab with the fewest cells, into the others. False where somebody reads from each, or it would be of no use. */
  #gather(): boolean {
    let least: Slab | undefined;
    for (const slab of this.#open)
      if ((!least || used(slab) < used(least)) && !slab.cells.some(cell => cell?.isPinned)) least = slab;
    if (!least || used(least) > this.#free - least.free.length) return false;
    for (const [slot, cell] of [...least.cells.entries()]) {
      if (!cell) continue;
      const { bytes, place } = this.#take(least);
      cell.bytes.copy(bytes);
      cell.bytes = bytes;
      cell.place = place;
      place.slab.cells[place.slot] = cell;
      this.#empty({ slab: least, slot });
    }
    this.#remove(least);
    return true;
  }
}

function used({ cells, free }: Slab): number {
  return cells.length - free.length;
}
