import { LRUCache } from 'lru-cache';
import { ExtentFile } from './extent-file.ts';
import type { Binding } from './extent-format.ts';
import type { Extent } from './extent-index.ts';
import type { Volume } from './volume.ts';

/** Where the process may open enough. */
const MAX_OPEN = 256;
/** A file that was removed keeps its space while it is open; so none stays open unused for long. */
const IDLE = 15_000;

/** Extents kept open between reads, the least recently used closed first. */
export class OpenFiles {
  readonly #volume: Volume;
  readonly #files: LRUCache<string, ExtentFile>;
  #purging = false;
  readonly #opening = new Map<string, Promise<ExtentFile>>();

  constructor(volume: Volume, maxOpen = MAX_OPEN) {
    this.#volume = volume;
    this.#files = new LRUCache({
      max: maxOpen,
      ttl: IDLE,
      updateAgeOnGet: true,
      ttlAutopurge: false,
      dispose: file => file.close(),
    });
  }

  get(extent: Extent): ExtentFile | undefined {
    return this.#files.get(extent.path);
  }

  open(extent: Extent, binding: Binding): Promise<ExtentFile> {
    let opening = this.#opening.get(extent.path);
    if (!opening) {
      opening = ExtentFile.open(this.#volume, extent.path, binding, { start: extent.start, end: extent.end })
        .then(file => {
          this.#files.set(extent.path, file);
          return file;
        })
        .finally(() => this.#opening.delete(extent.path));
      this.#opening.set(extent.path, opening);
    }
    return opening;
  }

  forget(path: string): void {
    this.#files.delete(path);
  }

  /** Closes what has been idle, and what another process has removed, however much it is read; called by the store's clock. */
  async purge(): Promise<void> {
    this.#files.purgeStale();
    if (this.#purging) return;
    this.#purging = true;
    for (const [path, file] of [...this.#files.entries()]) {
      if ((await file.isRemoved()) && this.#files.peek(path) === file) this.forget(path);
    }
    this.#purging = false;
  }

  close(): void {
    this.#files.clear();
  }
}
