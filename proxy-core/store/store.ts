import type { ObjectAddress, Span } from '../request/index.ts';
import { Blocks } from './blocks.ts';
import { BufferPool } from './buffer-pool.ts';
import { Care } from './care/care.ts';
import { Catalog } from './catalog.ts';
import type { Capacity } from './disk/capacity.ts';
import { Disk, limitsOf } from './disk/disk.ts';
import type { Content } from './disk/extent-file.ts';
import { SMALL } from './disk/extent-format.ts';
import { gibOf } from './disk/paths.ts';
import { RecordRoom } from './disk/record-room.ts';
import { stretchKey } from './disk/use-keys.ts';
import type { Volume } from './disk/volume.ts';
import { DiskReads } from './disk-reads.ts';
import type { ObjectEntry } from './entry.ts';
import { Extents } from './extents.ts';
import { Fill, type FillOptions } from './fill.ts';
import { Gaps } from './gaps.ts';
import type { Head, Stamp } from './head.ts';
import { HeadFiling } from './head-filing.ts';
import type { Cell } from './memory/cells.ts';
import { Merging } from './merging.ts';
import type { StoreLimits, StoreOptions } from './options.ts';
import type { MultipartStage } from './uploads/multipart-stage.ts';
import type { CopyOptions, KeptContent, UploadCopy, UploadStore } from './uploads/types.ts';
import { Uploads } from './uploads/uploads.ts';

