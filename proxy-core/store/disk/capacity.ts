import { join } from 'node:path';
import { Census } from './census.ts';
import { inWords } from './disk-error.ts';
import type { Volume } from './volume.ts';

/** A floor of free space on the volume: a share of it in percent, or bytes. */
export type FreeSpaceFloor = { readonly percent: number } | { readonly bytes: number };

export interface CapacityOptions {
  readonly volume: Volume;
  readonly cacheDir: string;
  readonly maxBytes: number;
  readonly minFree: FreeSpaceFloor;
  /** How long a fill may wait for room, ms. */
  readonly patience: number;
  /** Now on the volume's clock, ms. */
  readonly now: () => number;
  /** Removes a published file, or an empty folder, and tells `add`. */
  readonly remove: (path: string) => Promise<void>;
  readonly removeFolder: (path: string) => Promise<void>;
  readonly onProblem: (message: string | undefined) => void;
}

/** Eviction begins above the one share of the limit, a little before fills have to wait, and goes on down to the other. */
const HIGH_WATER = 0.98;
const LOW_WATER = 0.95;
/** Folders looked at for one choice of victims, and files in each; the oldest quarter goes first. */
const SAMPLE = 12;
const FILES = 64;
/** An epoch without a head is forgotten after this long: no read that began before the write is still unanswered, ms. */
const EPOCH_KEPT = 15 * 60_000;
/** After a search that found nothing to remove, ms. */
const REST = 60_000;
/** Samples without a file in them after which less is there than was counted. */
const BARREN = 20;
const LOOK_EVERY = 2000;
const COUNT_EVERY = 3_600_000;

interface Found {
  path: string;
  usedAt: number;
}

interface Waiting {
  readonly bytes: number;
  readonly answer: (granted: boolean) => void;
}

/**
 * Keeps the cache's allocated bytes under `max_cache_size` and the volume's free space over its floor. What is there is
 * counted by a paced census in the background, and by what this process adds and removes from then on.
 */
