import { Pool } from '../../proxy-core/store/disk/pool.ts';
import { type Candidate, createRanking, type Ranking } from '../../proxy-core/store/disk/ranking.ts';
import { Uses } from '../../proxy-core/store/disk/uses.ts';
import type { EvictionAlgorithm } from '../../proxy-core/store/memory/index.ts';

export interface DiskTierOptions {
  readonly algorithm: EvictionAlgorithm;
  readonly maxBytes: number;
  /** 0 to below 1. */
  readonly random: () => number;
  /** Share of the limit down to which eviction goes once it has begun. */
  readonly lowWater?: number;
  readonly onWritten?: (bytes: number) => void;
}

/** Files that one look finds: as many as a few folders of a large cache hold. */
const SAMPLE = 24;
/** Far enough apart that each use counts: see SAME_USE of the uses. */
const SECONDS_PER_READ = 10;
/** Refused newcomers between two looks: on a disk there is one a second. */
const REFUSALS_PER_LOOK = 64;

/** The disk tier without a disk: what is there is a list, and a look takes some of it at random. All decisions are the store's own. */
export class DiskTier {
  readonly #options: DiskTierOptions;
  readonly #uses: Uses;
  readonly #ranking: Ranking;
  readonly #pool: Pool;
  readonly #files: Candidate[] = [];
  readonly #places = new Map<string, number>();
  #bytes = 0;
  #seconds = 1;
  #refusals = 0;

  constructor(options: DiskTierOptions) {
    this.#options = options;
    this.#uses = new Uses({ seconds: () => this.#seconds, entries: 256, noted: options.algorithm !== 's3fifo' });
    this.#ranking = createRanking(options.algorithm, this.#uses);
    this.#pool = new Pool(this.#ranking);
  }

  get bytes(): number {
    return this.#bytes;
  }

  has(path: string): boolean {
    return this.#places.has(path);
  }

  /** A new request. */
  tick(): void {
    this.#seconds += SECONDS_PER_READ;
  }

  /** True when it is there; else it is fetched, and kept where it is worth that. */
  read(path: string, key: number, bytes: number): boolean {
    this.#uses.count(key);
    if (this.#places.has(path)) return true;
    this.#write(path, key, bytes);
    return false;
  }

  remove(path: string): void {
    const place = this.#places.get(path);
    if (place === undefined) return;
    const [file, last] = [this.#files[place]!, this.#files.pop()!];
    if (file !== last) {
      this.#files[place] = last;
      this.#places.set(last.path, place);
    }
    this.#places.delete(path);
    this.#bytes -= file.bytes;
  }

  removeAll(prefix: string): void {
    for (const path of [...this.#places.keys()]) if (path.startsWith(prefix)) this.remove(path);
  }

  #write(path: string, key: number, bytes: number): void {
    const { maxBytes, lowWater = 1, onWritten } = this.#options;
    if (bytes > maxBytes) return;
    if (this.#bytes + bytes > maxBytes * lowWater) {
      this.#uses.limit(this.#files.length);
      if (!this.#admits(key, bytes)) {
        if (++this.#refusals % REFUSALS_PER_LOOK === 0) this.#pool.offer(this.#look());
        return;
      }
      if (this.#bytes + bytes > maxBytes) this.#evict(maxBytes * lowWater - bytes);
    }
    onWritten?.(bytes);
    this.#places.set(path, this.#files.length);
    this.#files.push({ path, bytes, keys: [key, key], madeAt: this.#seconds, usedAt: this.#seconds });
    this.#bytes += bytes;
  }

  #admits(key: number, bytes: number): boolean {
    if (this.#pool.size === 0) this.#pool.offer(this.#look());
    return this.#ranking.admits(key, () => this.#pool.victimsFor(bytes));
  }

  #evict(downTo: number): void {
    while (this.#bytes > downTo) {
      for (let may = this.#pool.offer(this.#look()); may > 0 && this.#bytes > downTo; may--) {
        const victim = this.#pool.take();
        if (!victim) break;
        this.remove(victim.path);
      }
    }
  }

  #look(): Candidate[] {
    const { random } = this.#options;
    return Array.from(
      { length: Math.min(SAMPLE, this.#files.length) },
      () => this.#files[Math.floor(random() * this.#files.length)]!,
    );
  }
}