/** Everything that is kept: heads and epochs, extents on disk, blocks in RAM. The only thing of store/ that reads use. */
export class Store implements UploadStore {
  readonly catalog: Catalog;
  readonly pool: BufferPool;
  readonly volume: Volume;
  readonly capacity: Capacity;
  readonly care: Care;
  readonly multipart: MultipartStage;
  readonly #options: StoreOptions;
  readonly #blocks: Blocks;
  readonly #gaps: Gaps;
  readonly #extents: Extents;
  readonly #merging: Merging;
  readonly #disk: Disk;
  readonly #reads: DiskReads;
  readonly #uploads: Uploads;
  readonly #filing: HeadFiling;
  readonly #skipped = new WeakSet<object>();
  #doubtedUntil = Number.NEGATIVE_INFINITY;
  #takesRam: boolean;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#takesRam = options.ramEnabled;
    this.pool = new BufferPool(options.memoryBudget);
    const blocks = new Blocks({ algorithm: options.algorithm, maxBytes: options.ramEnabled ? options.maxRamBytes : 0 });
    this.#blocks = blocks;
    this.#gaps = new Gaps(blocks, options.mergeGap);
    const disk = new Disk({
      ...options,
      onMoved: storeKeys => this.catalog.lookAgain(storeKeys),
      onLost: () => this.#doubt(),
    });
    const { volume, capacity, scratch, files, trouble } = disk;
    this.#disk = disk;
    this.volume = volume;
    this.capacity = capacity;
    const alone = () => disk.alone;
    const onCorrupt = () => options.counters.disk_corrupt++;
    const extents = new Extents({
      scratch,
      alone,
      onListed: (entry, head, gib) => this.#merging.listed(entry, head, gib),
    });
    this.#extents = extents;
    this.#merging = new Merging({
      extents,
      files,
      pool: this.pool,
      scratch,
      room: capacity,
      takes: () => this.takesFills,
    });
    const catalog = new Catalog({
      cacheDir: options.cacheDir,
      scratch,
      extents,
      epochRoom: new RecordRoom(capacity),
      maxEntries: options.maxHeads,
      alone,
      now: () => disk.now(),
      onCorrupt,
      onRead: entry => capacity.removeUnread(entry.paths.hash),
      onKnown: ({ folder, address, paths }) => disk.pins.met(folder, address.key, paths.hash),
      onUnread: error => trouble.reading(error),
      onProblem: message => options.onProblem('epochs', message),
    });
    this.catalog = catalog;
    this.#filing = new HeadFiling({ disk, catalog, onSkipped: () => options.counters.disk_skipped++ });
    this.#reads = new DiskReads({ catalog, extents, files, blocks, pool: this.pool, trouble, onCorrupt });
    this.#uploads = new Uploads({ disk, catalog, extents, blocks, pool: this.pool, store: options });
    this.multipart = this.#uploads.multipart;
    this.care = new Care({
      cacheDir: options.cacheDir,
      disk,
      catalog,
      extents,
      pool: this.pool,
      onCorrupt,
      pinPercent: () => capacity.limits.pinPercent,
      stores: options.stores,
    });
  }

  /**
   * Looks at the volume and shows this process on it, for a second or little more. A volume that can't be used now is a
   * problem, not the end; rejects where the folder can never be used.
   */
  async open(): Promise<void> {
    await this.#disk.open();
    this.#uploads.start();
  }

  /** Whether the cache folder is there now, so that a file that is not in it does not exist. */
  isThere(): Promise<boolean> {
    return this.#disk.isThere();
  }

  /** Now on the volume's clock, ms. */
  now(): number {
    return this.#disk.now();
  }

  /**
   * Until when what S3 said may have been overtaken by a write of which nothing is known, on the volume's clock, ms: a process
   * that shares the cache was killed, and may have had one under way.
   */
  get doubtedUntil(): number {
    return this.#doubtedUntil;
  }

  /** Other limits hold from now on: what is over them goes at once. */
  setLimits(limits: StoreLimits): void {
    this.#takesRam = limits.ramEnabled;
    this.#blocks.maxBytes = limits.ramEnabled ? limits.maxRamBytes : 0;
    this.capacity.setLimits(limitsOf(limits));
  }

  /** What may be kept in RAM is. */
  get takesRam(): boolean {
    return this.#takesRam;
  }

  get ramBytes(): number {
    return this.#blocks.bytes;
  }

  /** A whole cell of this version from RAM; to be pinned by whoever still reads from it in a later turn. */
  cell(entry: ObjectEntry, head: Head, index: number): Cell | undefined {
    return entry.head?.version === head.version ? this.#blocks.get(entry.blockKey, index) : undefined;
  }

  /**
   * A reader gets the head and, with `at`, bytes from there on: from whichever tier or S3, it is a use of what the disk has, or may
   * get, of the object. Cheap enough for every answer.
   */
  used(entry: ObjectEntry, head: Head, at?: number): void {
    const { uses, lastUse } = this.#disk;
    const note = (key: number, path: string) => {
      uses.noted(key);
      lastUse.note(path);
    };
    if (uses.count(entry.useKey) && entry.filed && head.written === undefined) note(entry.useKey, entry.paths.head);
    if (at === undefined || head.length <= SMALL) return;
    const key = stretchKey(entry.useKey, at);
    const extent = uses.count(key) ? entry.index(at).at(at) : undefined;
    if (extent) note(key, extent.path);
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
        this.#disk.trouble.reading(error as Error);
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
    options: Pick<FillOptions, 'compression' | 'shared' | 'urgent' | 'onChange'> & { ram: boolean },
  ): Fill {
    const blockKey = entry.blockKey;
    const fill: Fill = new Fill({
      scratch: this.#disk.scratch,
      pool: this.pool,
      room: this.capacity,
      span,
      compression: options.compression,
      takes: () => this.takesFills && entry.head?.version === head.version,
      shared: options.shared,
      urgent: options.urgent,
      onChange: options.onChange,
      target: {
        hash: entry.paths.hash,
        version: head.version,
        place: extent => entry.paths.place(head.version, head.length, extent),
        claim: wanted => this.#extents.claim(entry, head, wanted),
        use: start => (this.#disk.isPinned(entry) ? undefined : stretchKey(entry.useKey, start)),
        onExtent: extent => {
          this.#extents.add(entry, head, extent);
          this.#merging.added(entry, head, extent);
          void this.#filing.contentCame(entry, head);
        },
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
    return this.#disk.takes;
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
    await this.#filing.small(entry, head, stamp, body, options.compress);
  }

  /** Brings a head without a body to disk; failures are counted and reported, never thrown. */
  keepHead(entry: ObjectEntry, head: Head, stamp: Stamp): Promise<void> {
    return this.#filing.head(entry, head, stamp);
  }

  copyUpload(address: ObjectAddress, options: CopyOptions): UploadCopy | undefined {
    return this.#uploads.copyUpload(address, options);
  }

  publishUpload(
    address: ObjectAddress,
    head: Head,
    content: KeptContent,
    options: { ram: boolean; compress: boolean },
  ): Promise<void> {
    return this.#uploads.publishUpload(address, head, content, options);
  }

  forget(address: ObjectAddress): void {
    this.#uploads.forget(address);
  }

  async moveOn(objects: readonly ObjectAddress[]): Promise<void> {
    this.#options.counters.epochs_moved += objects.length;
    await this.catalog.moveOn(objects);
    await this.#disk.neighbours.tell(objects.map(({ storeKey }) => storeKey));
  }

  /** Rewrites stretches that have become whole in many pieces now, rather than when they have been left in peace. For tests. */
  merge(): Promise<void> {
    return this.#merging.run();
  }

  #doubt(): void {
    this.#doubtedUntil = this.now();
  }

  /** Ends the store. Returns false when a thread is stuck on the volume, so that the process can't end in the ordinary way. */
  async close(): Promise<boolean> {
    this.#uploads.stop();
    this.catalog.close();
    await this.#merging.stop();
    return this.#disk.close();
  }
}
