import type { Span } from '../request/index.ts';
import type { Claim } from './disk/claims.ts';
import { isMissing } from './disk/disk-error.ts';
import { EXTENT } from './disk/extent-format.ts';
import type { Extent, ExtentIndex } from './disk/extent-index.ts';
import { gibOf, parseSpan } from './disk/paths.ts';
import type { Scratch } from './disk/scratch.ts';
import { LOOK_EVERY, type ObjectEntry } from './entry.ts';
import type { Head } from './head.ts';

/** Extents that become known in one turn of the event loop. */
const AT_ONCE = 256;

export interface ExtentsOptions {
  readonly scratch: Scratch;
  /** True when no other process uses the volume, so that what is in memory can't have been overtaken. */
  readonly alone: () => boolean;
  /** A directory was looked at. */
  readonly onListed?: (entry: ObjectEntry, head: Head, gib: number) => void;
}

/**
 * Which extents of objects are on the disk, and who writes the next. One process stores each byte once: it looks at the
 * directory before it writes, and claims what it writes. Several processes that fetch the same bytes within a second, or
 * while one is writing them, may each keep an extent of them, unless both are the same run.
 */
export class Extents {
  readonly #options: ExtentsOptions;

  constructor(options: ExtentsOptions) {
    this.#options = options;
  }

  /** Brings the index for `offset` up to date with the directory, unless that was done within the last second. */
  async list(entry: ObjectEntry, offset: number): Promise<void> {
    const head = entry.head;
    if (!head) return;
    const index = entry.index(offset);
    const now = performance.now();
    if (index.listedAt > 0 && (this.#options.alone() || now - index.listedAt < LOOK_EVERY)) return;
    index.listing ??= this.#list(entry, head, index, offset).finally(() => {
      index.listing = undefined;
    });
    return index.listing;
  }

  /**
   * Takes the first run of bytes of `span`, within a GiB of the object, that is neither on the disk nor being written.
   * Undefined when there is none, or nothing of this version is kept any more.
   */
  async claim(entry: ObjectEntry, head: Head, span: Span): Promise<Claim | undefined> {
    if (isKept(entry, head)) await this.list(entry, span.start);
    if (!isKept(entry, head)) return undefined;
    const run = entry.index(span.start).missing(span, entry.claims);
    return run && entry.claims.take(run);
  }

  /** One that has come to its place is known from now on. It goes where nobody would look for it, or all of it is in others. */
  add(entry: ObjectEntry, head: Head, extent: Extent): void {
    if (isKept(entry, head) && !isHeld(entry, extent)) {
      this.#know(entry, extent);
      this.tidy(entry, extent);
      return;
    }
    const known = entry.index(extent.start).known(extent);
    if (!known || !this.forget(entry, known, true)) this.#remove(extent.path);
  }

  /** The same for those that take the place of others: an upload of a version that was read before, many pieces made one. */
  async addOver(entry: ObjectEntry, head: Head, placed: readonly Extent[]): Promise<void> {
    for (const [i, extent] of placed.entries()) {
      if (i % AT_ONCE === AT_ONCE - 1) await new Promise(setImmediate);
      await this.list(entry, extent.start).catch(() => {});
      if (isKept(entry, head)) this.#know(entry, extent);
      else this.#remove(extent.path);
    }
    const own = new Set(placed.map(({ path }) => path));
    for (const [i, extent] of placed.entries()) {
      if (i % AT_ONCE === AT_ONCE - 1) await new Promise(setImmediate);
      if (!isKept(entry, head)) return;
      this.tidy(entry, extent, own);
    }
  }

  /** What near `span` is in others as a whole goes, but for those at the paths `but`. */
  tidy(entry: ObjectEntry, span: Span, but?: ReadonlySet<string>): void {
    const near = entry.indexesOf(span).flatMap(index => overlapping(index.near(span)));
    for (const extent of near) if (!but?.has(extent.path) && isHeld(entry, extent)) this.forget(entry, extent, true);
  }

  #know(entry: ObjectEntry, extent: Extent): void {
    for (const index of entry.indexesOf(extent)) index.add(extent);
  }

  /** False when it is not known any more: another one may have its place by now. */
  forget(entry: ObjectEntry, extent: Extent, remove: boolean): boolean {
    const known = entry.indexesOf(extent).map(index => index.remove(extent));
    if (!known.includes(true)) return false;
    if (remove) this.#remove(extent.path);
    return true;
  }

  /** The whole body is in the head file: what ranges of it are known go. */
  removeKnown(entry: ObjectEntry): void {
    const index = entry.index(0);
    for (const extent of [...index.all]) if (index.remove(extent)) this.#remove(extent.path);
  }

  /** All extents of a version that is no longer the object's. */
  async removeAll(entry: ObjectEntry, old: Head): Promise<void> {
    const { scratch } = this.#options;
    if (old.length > EXTENT) {
      await scratch.removeTree(`${entry.paths.tree}/${old.version}`);
      await scratch.removeFolder(entry.paths.tree).catch(() => {});
      return;
    }
    const prefix = `${entry.paths.hash}.${old.version}.`;
    const names = await scratch.volume.readdir(entry.paths.leaf).catch(() => [] as string[]);
    for (const name of names)
      if (name.startsWith(prefix)) await scratch.remove(`${entry.paths.leaf}/${name}`).catch(() => {});
  }

  async #list(entry: ObjectEntry, head: Head, index: ExtentIndex, offset: number): Promise<void> {
    const now = performance.now();
    const gib = gibOf(offset);
    const [own, before] = await Promise.all([
      this.#extentsFrom(entry, head, gib),
      gib > 0 ? this.#extentsFrom(entry, head, gib - 1) : [],
    ]);
    if (entry.head?.version !== head.version) return;
    index.replace([...before.filter(({ end }) => gibOf(end) === gib), ...own], now);
    this.#options.onListed?.(entry, head, gib);
  }

  /** Those that begin in this GiB. */
  async #extentsFrom(entry: ObjectEntry, head: Head, gib: number): Promise<Extent[]> {
    const { folder, prefix } = entry.paths.extents(head.version, head.length, gib);
    const names = await this.#options.scratch.volume.readdir(folder).catch(error => {
      if (isMissing(error)) return [];
      throw error;
    });
    const extents: Extent[] = [];
    for (const name of names) {
      const span = name.startsWith(prefix) ? parseSpan(name.slice(prefix.length)) : undefined;
      if (span && span.end < head.length && span.end - span.start < EXTENT)
        extents.push({ ...span, path: `${folder}/${name}` });
    }
    return extents;
  }

  #remove(path: string): void {
    void this.#options.scratch.remove(path).catch(() => {});
  }
}

/** Whether extents of this version are of use: it is the current one, and its body is not in the head file. */
function isKept(entry: ObjectEntry, head: Head): boolean {
  return entry.head?.version === head.version && !entry.inline;
}

/** Those of extents in the order of their starts that share bytes with another one: of many small pieces, as a rule, none. */
function overlapping(extents: readonly Extent[]): Extent[] {
  let reached = -1;
  return extents.filter(({ start, end }, i) => {
    const shares = start <= reached || (extents[i + 1]?.start ?? Number.POSITIVE_INFINITY) <= end;
    reached = Math.max(reached, end);
    return shares;
  });
}

/** Every byte of it is in another one. */
function isHeld(entry: ObjectEntry, extent: Extent): boolean {
  let next = extent.start;
  while (next <= extent.end) {
    const holder = entry.index(next).at(next, extent.path);
    if (!holder) return false;
    next = holder.end + 1;
  }
  return true;
}
