import type { ObjectAddress, Span } from '../../request/index.ts';
import type { Blocks } from '../blocks.ts';
import type { Catalog } from '../catalog.ts';
import type { Extent } from '../disk/extent-index.ts';
import { encodeExtent, shrinks } from '../disk/extent-writer.ts';
import { allocated, type Scratch } from '../disk/scratch.ts';
import type { ObjectEntry } from '../entry.ts';
import type { Extents } from '../extents.ts';
import type { Head } from '../head.ts';
import { bind, noVersion } from './aside.ts';
import { inParallel } from './multipart-parallel.ts';
import type { KeptContent } from './types.ts';
import type { UnreadUpload } from './unread.ts';

export interface PublisherOptions {
  readonly catalog: Catalog;
  readonly extents: Extents;
  readonly scratch: Scratch;
  readonly blocks: Blocks;
  /** How long a writer's client may have to wait, ms. */
  readonly deadline: number;
  /** True when no other process uses the volume. */
  readonly alone: () => boolean;
  /** Whether the disk takes anything now. */
  readonly takes: () => boolean;
  readonly onUnread: (upload: Omit<UnreadUpload, 'at'>) => void;
  readonly onFailed: (error: Error) => void;
}

/** A file aside that is to be an extent of a version. */
export interface UnplacedFile {
  readonly path: string;
  /** What its index says, which names no version. */
  readonly from: Span;
  /** Of the object. */
  readonly to: Span;
  /** Bytes of the file. */
  readonly size: number;
  /** It has its place, and is counted there; `path` is no more. */
  onPlaced(): void;
}

/** What a version consists of. */
export interface Bytes {
  readonly files: readonly UnplacedFile[];
  /** The whole body where it belongs into the head file. */
  readonly small: Buffer | undefined;
  readonly ram: boolean;
  /** Whether `small` is worth a try. */
  readonly compress: boolean;
  /** Writes what else there is of the version. */
  readonly beside?: (entry: ObjectEntry) => Promise<void>;
}

/**
 * Makes the content of uploads the current version of their objects: first the bytes find their place, then the head, as a
 * candidate about which its first reader asks S3.
 */
export class Publisher {
  readonly #options: PublisherOptions;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** All of one upload's content. Never rejects; resolves at the latest after the deadline, and goes on then. */
  async publish(
    address: ObjectAddress,
    head: Head,
    content: KeptContent,
    options: { ram: boolean; compress: boolean },
  ): Promise<void> {
    const files = content.files.map(file => ({
      path: file.path,
      from: file.span,
      to: file.span,
      size: file.size,
      onPlaced: () => content.handedOver(file),
    }));
    const { small, length } = content;
    if (length !== head.length) {
      this.#options.onFailed(new RangeError(`content of ${length} bytes can't be a version of ${head.length}`));
      return content.discard();
    }
    const published = this.version(address, head, { ...options, files, small });
    await this.#inTime(published.finally(() => content.discard()));
  }

  /** Resolves when all is done; never rejects. Files that have found no place are left to whose they are. */
  async version(address: ObjectAddress, head: Head, bytes: Bytes): Promise<void> {
    try {
      await this.#version(await this.#look(address), head, bytes);
    } catch (error) {
      this.#options.onFailed(error as Error);
    }
  }

  async #version(entry: ObjectEntry, head: Head, bytes: Bytes): Promise<void> {
    if (verdict(entry, head) === 'leave') return;
    const [body, placed] = await Promise.all([this.#bodyOf(entry, head, bytes), this.#place(entry, head, bytes.files)]);
    if (bytes.files.length > 0 && placed.length === 0) return;
    await bytes.beside?.(entry);
    const { catalog, extents, blocks, takes } = this.#options;
    if (verdict(entry, head) === 'replace') {
      catalog.adopt(entry, head, 0, '');
      if (bytes.ram && bytes.small && head.length > 0) blocks.put(entry.blockKey, 0, bytes.small);
    }
    await extents.addOver(entry, head, placed);
    if (entry.head === head) return takes() ? this.#publishHead(entry, head, body, bytes.files) : undefined;
    // A reader has come between.
    if (entry.head?.version !== head.version) return extents.removeAll(entry, head);
    const { head: known, validatedAt, headEpoch, inline } = entry;
    if (body && !inline && known.written === undefined && takes())
      await catalog.publish(entry, known, validatedAt, headEpoch, body);
  }

  async #publishHead(entry: ObjectEntry, head: Head, body: Buffer | undefined, files: readonly UnplacedFile[]) {
    const { catalog, extents, onUnread } = this.#options;
    const size = await catalog.publishWritten(entry, head, body);
    if (size !== undefined) {
      const bytes = files.reduce((sum, file) => sum + allocated(file.size), allocated(size));
      if (entry.head === head)
        onUnread({ hash: entry.paths.hash, folder: entry.folder, key: entry.address.key, bytes });
      return;
    }
    // Another process has been there: of its version, or of what this one has come to know meanwhile.
    await catalog.look(entry.address);
    if (entry.head?.version !== head.version) await extents.removeAll(entry, head);
  }

  /**
   * What the volume holds of the object. While its new epoch is not there yet, a look at it counts for nothing; and who reads
   * that epoch, in another process, must not find the older one when the upload's head is there already.
   */
  async #look(address: ObjectAddress): Promise<ObjectEntry> {
    const { catalog, alone } = this.#options;
    if (!alone() || !catalog.recent(address)) await catalog.recorded(catalog.entry(address));
    return catalog.look(address);
  }

  async #bodyOf({ paths }: ObjectEntry, head: Head, { small, compress }: Bytes): Promise<Buffer | undefined> {
    if (!small || head.length === 0 || !this.#options.takes()) return undefined;
    const binding = { hash: paths.hash, version: head.version };
    return encodeExtent(binding, { start: 0, end: head.length - 1 }, small, compress && (await shrinks(small)));
  }

  /** The files that have found their place; others are bytes that come from S3. */
  async #place(entry: ObjectEntry, head: Head, files: readonly UnplacedFile[]): Promise<Extent[]> {
    const { scratch, onFailed } = this.#options;
    const { paths } = entry;
    const version = { hash: paths.hash, version: head.version };
    const placed = await inParallel(files, async (file): Promise<Extent | undefined> => {
      const { from, to, size } = file;
      const { path, folder } = paths.place(head.version, head.length, to);
      try {
        await bind(
          scratch.volume,
          file,
          { binding: noVersion(paths.hash), span: from },
          { binding: version, span: to },
        );
        await scratch.place(file.path, path, folder, size);
        file.onPlaced();
        return { ...to, path };
      } catch (error) {
        onFailed(error as Error);
        return undefined;
      }
    });
    return placed.filter(extent => extent !== undefined);
  }

  async #inTime(work: Promise<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>(resolve => {
      timer = setTimeout(resolve, this.#options.deadline);
    });
    await Promise.race([work, late]);
    clearTimeout(timer);
  }
}

/**
 * What a version that was uploaded is to a head that is there: it takes its place, unless S3 has vouched for that since the
 * object was last written. Then the upload is that version, and has bytes to add, or it was overwritten in between.
 */
export function verdict(
  { head: known, headEpoch, epoch }: Pick<ObjectEntry, 'head' | 'headEpoch' | 'epoch'>,
  head: Head,
): 'replace' | 'add' | 'leave' {
  if (!known || known.written !== undefined || headEpoch !== epoch) return 'replace';
  return known.version === head.version ? 'add' : 'leave';
}
