import type { Span } from '../request/index.ts';
import { type BufferPool, PIECE } from './buffer-pool.ts';
import { EXTENT } from './disk/extent-format.ts';
import type { Extent, ExtentIndex } from './disk/extent-index.ts';
import { ExtentOutput, type Room } from './disk/extent-output.ts';
import type { OpenFiles } from './disk/open-files.ts';
import type { Scratch } from './disk/scratch.ts';
import type { ObjectEntry } from './entry.ts';
import type { Extents } from './extents.ts';
import type { Head } from './head.ts';

export interface MergingOptions {
  readonly extents: Extents;
  readonly files: OpenFiles;
  readonly pool: BufferPool;
  readonly scratch: Scratch;
  readonly room: Room;
  /** Whether the disk takes anything now. */
  readonly takes: () => boolean;
}

/** What came last is left in peace for so long: who reads in small pieces reads the next one soon, ms. */
const REST = 10_000;
/** Stretches that wait their turn; further ones are found again when something is added to them. */
const MOST = 1000;
const GIB = 2 ** 30;

interface Stretch {
  readonly entry: ObjectEntry;
  readonly head: Head;
  readonly span: Span;
  /** When it has been left in peace for long enough, monotonic ms. */
  readonly due: number;
}

/**
 * A stretch of 8 MiB that has become whole in many pieces is rewritten as one extent in the background, one at a time
 * (design section 6): fewer files to open, to count and to evict, and what two processes have stored twice is stored once.
 * Failures cost nothing: the pieces stay.
 */
export class Merging {
  readonly #options: MergingOptions;
  /** By the path of the extent that is to be made. */
  readonly #waiting = new Map<string, Stretch>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(options: MergingOptions) {
    this.#options = options;
  }

  /** An extent has come to its place. */
  added(entry: ObjectEntry, head: Head, { start }: Extent): void {
    this.#consider(entry, head, stretchOf(start, head.length), true);
  }

  /** A directory was looked at: other processes may have added something. */
  listed(entry: ObjectEntry, head: Head, gib: number): void {
    if (entry.index(gib * GIB).all.length < 2) return;
    const end = Math.min(head.length, (gib + 1) * GIB);
    for (let at = gib * GIB; at < end; at += EXTENT) this.#consider(entry, head, stretchOf(at, head.length), false);
  }

  /** Merges what waits, without more ado. Never rejects. */
  run(): Promise<void> {
    return this.#run(Number.POSITIVE_INFINITY);
  }

  /** Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#waiting.clear();
    await this.#running;
  }

  /** @param anew its rest begins anew */
  #consider(entry: ObjectEntry, head: Head, span: Span, anew: boolean): void {
    if (this.#stopped || !isWhole(entry, span)) return;
    const path = entry.paths.extent(head.version, head.length, span);
    if (this.#waiting.has(path) && !anew) return;
    // To the end: they wait in the order in which they are due.
    this.#waiting.delete(path);
    if (this.#waiting.size < MOST) this.#waiting.set(path, { entry, head, span, due: performance.now() + REST });
    this.#wait();
  }

  #wait(): void {
    const [first] = this.#waiting.values();
    if (!first || this.#timer || this.#stopped) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        void this.#run(performance.now()).then(() => this.#wait());
      },
      Math.max(0, first.due - performance.now()),
    ).unref();
  }

  #run(now: number): Promise<void> {
    this.#running ??= this.#mergeThoseDue(now).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #mergeThoseDue(now: number): Promise<void> {
    for (const [path, stretch] of this.#waiting) {
      if (this.#stopped || stretch.due > now) return;
      this.#waiting.delete(path);
      // The disk's own troubles are told elsewhere, and readers find out about a damaged piece.
      await this.#merge(stretch).catch(() => {});
    }
  }

  async #merge({ entry, head, span }: Stretch): Promise<void> {
    const { extents, takes } = this.#options;
    const isCurrent = () => !this.#stopped && entry.head?.version === head.version && !entry.inline;
    if (!isCurrent() || !takes()) return;
    await extents.list(entry, span.start);
    extents.tidy(entry, span);
    if (!isCurrent() || !isWhole(entry, span) || !entry.claims.none) return;
    const claim = entry.claims.take(span);
    try {
      const merged = await this.#write(entry, head, span, isCurrent);
      if (merged) await extents.addOver(entry, head, [merged]);
    } finally {
      claim.letGo();
    }
  }

  /** Undefined where it turned out that it can't, or need not, be done. */
  async #write(entry: ObjectEntry, head: Head, span: Span, isCurrent: () => boolean): Promise<Extent | undefined> {
    const { pool, scratch, room, files } = this.#options;
    const binding = { hash: entry.paths.hash, version: head.version };
    const index = entry.index(span.start);
    const place = (extent: Span) => entry.paths.place(head.version, head.length, extent);
    const first = index.at(span.start);
    // Reads and fills have the memory first.
    if (!first || pool.tight) return undefined;
    const { compressed: compress } = files.get(first) ?? (await files.open(first, binding));
    const output = await ExtentOutput.begin({ scratch, room, binding, compress, place }, span);
    const piece = pool.take();
    let stuck = false;
    try {
      for (let at = span.start; at <= span.end && piece; ) {
        const end = Math.min(span.end, at + PIECE - 1);
        if (!isCurrent() || !(await this.#read(index, binding, { start: at, end }, piece.bytes))) return undefined;
        const content = piece.bytes.subarray(0, end - at + 1);
        await output
          .write(at, content, () => piece.release())
          .catch(error => {
            stuck = (error as Error).name === 'DiskUnavailable';
            throw error;
          });
        at = end + 1;
      }
      return piece && isCurrent() ? await output.finish() : undefined;
    } finally {
      if (!stuck) piece?.release();
      output.discard();
    }
  }

  /** Verified content of the span; false where a piece is gone. */
  async #read(
    index: ExtentIndex,
    binding: { hash: string; version: string },
    span: Span,
    into: Buffer,
  ): Promise<boolean> {
    const { files, pool } = this.#options;
    for (let at = span.start; at <= span.end; ) {
      const extent = index.at(at);
      if (!extent) return false;
      const file = files.get(extent) ?? (await files.open(extent, binding));
      const content = await file.read({ start: at, end: Math.min(span.end, extent.end) }, pool);
      let to = at - span.start;
      for (const bytes of content.pieces) to += bytes.copy(into, to);
      at += content.length;
      content.release();
    }
    return true;
  }
}

/** The 8 MiB of the object that `at` is in. */
function stretchOf(at: number, length: number): Span {
  const start = at - (at % EXTENT);
  return { start, end: Math.min(length, start + EXTENT) - 1 };
}

/** It is held by several extents that are cut at its ends; those of uploads are cut elsewhere, and stay as they are. */
function isWhole(entry: ObjectEntry, span: Span): boolean {
  const index = entry.index(span.start);
  const within = index.near(span).filter(({ end }) => end >= span.start);
  if (within.length < 2 || within.some(({ start, end }) => start < span.start || end > span.end)) return false;
  let next = span.start;
  // In the order of their starts; there may be thousands.
  for (const { start, end } of within) {
    if (start > next) return false;
    next = Math.max(next, end + 1);
  }
  return next > span.end;
}
