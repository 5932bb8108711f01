import type { Stats } from 'node:fs';

/** What was verified is verified again after this long, for damage that leaves no trace in the file's attributes, ms. */
const HOLDS = 600_000;
/** Two changes within this may leave the same time behind: file systems tick in ms, over a network in seconds, ms. */
const TICK = 2000;

/** A read that may come to verify something. */
export interface VerifyingRead {
  readonly generation: number;
  readonly began: number;
}

/**
 * Which units of an open extent were verified and have not changed since (design section 15): to ask for a file's attributes
 * costs an eighth of what it costs to hash 1 MiB. Extents are immutable, so whatever changes one is damage. No clock but
 * this process's own: a change later than `TICK` after the attributes were seen shows in them.
 */
export class VerifiedUnits {
  readonly #units: Uint8Array;
  #seen: Stats;
  #since = performance.now();
  #generation = 0;

  /** @param stats the file's attributes, asked for before any of its content was read */
  constructor(count: number, stats: Stats) {
    this.#units = new Uint8Array(count);
    this.#seen = stats;
  }

  /** To be called before a read, and given to `add` where that read has verified something. */
  begin(): VerifyingRead {
    return { generation: this.#generation, began: performance.now() };
  }

  /** All of these are verified; it remains to be asked whether the file `isUnchanged`. */
  has(first: number, last: number): boolean {
    if (performance.now() - this.#since > HOLDS) this.#forget();
    for (let unit = first; unit <= last; unit++) if (this.#units[unit] === 0) return false;
    return true;
  }

  /** Whether the file is as it was when its units were verified, by attributes that were asked for after a read. */
  isUnchanged(stats: Stats): boolean {
    const { ctimeMs, mtimeMs, size } = this.#seen;
    if (ctimeMs === stats.ctimeMs && mtimeMs === stats.mtimeMs && size === stats.size) return true;
    this.#seen = stats;
    this.#forget();
    return false;
  }

  add(first: number, last: number, { generation, began }: VerifyingRead): void {
    if (generation === this.#generation && began - this.#since > TICK) this.#units.fill(1, first, last + 1);
  }

  #forget(): void {
    this.#units.fill(0);
    this.#since = performance.now();
    this.#generation++;
  }
}
