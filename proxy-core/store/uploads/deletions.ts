import type { Catalog } from '../catalog.ts';
import type { ObjectEntry } from '../entry.ts';

/** So many objects at once: a DeleteObjects names up to 1,000, and readers should not wait behind them. */
const AT_ONCE = 4;

/** Frees the files of objects that were deleted, in the background, a few at a time. */
export class Deletions {
  readonly #catalog: Catalog;
  readonly #onFailed: (error: Error) => void;
  #queue: { readonly entry: ObjectEntry; readonly epoch: string }[] = [];
  #running = 0;

  constructor(options: { catalog: Catalog; onFailed: (error: Error) => void }) {
    this.#catalog = options.catalog;
    this.#onFailed = options.onFailed;
  }

  /** The object's present epoch is the one that its deletion gave it. */
  add(entry: ObjectEntry): void {
    // The volume does not take anything; what is there is found stale when it does.
    if (this.#catalog.isDirty(entry)) return;
    this.#queue.push({ entry, epoch: entry.epoch });
    if (this.#running < AT_ONCE) void this.#work();
  }

  stop(): void {
    this.#queue = [];
  }

  async #work(): Promise<void> {
    this.#running++;
    for (let next = this.#queue.shift(); next; next = this.#queue.shift())
      await this.#catalog.dropDeleted(next.entry, next.epoch).catch(error => this.#onFailed(error as Error));
    this.#running--;
  }
}
