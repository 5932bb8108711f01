import type { Span } from '../request/index.ts';
import type { Claim } from './disk/claims.ts';
import { isMissing } from './disk/disk-error.ts';
import { EXTENT } from './disk/extent-format.ts';
import type { Extent, ExtentIndex } from './disk/extent-index.ts';
import { gibOf, parseSpan } from './disk/paths.ts';
import type { Scratch } from './disk/scratch.ts';
import { LOOK_EVERY, type ObjectEntry } from './entry.ts';
import type { Head } from './head.ts';

export interface ExtentsOptions {
  readonly scratch: Scratch;
  /** True when no other process uses the volume, so that what is in memory can't have been overtaken. */
  readonly alone: () => boolean;
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

  /** One that has come to its place is known from now on. It goes where nobody would look for it, and what it is in place of goes, too. */
  add(entry: ObjectEntry, head: Head, extent: Extent): void {
    const others = entry
      .indexesOf(extent)
      .flatMap(index => index.near(extent).filter(({ path }) => path !== extent.path));
    if (!isKept(entry, head) || others.some(other => holds(other, extent))) {
      this.#remove(extent.path);
      return;
    }
    for (const index of entry.indexesOf(extent)) index.add(extent);
    // Ranges that were read before an upload brought the same version again.
    for (const other of others) if (holds(extent, other)) this.forget(entry, other, true);
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

function holds(whole: Span, part: Span): boolean {
  return whole.start <= part.start && whole.end >= part.end;
}
