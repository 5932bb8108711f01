import { join } from 'node:path';
import { allocated } from './scratch.ts';
import type { Volume } from './volume.ts';

/** A floor of free space on the volume: a share of it in percent, or bytes. */
export type FreeSpaceFloor = { readonly percent: number } | { readonly bytes: number };

export interface CapacityOptions {
  readonly volume: Volume;
  readonly cacheDir: string;
  maxBytes: number;
  readonly minFree: FreeSpaceFloor;
  readonly onRemoved: (path: string) => void;
  readonly onProblem: (message: string | undefined) => void;
}

const LOW_WATER = 0.95;
/** Leaves looked at for one choice of victims; their oldest files go first. */
const SAMPLE = 12;
const SCAN_PAUSE_EVERY = 64;
const FREE_SPACE_EVERY = 2000;

interface Found {
  path: string;
  size: number;
  usedAt: number;
}

/**
 * Keeps the cache's allocated bytes under `max_cache_size` and the volume's free space over its floor. What is there is
 * counted by a paced scan in the background after the start, and by what this process adds and removes from then on.
 */
export class Capacity {
  readonly #options: CapacityOptions;
  #bytes = 0;
  #counted = false;
  #stopped = false;
  #evicting: Promise<void> | undefined;
  #scanning: Promise<void> | undefined;
  #lowSpace = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: CapacityOptions) {
    this.#options = options;
  }

  /** Allocated bytes below `buckets/`, as far as counted. */
  get bytes(): number {
    return this.#bytes;
  }

  /** False until the first scan has been through. */
  get counted(): boolean {
    return this.#counted;
  }

  /** No room for another fill at the moment. */
  get full(): boolean {
    return this.#lowSpace || this.#options.maxBytes === 0;
  }

  start(): void {
    this.#scanning = this.#scan().catch(() => {});
    const look = () => void this.#lookAtVolume();
    look();
    this.#timer = setInterval(look, FREE_SPACE_EVERY).unref();
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.#options.maxBytes) this.#evict();
  }

  /** Resolves when nothing is being counted or evicted. For tests and the command line. */
  async settled(): Promise<void> {
    await this.#scanning;
    while (this.#evicting) await this.#evicting;
  }

  #evict(): void {
    this.#evicting ??= this.#evictDown()
      .catch(error => this.#options.onProblem(`room could not be made in the cache: ${(error as Error).message}`))
      .finally(() => {
        this.#evicting = undefined;
        if (!this.#stopped && this.#bytes > this.#options.maxBytes && this.#counted) this.#evict();
      });
  }

  async #evictDown(): Promise<void> {
    const target = this.#options.maxBytes * LOW_WATER;
    let barren = 0;
    while (this.#bytes > target && !this.#stopped && barren < 20) {
      const found = await this.#sample();
      found.sort((a, b) => a.usedAt - b.usedAt);
      const victims = found.slice(0, Math.max(1, Math.ceil(found.length / 4)));
      barren = found.length === 0 ? barren + 1 : 0;
      for (const victim of victims) {
        if (this.#bytes <= target) break;
        await this.#remove(victim);
      }
    }
    if (barren >= 20) {
      // The folder holds less than was counted: somebody else has removed files. Count again.
      this.#bytes = 0;
      this.#counted = false;
      await this.#scan();
    }
  }

  async #remove({ path, size }: Found): Promise<void> {
    try {
      await this.#options.volume.unlink(path);
      this.#options.onRemoved(path);
      this.#bytes = Math.max(0, this.#bytes - size);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }

  /** Extents and heads of a random sample of leaves. */
  async #sample(): Promise<Found[]> {
    const found: Found[] = [];
    const root = join(this.#options.cacheDir, 'buckets');
    for (let i = 0; i < SAMPLE; i++) {
      let at = root;
      for (let depth = 0; depth < 3; depth++) {
        const names = (await this.#names(at)).filter(name => !name.startsWith('_'));
        if (names.length === 0) break;
        at = join(at, names[Math.floor(Math.random() * names.length)] ?? '');
        if (depth === 2) await this.#collect(at, found);
      }
    }
    return found;
  }

  async #collect(folder: string, found: Found[]): Promise<void> {
    for (const name of await this.#names(folder)) {
      const path = join(folder, name);
      if (name.endsWith('.epoch')) continue;
      const stats = await this.#options.volume.stat(path).catch(() => undefined);
      if (!stats) continue;
      if (stats.isDirectory()) await this.#collect(path, found);
      else found.push({ path, size: allocated(stats.size), usedAt: Math.max(stats.mtimeMs, stats.atimeMs) });
    }
  }

  async #scan(): Promise<void> {
    let bytes = 0;
    let looked = 0;
    const before = this.#bytes;
    const walk = async (folder: string): Promise<void> => {
      for (const name of await this.#names(folder)) {
        if (this.#stopped) return;
        const path = join(folder, name);
        const stats = await this.#options.volume.stat(path).catch(() => undefined);
        if (!stats) continue;
        if (++looked % SCAN_PAUSE_EVERY === 0) await new Promise(resolve => setTimeout(resolve, 5).unref());
        if (stats.isDirectory()) await walk(path);
        else bytes += allocated(stats.size);
      }
    };
    await walk(join(this.#options.cacheDir, 'buckets'));
    // What was added while the scan ran may have been seen by it, too: counting it twice errs on the safe side until the next scan.
    this.#bytes = bytes + (this.#bytes - before);
    this.#counted = true;
    if (this.#bytes > this.#options.maxBytes) this.#evict();
  }

  async #names(folder: string): Promise<string[]> {
    return this.#options.volume.readdir(folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return [];
      throw error;
    });
  }

  async #lookAtVolume(): Promise<void> {
    try {
      const { bsize, blocks, bavail } = await this.#options.volume.statfs(this.#options.cacheDir);
      const { minFree } = this.#options;
      const floor = 'percent' in minFree ? blocks * bsize * (minFree.percent / 100) : minFree.bytes;
      const low = bavail * bsize < floor;
      if (low !== this.#lowSpace)
        this.#options.onProblem(
          low ? 'the cache volume has less free space than cache.min_free_space; nothing new is stored' : undefined,
        );
      this.#lowSpace = low;
    } catch {
      // The volume's own breaker reports it.
    }
  }
}