export class Capacity {
  readonly #options: CapacityOptions;
  readonly #census: Census;
  #bytes = 0;
  #reserved = 0;
  #waiting: Waiting[] = [];
  #stopped = false;
  #evicting: Promise<void> | undefined;
  #counting: Promise<void> | undefined;
  #countedAt = Number.NEGATIVE_INFINITY;
  /** The last search found nothing to remove; the census that follows says whether too much was counted. */
  #barren = false;
  #restUntil = Number.NEGATIVE_INFINITY;
  /** What the volume has free above its floor, as last seen, less what was added since. */
  #spare = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: CapacityOptions) {
    this.#options = options;
    this.#census = new Census(options);
  }

  /** Allocated bytes of `buckets/`, as far as counted. */
  get bytes(): number {
    return this.#bytes;
  }

  /** False until the first census has been through. */
  get counted(): boolean {
    return this.#countedAt > 0;
  }

  /** Nothing new is stored at the moment. */
  get full(): boolean {
    return this.#spare < this.#reserved || this.#bytes >= this.#options.maxBytes;
  }

  start(): void {
    const look = () => {
      void this.#lookAtVolume();
      if (performance.now() - this.#countedAt > COUNT_EVERY) this.#count();
      if (this.#excess > 0) this.#evict();
    };
    look();
    this.#timer = setInterval(look, LOOK_EVERY).unref();
  }

  stop(): void {
    this.#stopped = true;
    this.#census.stop();
    clearInterval(this.#timer);
    for (const { answer } of this.#waiting.splice(0)) answer(false);
  }

  /** Tells what was added or (negative) removed. */
  add(bytes: number): void {
    this.#bytes = Math.max(0, this.#bytes + bytes);
    this.#spare -= bytes;
    if (bytes < 0) this.#grant();
    else if (this.#excess > 0) this.#evict();
  }

  /** Room for a file that will be added; resolves with false when none can be made in time. To be released in the end. */
  async reserve(bytes: number): Promise<boolean> {
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
  }

  #fits(bytes: number): boolean {
    const taken = this.#reserved + bytes;
    return this.#bytes + taken <= this.#options.maxBytes && taken <= this.#spare;
  }

  #grant(): void {
    for (const waiting of [...this.#waiting]) {
      if (!this.#fits(waiting.bytes)) return;
      this.#reserved += waiting.bytes;
      waiting.answer(true);
    }
  }

  /** Bytes to be removed before eviction may rest; 0 or less while it need not begin. */
  get #excess(): number {
    const { maxBytes } = this.#options;
    const taken = this.#bytes + this.#reserved;
    const wanted = this.#waiting.reduce((sum, { bytes }) => sum + bytes, 0);
    if (taken + wanted <= maxBytes * HIGH_WATER && this.#spare >= this.#reserved) return 0;
    return Math.min(
      this.#bytes,
      Math.max(taken + wanted - maxBytes * LOW_WATER, this.#reserved + wanted - this.#spare),
    );
  }

  #evict(): void {
    if (this.#stopped || performance.now() < this.#restUntil) return;
    this.#evicting ??= this.#evictDown()
      .then(made => {
        if (made) this.#options.onProblem(undefined);
      })
      // Tried again at the next look at the volume, not at once: it would fail at once, too.
      .catch(error => this.#options.onProblem(`room could not be made in the cache: ${inWords(error)}`))
      .finally(() => {
        this.#evicting = undefined;
      });
  }

  /** False when there is nothing to remove, or less is there than was counted. */
  async #evictDown(): Promise<boolean> {
    const target = this.#bytes - this.#excess;
    let barren = 0;
    while (this.#bytes > target && !this.#stopped) {
      const found = await this.#sample();
      barren = found.length === 0 ? barren + 1 : 0;
      if (barren >= BARREN) {
        this.#barren = true;
        this.#count();
        return false;
      }
      found.sort((a, b) => a.usedAt - b.usedAt);
      for (const { path } of found.slice(0, Math.ceil(found.length / 4))) {
        if (this.#bytes <= target) break;
        await this.#options.remove(path).catch((error: NodeJS.ErrnoException) => {
          if (error.code !== 'ENOENT') throw error;
        });
      }
    }
    return true;
  }

  /** Extents and heads of a random sample of folders. */
  async #sample(): Promise<Found[]> {
    const found: Found[] = [];
    for (let i = 0; i < SAMPLE; i++) await this.#descend(join(this.#options.cacheDir, 'buckets'), 0, found);
    return found;
  }

  /** Bucket, first digits, next digits; then the files of some objects and, of a larger object, one of its folders. */
  async #descend(folder: string, depth: number, found: Found[]): Promise<void> {
    const { volume, removeFolder } = this.#options;
    const names = await this.#census.names(folder);
    if (names.length === 0 && depth > 0) await removeFolder(folder).catch(() => {});
    if (depth < 3) {
      const next = anyOf(names.filter(name => !name.startsWith('_')));
      if (next !== undefined) await this.#descend(join(folder, next), depth + 1, found);
      return;
    }
    const folders: string[] = [];
    const oldEpoch = this.#options.now() - EPOCH_KEPT;
    for (const name of someOf(names, FILES)) {
      const epoch = name.endsWith('.epoch');
      if (epoch && names.includes(`${name.slice(0, -'.epoch'.length)}.head`)) continue;
      const path = join(folder, name);
      const stats = await volume.stat(path).catch(() => undefined);
      if (epoch && stats && stats.mtimeMs > oldEpoch) continue;
      if (stats?.isDirectory()) folders.push(path);
      else if (stats) found.push({ path, usedAt: Math.max(stats.mtimeMs, stats.atimeMs) });
    }
    const next = anyOf(folders);
    if (next !== undefined) await this.#descend(next, depth + 1, found);
  }

  /** What was added while the census ran is not in it: it leaves out what is younger than its beginning. */
  #count(): void {
    const before = this.#bytes;
    this.#counting ??= this.#census
      .take(this.#options.now())
      .then(bytes => {
        if (bytes === undefined) return;
        this.#bytes = Math.max(0, bytes + this.#bytes - before);
        this.#countedAt = performance.now();
        const barren = this.#barren;
        this.#barren = false;
        if (this.#excess <= 0) return;
        if (!barren) this.#evict();
        else {
          this.#restUntil = performance.now() + REST;
          this.#options.onProblem(
            'the cache is full of records of recent writes, which are kept for 15 minutes; raise cache.max_cache_size',
          );
        }
      })
      // The volume's own breaker reports it; the next look at the volume tries again.
      .catch(() => {})
      .finally(() => {
        this.#counting = undefined;
      });
  }

  async #lookAtVolume(): Promise<void> {
    try {
      const { bsize, blocks, bavail } = await this.#options.volume.statfs(this.#options.cacheDir);
      const { minFree, onProblem } = this.#options;
      const floor = 'percent' in minFree ? blocks * bsize * (minFree.percent / 100) : minFree.bytes;
      const was = this.#spare;
      this.#spare = bavail * bsize - floor;
      if (this.#spare < 0)
        onProblem('the cache volume has less free space than cache.min_free_space; nothing new is stored');
      else if (was < 0) onProblem(undefined);
      this.#grant();
    } catch {
      // The volume's own breaker reports it.
    }
  }
}

function anyOf<T>(items: readonly T[]): T | undefined {
  return items[Math.floor(Math.random() * items.length)];
}

/** At most `count` of the items, from a random one on. */
function someOf<T>(items: readonly T[], count: number): T[] {
  if (items.length <= count) return [...items];
  const from = Math.floor(Math.random() * items.length);
  return Array.from({ length: count }, (_, i) => items[(from + i) % items.length] as T);
}
