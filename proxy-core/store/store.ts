import type { ObjectAddress, Span } from '../request/index.ts';
import { Blocks } from './blocks.ts';
import { BufferPool } from './buffer-pool.ts';
import { Catalog } from './catalog.ts';
import { CacheFolder } from './disk/cache-folder.ts';
import { Capacity } from './disk/capacity.ts';
import type { Content } from './disk/extent-file.ts';
import { SMALL } from './disk/extent-format.ts';
import { encodeExtent, shrinks } from './disk/extent-writer.ts';
import type { FreeSpaceFloor } from './disk/free-space.ts';
import { Instance } from './disk/instance.ts';
import { OpenFiles } from './disk/open-files.ts';
import { gibOf } from './disk/paths.ts';
import { type FileModes, Scratch } from './disk/scratch.ts';
import { Trouble } from './disk/trouble.ts';
import { Volume } from './disk/volume.ts';
import { DiskReads } from './disk-reads.ts';
import type { ObjectEntry } from './entry.ts';
import { Extents } from './extents.ts';
import { Fill, type FillOptions } from './fill.ts';
import { Gaps } from './gaps.ts';
import type { Head, Stamp } from './head.ts';
import type { Cell } from './memory/cells.ts';
import { Copying } from './uploads/copy.ts';
import { Deletions } from './uploads/deletions.ts';
import { MultipartStage } from './uploads/multipart-stage.ts';
import { Publisher } from './uploads/publisher.ts';
import type { CopyOptions, KeptContent, UploadCopy, UploadStore } from './uploads/types.ts';

export interface StoreOptions {
  readonly cacheDir: string;
  readonly maxDiskBytes: number;
  readonly minFreeSpace: FreeSpaceFloor;
  /** Share of the disk cache, in percent, of uploads that nobody has read, or that still run. */
  readonly uploadPercent: number;
  /** How long parts stay of a multipart upload that is neither completed nor aborted, ms. */
  readonly incompleteUploadTtl: number;
  /** How long an upload may wait for its first reader, ms; by folder of the bucket and key. */
  readonly putTtl: (folder: string, key: string) => number;
  readonly ramEnabled: boolean;
  readonly maxRamBytes: number;
  readonly maxHeads: number;
  readonly algorithm: 'tinylfu' | 'lru' | 's3fifo';
  /** Bytes that in-flight reads and fills may hold. */
  readonly memoryBudget: number;
  /** Held bytes between two gaps that are rather fetched again than asked for around. */
  readonly mergeGap: number;
  /** Deadline of a disk operation, ms. */
  readonly diskTimeout: number;
  readonly shared: boolean;
  readonly onProblem: (key: string, message: string | undefined) => void;
  /** Something that happened and is over. */
  readonly onEvent: (key: string, message: string) => void;
  readonly counters: StoreCounters;
}

/** The integers the store bumps. */
export interface StoreCounters {
  disk_errors: number;
  disk_corrupt: number;
  disk_skipped: number;
  epochs_moved: number;
}

/** How long the start waits for the first heartbeat, ms. */
const BEAT_PATIENCE = 500;

/** Everything that is kept: heads and epochs, extents on disk, blocks in RAM. The only thing of store/ that reads use. */
export class Store implements UploadStore {
  readonly catalog: Catalog;
  readonly pool: BufferPool;
  readonly volume: Volume;
  readonly capacity: Capacity;
  readonly multipart: MultipartStage;
  readonly #options: StoreOptions;
  readonly #blocks: Blocks;
  readonly #gaps: Gaps;
  readonly #scratch: Scratch;
  readonly #extents: Extents;
  readonly #files: OpenFiles;
  readonly #reads: DiskReads;
  readonly #publisher: Publisher;
  readonly #deletions: Deletions;
  readonly #instance: Instance;
  readonly #folder: CacheFolder;
  readonly #trouble: Trouble;
  readonly #skipped = new WeakSet<object>();
  #clock: NodeJS.Timeout | undefined;

