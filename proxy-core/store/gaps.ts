import type { Span } from '../request/index.ts';
import type { Blocks } from './blocks.ts';
import { UNIT } from './disk/extent-format.ts';
import { gibOf } from './disk/paths.ts';
import type { ObjectEntry } from './entry.ts';
import type { Head } from './head.ts';

/** Cells in which the end of a gap is looked for in RAM; farther away only the disk's extents end one. */
const CELLS_AHEAD = 1024;

/** Which bytes of a version are in no tier, as far as is known without asking the disk. */
export class Gaps {
  readonly #blocks: Blocks;
  /** Held bytes between two gaps that are rather fetched again than asked for around. */
  readonly #mergeGap: number;

  constructor(blocks: Blocks, mergeGap: number) {
    this.#blocks = blocks;
    this.#mergeGap = mergeGap;
  }

  /** First byte of `span` that is in no tier. */
  first(entry: ObjectEntry, head: Head, span: Span): number | undefined {
    if (entry.head?.version !== head.version) return span.start;
    if (entry.inline) return undefined;
    let at = span.start;
    while (at <= span.end) {
      const next = this.#heldUntil(entry, at);
      if (next === at) return at;
      at = next;
    }
    return undefined;
  }

  /**
   * Last byte of the gap that begins at `from`, at most `until`. What is held between two gaps is fetched again with them
   * where it is shorter than `cache.range_merge_gap_threshold`: one longer request is quicker than two.
   */
  end(entry: ObjectEntry, head: Head, from: number, until: number): number {
    if (entry.head?.version !== head.version) return until;
    for (let at = from; ; ) {
      const held = this.#nextHeld(entry, at, until);
      if (held > until) return until;
      let end = held;
      for (let more = this.#heldUntil(entry, end); more > end; more = this.#heldUntil(entry, end)) end = more;
      if (end > until || end - held > this.#mergeGap) return held - 1;
      at = end;
    }
  }

  /** The byte after the extent or cell that holds `at`; `at` where nothing does. */
  #heldUntil(entry: ObjectEntry, at: number): number {
    const extent = entry.index(at).at(at);
    if (extent) return extent.end + 1;
    const cell = Math.floor(at / UNIT);
    return this.#blocks.has(entry.blockKey, cell) ? (cell + 1) * UNIT : at;
  }

  /** First byte after `from` that a cell in RAM begins with; looked for so far ahead only as is worth it. */
  #nextCell(entry: ObjectEntry, from: number, until: number): number {
    if (this.#blocks.bytes === 0) return Number.POSITIVE_INFINITY;
    const last = Math.floor(Math.min(until, from + CELLS_AHEAD * UNIT) / UNIT);
    for (let cell = Math.floor(from / UNIT) + 1; cell <= last; cell++)
      if (this.#blocks.has(entry.blockKey, cell)) return cell * UNIT;
    return Number.POSITIVE_INFINITY;
  }

  #nextHeld(entry: ObjectEntry, from: number, until: number): number {
    let next = this.#nextCell(entry, from, until);
    for (let gib = gibOf(from); gib <= gibOf(until) && next > until; gib++) {
      next = Math.min(next, entry.index(gib * 2 ** 30).nextStart(from));
    }
    return next;
  }
}
