import { join } from 'node:path';
import type { Pins } from '../care/pins.ts';
import type { EvictionAlgorithm } from '../memory/index.ts';
import { Unread, type UnreadUpload } from '../uploads/unread.ts';
import { UploadRoom } from '../uploads/upload-room.ts';
import { Census, type Counted } from './census.ts';
import { inWords } from './disk-error.ts';
import { Eviction } from './eviction.ts';
import { NotAdmitted, type Room } from './extent-output.ts';
import { FreeSpace, type FreeSpaceFloor } from './free-space.ts';
import type { Uses } from './uses.ts';
import type { Volume } from './volume.ts';

export interface CapacityOptions {
  readonly volume: Volume;
  readonly cacheDir: string;
  readonly maxBytes: number;
  readonly minFree: FreeSpaceFloor;
  /** Share of the cache, in percent, of uploads that nobody has read, or that still run. */
  readonly uploadPercent: number;
  /** How long an upload may wait for its first reader, ms; by folder of the bucket and key. */
  readonly putTtl: (folder: string, key: string) => number;
  /** How long a fill may wait for room, ms. */
  readonly patience: number;
  /** Now on the volume's clock, ms. */
  readonly now: () => number;
  /** Removes a published file, or an empty folder, and tells `add`. */
  readonly remove: (path: string) => Promise<void>;
  readonly removeFolder: (path: string) => Promise<void>;
  readonly onProblem: (message: string | undefined) => void;
  /** What eviction has to leave alone. */
  readonly pins?: Pins | undefined;
  /** What goes first, and whether something new is worth it. */
  readonly algorithm?: EvictionAlgorithm | undefined;
  readonly uses?: Uses | undefined;
}

/** Eviction begins above the one share of the limit, a little before fills have to wait, and goes on down to the other. */
const HIGH_WATER = 0.98;
const LOW_WATER = 0.95;
/** Steps that find nothing after which a census has to say why. */
const BARREN = 20;
/** After it has said that there is nothing to remove, ms. */
const REST = 60_000;
const LOOK_EVERY = 2000;
const COUNT_EVERY = 3_600_000;

interface Waiting {
  readonly bytes: number;
  readonly answer: (granted: boolean) => void;
}

/**
 * Keeps the cache's allocated bytes under `max_cache_size` and the volume's free space over its floor. What is there is
 * counted by a paced census in the background, and by what this process adds and removes from then on.
 */