  constructor(options: StoreOptions) {
    this.#options = options;
    const modes: FileModes = options.shared ? { file: 0o660, folder: 0o2770 } : { file: 0o600, folder: 0o700 };
    this.#folder = new CacheFolder({
      cacheDir: options.cacheDir,
      modes,
      deadline: options.diskTimeout,
      onProblem: message => options.onProblem('cache_folder', message),
      onUsable: () => void this.#instance.beat(),
    });
    this.volume = new Volume({
      deadline: options.diskTimeout,
      gate: this.#folder,
      onState: reason => options.onProblem('volume', reason),
    });
    this.#trouble = new Trouble(options);
    this.pool = new BufferPool(options.memoryBudget);
    this.#blocks = new Blocks({ algorithm: options.algorithm, maxBytes: options.ramEnabled ? options.maxRamBytes : 0 });
    this.#gaps = new Gaps(this.#blocks, options.mergeGap);
    this.#files = new OpenFiles(this.volume);
    this.capacity = new Capacity({
      volume: this.volume,
      cacheDir: options.cacheDir,
      maxBytes: options.maxDiskBytes,
      minFree: options.minFreeSpace,
      uploadPercent: options.uploadPercent,
      putTtl: options.putTtl,
      patience: options.diskTimeout,
      now: () => this.now(),
      remove: path => {
        // A file that is open keeps its space.
        this.#files.forget(path);
        return this.#scratch.remove(path);
      },
      removeFolder: path => this.#scratch.removeFolder(path),
      onProblem: message => options.onProblem('capacity', message),
    });
    this.#instance = new Instance({
      volume: this.volume,
      cacheDir: options.cacheDir,
      modes,
      facts: () => ({ bytes: this.capacity.bytes }),
      onBeat: error => this.#trouble.beat(error),
    });
    this.#scratch = new Scratch({
      volume: this.volume,
      cacheDir: options.cacheDir,
      instance: this.#instance.id,
      modes,
      onBytes: (bytes, path) => this.capacity.add(bytes, path),
    });
    const alone = () => this.#instance.alone;
    this.#extents = new Extents({ scratch: this.#scratch, alone });
    this.catalog = new Catalog({
      cacheDir: options.cacheDir,
      scratch: this.#scratch,
      extents: this.#extents,
      maxEntries: options.maxHeads,
      alone,
      onCorrupt: () => options.counters.disk_corrupt++,
      onRead: entry => this.capacity.removeUnread(entry.paths.hash),
      onUnread: error => this.#trouble.reading(error),
      onProblem: message => options.onProblem('epochs', message),
    });
    this.#reads = new DiskReads({
      catalog: this.catalog,
      extents: this.#extents,
      files: this.#files,
      blocks: this.#blocks,
      pool: this.pool,
      trouble: this.#trouble,
      onCorrupt: () => options.counters.disk_corrupt++,
    });
    const onFailed = (error: Error) => this.#trouble.writing(error);
    this.#deletions = new Deletions({ catalog: this.catalog, onFailed });
    this.#publisher = new Publisher({
      catalog: this.catalog,
      extents: this.#extents,
      scratch: this.#scratch,
      blocks: this.#blocks,
      deadline: options.diskTimeout,
      alone,
      takes: () => this.takesFills,
      onUnread: upload => this.capacity.addUnread(upload),
      onFailed,
    });
    this.multipart = new MultipartStage({
      scratch: this.#scratch,
      cacheDir: options.cacheDir,
      deadline: options.diskTimeout,
      ttl: options.incompleteUploadTtl,
      now: () => this.now(),
      onBytes: (bytes, path) => this.capacity.add(bytes, path),
      onIncomplete: () => {
        options.counters.disk_skipped++;
        options.onEvent('upload_parts', 'a multipart upload was not kept: not every part of it had been');
      },
      onFailed,
      publisher: this.#publisher,
      tables: this.catalog.tables,
    });
  }

  /**
   * Looks at the volume and shows this process on it, for a second or little more. A volume that can't be used now is a
   * problem, not the end; rejects where the folder can never be used.
   */
  async open(): Promise<void> {
    await this.#folder.open();
    await Promise.race([this.#instance.start(), new Promise(resolve => setTimeout(resolve, BEAT_PATIENCE).unref())]);
    this.capacity.start();
    this.multipart.start();
    this.#clock = setInterval(() => {
      this.#files.purge();
      this.#scratch.purge();
    }, 5000).unref();
  }

  /** Whether the cache folder is there now, so that a file that is not in it does not exist. */
  isThere(): Promise<boolean> {
    return this.#folder.isThere();
  }

  /** Now on the volume's clock, ms. */
  now(): number {
    return Date.now() + this.#instance.clockOffset;
  }

  /** What may be kept in RAM is. */
  get takesRam(): boolean {
    return this.#options.ramEnabled;
  }

  get ramBytes(): number {
    return this.#blocks.bytes;
  }

  /** A whole cell of this version from RAM; to be pinned by whoever still reads from it in a later turn. */
  cell(entry: ObjectEntry, head: Head, index: number): Cell | undefined {
    return entry.head?.version === head.version ? this.#blocks.get(entry.blockKey, index) : undefined;
  }

  /** First byte of `span` that is in no tier, as far as is known without asking the disk. */
  firstGap(entry: ObjectEntry, head: Head, span: Span): number | undefined {
    return this.#gaps.first(entry, head, span);
  }

  /** Last byte of the gap that begins at `from`, at most `until`; short pieces held in between count as missing. */
  gapEnd(entry: ObjectEntry, head: Head, from: number, until: number): number {
    return this.#gaps.end(entry, head, from, until);
  }

  /** Looks at the directories that may hold extents of `span`; a volume that doesn't answer leaves what is known. */
  async list(entry: ObjectEntry, span: Span): Promise<void> {
    for (let gib = gibOf(span.start); gib <= gibOf(span.end); gib++) {
      try {
        await this.#extents.list(entry, Math.max(span.start, gib * 2 ** 30));
      } catch (error) {
        this.#trouble.reading(error as Error);
        return;
      }
    }
  }

  /**
   * Verified content from disk, beginning at `span.start`, at least one byte of it; undefined when the disk has none
   * there, can't be read or turns out to be damaged (which removes the file).
   */
  read(entry: ObjectEntry, head: Head, span: Span, options: { ram: boolean }): Promise<Content | undefined> {
    return this.#reads.read(entry, head, span, options);
  }

  /** A fill for bytes of `head` that are about to arrive, from `span.start` in order. */
  fill(
    entry: ObjectEntry,
    head: Head,
    span: Span,
    options: Pick<FillOptions, 'compression' | 'urgent' | 'onChange'> & { ram: boolean },
  ): Fill {
    const blockKey = entry.blockKey;
    const fill: Fill = new Fill({
      scratch: this.#scratch,
      pool: this.pool,
      room: this.capacity,
      span,
      compression: options.compression,
      takes: () => this.takesFills && entry.head?.version === head.version,
      urgent: options.urgent,
      onChange: options.onChange,
      target: {
        hash: entry.paths.hash,
        version: head.version,
        place: extent => ({
          path: entry.paths.extent(head.version, head.length, extent),
          folder: entry.paths.extents(head.version, head.length, gibOf(extent.start)).folder,
        }),
        claim: wanted => this.#extents.claim(entry, head, wanted),
        onExtent: extent => this.#extents.add(entry, head, extent),
        onContent: options.ram
          ? (start, content) => {
              if (entry.head?.version === head.version)
                this.#blocks.offer(blockKey, start, content, head.length, head.length > SMALL);
            }
          : undefined,
        onSkipped: reason => this.skipped(fill, reason),
      },
    });
    return fill;
  }

  /**
   * Something of a transfer, or all of it, will not be on the disk; counted once for each.
   * @param of its fill, or whatever stands for it where it has none
   * @param reason where no state that is shown as a problem tells it
   */
  skipped(of: object, reason?: string): void {
    if (this.#skipped.has(of)) return;
    this.#skipped.add(of);
    this.#options.counters.disk_skipped++;
    if (reason !== undefined) this.#options.onEvent('fill', reason);
  }

  /** True while a fill is worth starting: the volume answers and there is room. */
  get takesFills(): boolean {
    return this.volume.available && !this.#trouble.readOnly && !this.capacity.full;
  }

  /** Makes a head that S3 has just sent the current one, in memory; `keepHead` or `keepSmall` bring it to disk. */
  adopt(entry: ObjectEntry, head: Head, stamp: Stamp): void {
    this.catalog.adopt(entry, head, stamp.validatedAt, stamp.epoch);
  }

  /** Keeps a whole small object of the current version: its body in RAM and, with its head, in one file. */
  async keepSmall(
    entry: ObjectEntry,
    head: Head,
    stamp: Stamp,
    body: Buffer,
    options: { ram: boolean; compress: boolean },
  ): Promise<void> {
    if (options.ram && head.length > 0 && entry.head?.version === head.version)
      this.#blocks.put(entry.blockKey, 0, body);
    if (!this.takesFills) return;
    try {
      const binding = { hash: entry.paths.hash, version: head.version };
      const compress = options.compress && (await shrinks(body));
      const extent =
        head.length === 0 ? undefined : await encodeExtent(binding, { start: 0, end: head.length - 1 }, body, compress);
      await this.catalog.publish(entry, head, stamp.validatedAt, stamp.epoch, extent);
    } catch (error) {
      this.#trouble.writing(error as Error);
    }
  }

  /** Brings a head without a body to disk; failures are counted and reported, never thrown. */
  async keepHead(entry: ObjectEntry, head: Head, stamp: Stamp): Promise<void> {
    if (!this.takesFills) return;
    await this.catalog
      .publish(entry, head, stamp.validatedAt, stamp.epoch)
      .catch(error => this.#trouble.writing(error));
  }

  copyUpload(address: ObjectAddress, options: CopyOptions): UploadCopy | undefined {
    const { uploads } = this.capacity;
    if (!this.takesFills || !uploads.takes(options.length)) return undefined;
    // What is there now has to be known when this takes its place.
    void this.catalog.look(address);
    return new Copying({
      ...options,
      scratch: this.#scratch,
      pool: this.pool,
      room: uploads,
      hash: this.catalog.entry(address).paths.hash,
      deadline: this.#options.diskTimeout,
      onLost: reason => {
        this.#options.counters.disk_skipped++;
        this.#options.onEvent('upload_copy', `an upload was not kept: ${reason}`);
      },
    });
  }

  publishUpload(
    address: ObjectAddress,
    head: Head,
    content: KeptContent,
    options: { ram: boolean; compress: boolean },
  ): Promise<void> {
    return this.#publisher.publish(address, head, content, options);
  }

  forget(address: ObjectAddress): void {
    this.#deletions.add(this.catalog.entry(address));
  }

  async moveOn(objects: readonly ObjectAddress[]): Promise<void> {
    this.#options.counters.epochs_moved += objects.length;
    await this.catalog.moveOn(objects);
  }

  /** Ends the store. Returns false when a thread is stuck on the volume, so that the process can't end in the ordinary way. */
  async close(): Promise<boolean> {
    clearInterval(this.#clock);
    this.capacity.stop();
    this.multipart.stop();
    this.#deletions.stop();
    this.catalog.close();
    this.#files.close();
    await this.#instance.stop();
    const done = await Promise.all([this.volume.drained(), this.#folder.drained()]);
    const { closed } = this.#folder;
    // What is not done by now is not done any more: from here on the folder may be another's.
    this.#folder.stop();
    const clean = !done.includes(false) && (await this.volume.drained());
    if (clean && !closed) this.#scratch.clear();
    return clean;
  }
}
