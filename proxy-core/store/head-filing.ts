import type { Catalog } from './catalog.ts';
import type { Disk } from './disk/disk.ts';
import { isMissing } from './disk/disk-error.ts';
import { encodeExtent, shrinks } from './disk/extent-writer.ts';
import { allocated } from './disk/scratch.ts';
import type { ObjectEntry } from './entry.ts';
import type { Head, Stamp } from './head.ts';

export interface HeadFilingOptions {
  readonly disk: Disk;
  readonly catalog: Catalog;
  /** There was no room for one. */
  readonly onSkipped: () => void;
}

/** What a head takes, and the folder that it may need; and what it takes beside the content behind it, as a rule, bytes. */
const HEAD_ROOM = 8192;
const BESIDE = 1024;

/**
 * Brings heads to disk, small objects' content with them, where they are worth their room and there is some. Failures are counted
 * and reported, never thrown.
 */
export class HeadFiling {
  readonly #options: HeadFilingOptions;
  /** Those whose head was not worth its room. */
  readonly #unworthy = new WeakSet<ObjectEntry>();

  constructor(options: HeadFilingOptions) {
    this.#options = options;
  }

  /** A head without a body. */
  async head(entry: ObjectEntry, head: Head, stamp: Stamp): Promise<void> {
    if (this.#options.disk.takes && this.#isWorth(entry, BESIDE)) await this.#publish(entry, head, stamp);
  }

  /** A whole small object, in one file. */
  async small(entry: ObjectEntry, head: Head, stamp: Stamp, body: Buffer, compress: boolean): Promise<void> {
    const { disk } = this.#options;
    if (!disk.takes || !this.#isWorth(entry, head.length + BESIDE)) return;
    try {
      const binding = { hash: entry.paths.hash, version: head.version };
      const shrunk = compress && (await shrinks(body));
      const extent =
        head.length === 0 ? undefined : await encodeExtent(binding, { start: 0, end: head.length - 1 }, body, shrunk);
      await this.#publish(entry, head, stamp, extent);
    } catch (error) {
      disk.trouble.writing(error as Error);
    }
  }

  /**
   * An extent has its place. If the head was not worth its room, or has been evicted since, there is content now that nobody
   * would find without it.
   */
  async contentCame(entry: ObjectEntry, { version }: Head): Promise<void> {
    const wasUnworthy = this.#unworthy.delete(entry);
    if (entry.filed ? await this.#isThere(entry) : !wasUnworthy) return;
    const { head, validatedAt, headEpoch } = entry;
    if (head?.version === version) await this.#publish(entry, head, { validatedAt, epoch: headEpoch });
  }

  /** True also where it can't be told. */
  #isThere({ paths }: ObjectEntry): Promise<boolean> {
    return this.#options.disk.volume.stat(paths.head).then(
      () => true,
      error => !isMissing(error),
    );
  }

  /** Whether it is worth writing, with what is behind it. One that takes the place of another has to: that one is of the past. */
  #isWorth(entry: ObjectEntry, bytes: number): boolean {
    const { disk } = this.#options;
    if (entry.filed || disk.isPinned(entry) || disk.capacity.admits(allocated(bytes), entry.useKey)) return true;
    this.#unworthy.add(entry);
    return false;
  }

  async #publish(entry: ObjectEntry, head: Head, { validatedAt, epoch }: Stamp, extent?: Buffer): Promise<void> {
    const { disk, catalog, onSkipped } = this.#options;
    const bytes = allocated(extent?.length ?? 0) + HEAD_ROOM;
    if (!(await disk.capacity.reserve(bytes))) return onSkipped();
    try {
      await catalog.publish(entry, head, validatedAt, epoch, extent);
    } catch (error) {
      disk.trouble.writing(error as Error);
    } finally {
      disk.capacity.release(bytes);
    }
  }
}