export class Capacity implements Room {
  /** Room for copies of uploads, within their share. */
  readonly uploads: UploadRoom;
  readonly #options: CapacityOptions;
  readonly #unread = new Unread();
  readonly #space: FreeSpace;
  readonly #census: Census;
  readonly #eviction: Eviction;
  readonly #stage: string;
  #bytes = 0;
  /** Of that, parts of multipart uploads that still run. */
  #staged = 0;
  #reserved = 0;
  #waiting: Waiting[] = [];
  #stopped = false;
  #evicting: Promise<void> | undefined;
  #counting: Promise<void> | undefined;
  #countedAt = Number.NEGATIVE_INFINITY;
  /** By how much the last census put the count right. */
  #correction: number | undefined;
  /** The last search was in vain; a census that begins after it says why. */
  #barren = false;
  #restUntil = Number.NEGATIVE_INFINITY;
  /** What is wrong with the volume's space, and with making room. */
  #problems: { space?: string | undefined; room?: string | undefined } = {};
  #shown: string | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: CapacityOptions) {
    this.#options = options;
    this.#stage = join(options.cacheDir, 'uploads');
    const unread = this.#unread;
    this.#space = new FreeSpace(options);
    this.#census = new Census({ ...options, unread });
    this.#eviction = new Eviction({ ...options, unread, bytes: () => this.#bytes });
    this.uploads = new UploadRoom({
      room: this,
      unread,
      limit: () => this.#uploadLimit,
      staged: () => this.#staged,
      removeOne: () => this.#eviction.removeUnread(),
      onFailed: error => this.#failed(error),
    });
  }

  /** Allocated bytes of `buckets/` and `uploads/`, as far as counted. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What it may grow to: where the free space bounds the cache, what that lets it. */
  get most(): number {
    return Math.max(0, Math.min(this.#options.maxBytes, this.#bytes + this.#space.spare));
  }

  /** False until the first census has been through. */
  get counted(): boolean {
    return this.#countedAt > 0;
  }

  /** Nothing new is stored at the moment. */
  get full(): boolean {
    return this.#space.spare < this.#reserved || this.#bytes >= this.#options.maxBytes;
  }

  start(): void {
    const look = () => {
      void this.#lookAtVolume();
      if (performance.now() - this.#countedAt > COUNT_EVERY) this.#count();
      if (this.#tooMuch) this.#evict();
    };
    look();
    this.#timer = setInterval(look, LOOK_EVERY).unref();
  }

  stop(): void {
    this.#stopped = true;
    this.#census.stop();
    this.uploads.stop();
    clearInterval(this.#timer);
    for (const { answer } of this.#waiting.splice(0)) answer(false);
  }

  /** Tells what was added or (negative) removed, and where. */
  add(bytes: number, path: string): void {
    this.#bytes = Math.max(0, this.#bytes + bytes);
    if (path.startsWith(this.#stage)) this.#staged = Math.max(0, this.#staged + bytes);
    this.#space.add(bytes);
    this.#options.pins?.changed(bytes, path);
    if (bytes < 0) this.#grant();
    else if (this.#tooMuch) this.#evict();
  }

  /**
   * Counts what is there anew. By how many bytes the count had been off (negative: too much was counted), as far as that can be
   * told while files come and go; undefined when it could not be counted.
   */
  async recount(): Promise<number | undefined> {
    // One that is under way does not know what is there now.
    await this.#counting;
    this.#correction = undefined;
    this.#count();
    await this.#counting;
    return this.#correction;
  }

  /** An upload has its place, and a head that nobody has read yet. */
  addUnread(upload: Omit<UnreadUpload, 'at'>): void {
    this.#unread.add({ ...upload, at: this.#options.now() });
    // In a later turn: what was reserved for it may be given back in this one.
    setImmediate(() => void this.uploads.trim());
  }

  /** S3 has vouched for its head, or it is gone. Only for objects whose head was a write's. */
  removeUnread(hash: string): void {
    this.#unread.remove(hash);
  }

  /** Whether something new is worth its room: as long as there is some, and then if it is better known than what would go for it. */
  admits(bytes: number, use: number): boolean {
    const taken = this.#bytes + this.#reserved + bytes;
    const isFull = taken > this.#options.maxBytes * LOW_WATER || this.#reserved + bytes > this.#space.spare;
    return !isFull || this.#eviction.admits(use, bytes);
  }

  /** Room for a file that will be added; resolves with false when none can be made in time. To be released in the end. */
  async reserve(bytes: number, use?: number): Promise<boolean> {
    if (use !== undefined && !this.admits(bytes, use)) throw new NotAdmitted();
    if (this.#fits(bytes)) {
      this.#reserved += bytes;
      return true;
    }
    if (this.#stopped || bytes > this.#options.maxBytes) return false;
    return new Promise(resolve => {
      const waiting: Waiting = {
        bytes,
        answer: granted => {
          clearTimeout(timer);
          this.#waiting = this.#waiting.filter(other => other !== waiting);
          resolve(granted);
        },
      };
      const timer = setTimeout(() => waiting.answer(false), this.#options.patience);
      this.#waiting.push(waiting);
      this.#evict();
    });
  }

  release(bytes: number): void {
    this.#reserved -= bytes;
    this.#grant();
  }

  /** Resolves when nothing is being counted or evicted. For tests and the command line. */
  async settled(): Promise<void> {
    while (this.#counting || this.#evicting) await (this.#counting ?? this.#evicting);
    await this.uploads.trim();
  }

  #fits(bytes: number): boolean {
    const taken = this.#reserved + bytes;
    return this.#bytes + taken <= this.#options.maxBytes && taken <= this.#space.spare;
  }

  #grant(): void {
    for (const waiting of [...this.#waiting]) {
      if (!this.#fits(waiting.bytes)) return;
      this.#reserved += waiting.bytes;
      waiting.answer(true);
    }
  }

  /** Whether eviction has to begin. */
  get #tooMuch(): boolean {
    const { spare } = this.#space;
    if (this.#bytes === 0) return false;
    return this.#bytes + this.#reserved + this.#wanted > this.#options.maxBytes * HIGH_WATER || spare < this.#reserved;
  }

  /** Whether it may rest again. */
  get #enough(): boolean {
    const asked = this.#reserved + this.#wanted;
    if (this.#bytes === 0 || this.#stopped) return true;
    return this.#bytes + asked <= this.#options.maxBytes * LOW_WATER && asked <= this.#space.spare;
  }

  /** Bytes that fills wait for. */
  get #wanted(): number {
    return this.#waiting.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Most that uploads may take. */
  get #uploadLimit(): number {
    return (this.most * this.#options.uploadPercent) / 100;
  }

  #evict(): void {
    if (this.#stopped || performance.now() < this.#restUntil) return;
    this.#evicting ??= this.#evictDown()
      .then(made => {
        if (made) this.#say({ room: undefined });
      })
      // Tried again at the next look at the volume, not at once: it would fail at once, too.
      .catch(error => this.#failed(error))
      .finally(() => {
        this.#evicting = undefined;
      });
  }

  /** False when nothing to remove was found. */
  async #evictDown(): Promise<boolean> {
    // A file that has just come to its place is counted twice until its reservation is released, in the same turn.
    await new Promise(setImmediate);
    if (!this.#tooMuch) return true;
    for (let barren = 0; !this.#enough; ) {
      barren = (await this.#eviction.step(() => this.#enough)) ? 0 : barren + 1;
      if (barren < BARREN) continue;
      this.#barren = true;
      this.#restUntil = performance.now() + LOOK_EVERY;
      this.#count();
      return false;
    }
    return true;
  }

  /** What was added while the census ran is not in it: it leaves out what is younger than its beginning. */
  #count(): void {
    const before = { bytes: this.#bytes, staged: this.#staged };
    const asked = this.#barren;
    this.#counting ??= this.#census
      .take(this.#options.now())
      .then(counted => {
        if (!counted) return;
        this.#correction = counted.total - before.bytes;
        this.#bytes = Math.max(0, counted.total + this.#bytes - before.bytes);
        this.#staged = Math.max(0, counted.staged + this.#staged - before.staged);
        this.#countedAt = performance.now();
        void this.uploads.trim();
        if (asked) this.#judge(counted);
        if (this.#tooMuch) this.#evict();
        else this.#say({ room: undefined });
      })
      .catch(() => {
        // The volume's own breaker reports it; the next look at the volume tries again.
        this.#barren = false;
      })
      .finally(() => {
        this.#counting = undefined;
        // One that ran already when the search was in vain does not tell why.
        if (this.#barren && !this.#stopped) this.#count();
      });
  }

  /** Why a search was in vain: too much had been counted, it had no luck, or there is nothing to remove. */
  #judge({ removable, records }: Counted): void {
    this.#barren = false;
    if (!this.#tooMuch || removable > 0) return;
    this.#restUntil = performance.now() + REST;
    // Else it is for the volume's sake, which is shown already.
    if (this.#bytes <= this.#options.maxBytes * LOW_WATER) return;
    const what =
      records > 0 ? 'records of recent writes, which are kept for 15 minutes' : 'folders and settings of buckets';
    this.#say({ room: `the cache is full of ${what}; raise cache.max_cache_size` });
  }

  async #lookAtVolume(): Promise<void> {
    try {
      await this.#space.look();
    } catch {
      // The volume's own breaker reports it.
      return;
    }
    const full = this.#space.spare < 0;
    this.#say({
      space: full ? 'the cache volume has less free space than cache.min_free_space; nothing new is stored' : undefined,
    });
    this.#grant();
  }

  #failed(error: unknown): void {
    this.#say({ room: `room could not be made in the cache: ${inWords(error)}` });
  }

  #say(problem: { space?: string | undefined; room?: string | undefined }): void {
    this.#problems = { ...this.#problems, ...problem };
    const shown = this.#problems.space ?? this.#problems.room;
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#options.onProblem(shown);
  }
}
