import type { Span } from '../../request/index.ts';
import type { Claims } from './claims.ts';

export interface Extent extends Span {
  readonly path: string;
}

/** The extents known of one version in one GiB of it, sorted by start; they may overlap. Pure in-memory bookkeeping. */
export class ExtentIndex {
  #extents: Extent[] = [];
  /** How far the first, the first two, and so on, reach: a look backwards can stop where none of those before it comes to its place. */
  #reach: number[] = [];
  /** Added since the last look, and when: a look that began earlier has not seen them. */
  #added: { extent: Extent; at: number }[] = [];
  /** Monotonic time of the last look at the directory, ms. */
  listedAt = Number.NEGATIVE_INFINITY;
  /** A look at the directory that is under way, which all who want one share. */
  listing: Promise<void> | undefined;

  /** Replaces what is known by what the directory held at `listedAt`. */
  replace(extents: Extent[], listedAt: number): void {
    const since = this.#added.filter(({ at }) => at >= listedAt);
    const known = new Map(this.#extents.map(extent => [extent.path, extent]));
    this.#extents = extents
      .map(extent => known.get(extent.path) ?? extent)
      .sort((a, b) => a.start - b.start || b.end - a.end);
    this.#reach.length = 0;
    this.#measure(0);
    this.#added = [];
    this.listedAt = listedAt;
    for (const { extent } of since) this.add(extent);
  }

  add(extent: Extent): void {
    if (this.known(extent)) return;
    this.#added.push({ extent, at: performance.now() });
    const at = this.#firstAfter(extent.start);
    this.#extents.splice(at, 0, extent);
    this.#reach.splice(at, 0, Number.NEGATIVE_INFINITY);
    this.#measure(at);
  }

  /** The one at its path. */
  known(extent: Extent): Extent | undefined {
    return this.near(extent).find(({ path }) => path === extent.path);
  }

  /** False when it is not known any more: another one may have its place by now. */
  remove(extent: Extent): boolean {
    const at = this.#extents.indexOf(extent);
    if (at < 0) return false;
    this.#extents.splice(at, 1);
    this.#reach.splice(at, 1);
    this.#measure(at);
    this.#added = this.#added.filter(added => added.extent !== extent);
    return true;
  }

  /** The extent that holds `offset` and reaches furthest, if any; not the one at the path `but`. */
  at(offset: number, but?: string): Extent | undefined {
    let best: Extent | undefined;
    for (let i = this.#firstAfter(offset) - 1; i >= 0 && this.#reach[i]! >= offset; i--) {
      const extent = this.#extents[i]!;
      if (extent.end >= offset && extent.path !== but && (!best || extent.end > best.end)) best = extent;
    }
    return best;
  }

  /** Start of the first extent that begins after `offset`, or Infinity. */
  nextStart(offset: number): number {
    return this.#extents[this.#firstAfter(offset)]?.start ?? Number.POSITIVE_INFINITY;
  }

  /** The first run of bytes of `span` that is in no extent and that nobody is writing. */
  missing({ start, end }: Span, claims: Claims): Span | undefined {
    const holder = () => this.at(start) ?? claims.at(start);
    for (let held = holder(); held && start <= end; held = holder()) start = held.end + 1;
    if (start > end) return undefined;
    return { start, end: Math.min(end, this.nextStart(start) - 1, claims.nextStart(start) - 1) };
  }

  get all(): readonly Extent[] {
    return this.#extents;
  }

  /** Those that may hold or be held by `span`, its own among them: what begins so shortly before that it can reach into it, or in it. */
  near({ start, end }: Span): Extent[] {
    return this.#extents.slice(this.#firstAfter(start - MAX_EXTENT), this.#firstAfter(end));
  }

  /** Puts right how far they reach, from one on up to where it is right already. */
  #measure(from: number): void {
    let reach = this.#reach[from - 1] ?? Number.NEGATIVE_INFINITY;
    for (let i = from; i < this.#extents.length; i++) {
      reach = Math.max(reach, this.#extents[i]!.end);
      if (this.#reach[i] === reach) return;
      this.#reach[i] = reach;
    }
  }

  /** Index of the first extent that starts after `offset`. */
  #firstAfter(offset: number): number {
    let low = 0;
    let high = this.#extents.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#extents[middle]?.start ?? 0) <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** No extent is longer (design section 2). */
const MAX_EXTENT = 8 << 20;
