import type { Span } from '../request/index.ts';
import type { Blocks } from './blocks.ts';
import type { BufferPool } from './buffer-pool.ts';
import type { Catalog } from './catalog.ts';
import { codeOf, isMissing } from './disk/disk-error.ts';
import { type Content, DamagedExtent } from './disk/extent-file.ts';
import { type Binding, UNIT } from './disk/extent-format.ts';
import type { Extent } from './disk/extent-index.ts';
import { decodeExtent } from './disk/extent-memory.ts';
import type { OpenFiles } from './disk/open-files.ts';
import type { Trouble } from './disk/trouble.ts';
import type { ObjectEntry } from './entry.ts';
import type { Extents } from './extents.ts';
import type { Head } from './head.ts';

export interface DiskReadsOptions {
  readonly catalog: Catalog;
  readonly extents: Extents;
  readonly files: OpenFiles;
  readonly blocks: Blocks;
  readonly pool: BufferPool;
  readonly trouble: Trouble;
  readonly onCorrupt: () => void;
}

/** Reads what the disk has of an object; what can't be read, or is damaged, is as if it were not there. */
export class DiskReads {
  readonly #options: DiskReadsOptions;

  constructor(options: DiskReadsOptions) {
    this.#options = options;
  }

  /**
   * Verified content, beginning at `span.start`, at least one byte of it; undefined when the disk has none there, can't be
   * read or turns out to be damaged (which removes the file).
   */
  async read(entry: ObjectEntry, head: Head, span: Span, { ram }: { ram: boolean }): Promise<Content | undefined> {
    if (entry.head?.version !== head.version) return undefined;
    if (entry.inline) return this.#readInline(entry, head, span, ram);
    const extent = entry.index(span.start).at(span.start);
    if (!extent) return undefined;
    try {
      const content = await this.#readExtent(extent, { hash: entry.paths.hash, version: head.version }, span);
      if (ram && entry.head?.version === head.version) this.#offer(entry, head, content);
      return content;
    } catch (error) {
      this.#failed(entry, extent, error as Error);
      return undefined;
    }
  }

  /** The RAM tier takes cells of the object, which the units of an upload's extents may lie across. */
  #offer({ blockKey }: ObjectEntry, { length }: Head, content: Content): void {
    const { blocks } = this.#options;
    const { pieces, start } = content;
    const across = pieces.length > 1 && (start + (pieces[0]?.length ?? 0)) % UNIT !== 0;
    let at = start;
    for (const piece of across ? [Buffer.concat(pieces)] : pieces) {
      blocks.offer(blockKey, at, piece, length, content.length > UNIT);
      at += piece.length;
    }
  }

  async #readInline(entry: ObjectEntry, head: Head, span: Span, ram: boolean): Promise<Content | undefined> {
    const { catalog, blocks, onCorrupt } = this.#options;
    const file = await catalog.inlineBody(entry);
    const binding = { hash: entry.paths.hash, version: head.version };
    const body = file && (await decodeExtent(file, binding, { start: 0, end: head.length - 1 }));
    if (!body) {
      entry.inline = false;
      if (file) onCorrupt();
      return undefined;
    }
    if (ram && entry.head?.version === head.version) blocks.put(entry.blockKey, 0, body);
    const piece = body.subarray(span.start, span.end + 1);
    return { start: span.start, pieces: [piece], length: piece.length, release: () => {} };
  }

  async #readExtent(extent: Extent, binding: Binding, span: Span): Promise<Content> {
    const { files, pool } = this.#options;
    const known = files.get(extent);
    if (known) {
      try {
        return await known.read(span, pool);
      } catch (error) {
        // Another process has removed it at the server, perhaps to store it anew.
        if (codeOf(error) !== 'ESTALE') throw error;
        files.forget(extent.path);
      }
    }
    const file = await files.open(extent, binding);
    return file.read(span, pool);
  }

  #failed(entry: ObjectEntry, extent: Extent, error: Error): void {
    const { files, extents, onCorrupt, trouble } = this.#options;
    files.forget(extent.path);
    const damaged = error instanceof DamagedExtent;
    // Another reader has found out before, and the place may have been taken by a good one since.
    if (!extents.forget(entry, extent, damaged)) return;
    if (damaged) onCorrupt();
    else if (!isMissing(error)) {
      trouble.reading(error);
      // The file may be all right: it is found again by the next look at its directory.
      for (const index of entry.indexesOf(extent)) index.listedAt = Number.NEGATIVE_INFINITY;
    }
  }
}
