import { basename, dirname, join } from 'node:path';
import type { Pins } from '../care/pins.ts';
import type { EvictionAlgorithm } from '../memory/index.ts';
import type { Unread, UnreadUpload } from '../uploads/unread.ts';
import { isMissing } from './disk-error.ts';
import { hashIn, isHeadInUse, namesIn } from './leaves.ts';
import { Pool } from './pool.ts';
import { type Candidate, createRanking, type Ranking } from './ranking.ts';
import { Sampler, type Upload } from './sampler.ts';
import { allocatedBytes } from './scratch.ts';
import { unreadKey } from './unread-head.ts';
import { Uses } from './uses.ts';
import type { Volume } from './volume.ts';

export interface EvictionOptions {
  readonly volume: Volume;
  readonly cacheDir: string;
  readonly algorithm?: EvictionAlgorithm | undefined;
  readonly uses?: Uses | undefined;
  readonly unread: Unread;
  /** Allocated bytes of the cache, as far as counted. */
  readonly bytes: () => number;
  /** How long an upload may wait for its first reader, ms; by folder of the bucket and key. */
  readonly putTtl: (folder: string, key: string) => number;
  /** Now on the volume's clock, ms. */
  readonly now: () => number;
  /** Removes a published file, of which somebody has just seen what it takes, or an empty folder, and tells `Capacity.add`. */
  readonly remove: (path: string, known?: number) => Promise<void>;
  readonly removeFolder: (path: string) => Promise<void>;
  readonly pins?: Pick<Pins, 'protects'> | undefined;
}

/** Looks in a row that find nothing but what has to stay, after which the limit comes first. */
const PATIENCE = 10;
/** A newcomer that is refused makes one look anew for what would go, at most so often, ms. */
const LOOK_EVERY = 1000;
/** A folder with so many files may be empty when one has gone. */
const FEW = 4;
/** Weight of a look in the mean size of a file. */
const FRESH = 0.1;

/**
 * What goes when room is needed: uploads that nobody has read within `put_ttl`, the oldest first; then, of what random looks have
 * found, what `cache.eviction_algorithm` ranks lowest. The cost does not grow with the cache.
 */
export class Eviction {
  readonly #options: EvictionOptions;
  readonly #buckets: string;
  readonly #sampler: Sampler;
  readonly #uses: Uses;
  readonly #ranking: Ranking;
  readonly #pool: Pool;
  /** Looks in a row that found only what is pinned, or an upload that waits for its first reader. */
  #vain = 0;
  #meanBytes: number | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(options: EvictionOptions) {
    this.#options = options;
    this.#buckets = join(options.cacheDir, 'buckets');
    const {
      algorithm = 'tinylfu',
      uses = new Uses({ seconds: () => Math.floor(options.now() / 1000), entries: 1024 }),
    } = options;
    this.#uses = uses;
    this.#ranking = createRanking(algorithm, uses);
    this.#pool = new Pool(this.#ranking);
    this.#sampler = new Sampler({
      ...options,
      isExpired: upload => this.#expired(upload),
      onEmpty: folder => this.#prune(folder),
    });
  }

  /**
   * Whether something new is worth that others go for it. Where that is not known yet, it is.
   * @param key what its uses are counted by @param bytes that it takes
   */
  admits(key: number, bytes: number): boolean {
    this.#uses.count(key);
    const isWorth = this.#ranking.admits(key, () => this.#pool.victimsFor(bytes));
    const isOld = performance.now() - this.#lookedAt > LOOK_EVERY;
    if (isOld && (!isWorth || this.#pool.size === 0)) this.#lookAgain();
    return isWorth;
  }

  /** Removes something, as long as it is not `enough`. False when there was nothing where it looked. */
  async step(enough: () => boolean): Promise<boolean> {
    const expired = this.#findExpired();
    if (expired) {
      await this.#removeUpload(expired);
      return true;
    }
    const { may, uploads } = await this.#look();
    for (const upload of uploads) if (!enough()) await this.#removeUpload(upload);
    let removed = uploads.length;
    for (let left = may; left > 0 && !enough(); ) {
      const victim = this.#pool.take();
      if (!victim) break;
      if (!(await this.#evict(victim))) continue;
      removed++;
      left--;
    }
    return removed > 0 || enough();
  }

  /** Removes an upload that nobody has read, if there is one: the oldest, if none has waited for too long. */
  async removeUnread(): Promise<void> {
    const upload = this.#findExpired() ?? this.#options.unread.oldest;
    if (upload) await this.#removeUpload(upload);
  }

  /** Looks at random places: how many of the files that are known may go for it, and uploads that must. */
  async #look(): Promise<{ readonly may: number; readonly uploads: readonly Upload[] }> {
    const { bytes } = this.#options;
    this.#lookedAt = performance.now();
    const { files, expired } = await this.#sampler.look();
    if (files.length > 0) {
      const mean = files.reduce((sum, file) => sum + file.bytes, 0) / files.length;
      this.#meanBytes = this.#meanBytes === undefined ? mean : this.#meanBytes + FRESH * (mean - this.#meanBytes);
      this.#uses.limit(Math.round(bytes() / Math.max(1, this.#meanBytes)));
    }
    const free: Candidate[] = [];
    for (const file of files) if (!(await this.#isSpared(file.path))) free.push(file);
    this.#vain = files.length > 0 && free.length === 0 ? this.#vain + 1 : 0;
    return { may: this.#pool.offer(this.#sparesNone ? files : free), uploads: expired };
  }

  #lookAgain(): void {
    // What is wrong with the volume is shown by its breaker.
    this.#look().catch(() => {});
  }

  /** False where it has gone already, was used meanwhile by another process, or has to stay. */
  async #evict({ path, usedAt, beside = 0 }: Candidate): Promise<boolean> {
    const { volume, unread } = this.#options;
    const stats = await volume.stat(path).catch(error => {
      if (!isMissing(error)) throw error;
    });
    if (!stats || Math.floor(stats.mtimeMs / 1000) > usedAt) return false;
    if (!this.#sparesNone && (await this.#isSpared(path))) return false;
    // What belongs to it may have come since it was looked at.
    if (path.endsWith('.head') && isHeadInUse(basename(path), await namesIn(volume, dirname(path)))) return false;
    const bytes = allocatedBytes(stats);
    await this.#remove(path, bytes);
    const hash = hashIn(path);
    if (path.endsWith('.head')) unread.remove(hash);
    else unread.shrink(hash, bytes);
    if (beside <= FEW) await this.#prune(dirname(path));
    return true;
  }

  /** It is pinned, or an upload that may still wait for its first reader. */
  async #isSpared(path: string): Promise<boolean> {
    const { unread, pins } = this.#options;
    return unread.has(hashIn(path)) || (await pins?.protects(path)) === true;
  }

  get #sparesNone(): boolean {
    return this.#vain >= PATIENCE;
  }

  #findExpired(): UnreadUpload | undefined {
    return this.#options.unread.find(upload => this.#expired(upload));
  }

  /** Removes all files of an upload, unless somebody has read it since. */
  async #removeUpload({ hash, folder }: Upload): Promise<void> {
    const { volume, unread } = this.#options;
    unread.remove(hash);
    const leaf = join(this.#buckets, folder, hash.slice(0, 2), hash.slice(2, 5));
    const head = `${hash}.head`;
    if ((await unreadKey(volume, join(leaf, head))) === undefined) return;
    // The head first: nobody begins to read what is half gone.
    await this.#remove(join(leaf, head));
    for (const name of await namesIn(volume, leaf)) {
      if (!name.startsWith(`${hash}.`) || name === head || name.endsWith('.epoch')) continue;
      if (name.endsWith('.d')) await this.#removeTree(join(leaf, name));
      else await this.#remove(join(leaf, name));
    }
    await this.#prune(leaf);
  }

  #expired({ folder, key, at }: Pick<UnreadUpload, 'folder' | 'key' | 'at'>): boolean {
    const { now, putTtl } = this.#options;
    return now() - at >= putTtl(folder, key);
  }

  async #removeTree(folder: string): Promise<void> {
    const { volume, removeFolder } = this.#options;
    for (const name of await namesIn(volume, folder)) {
      const path = join(folder, name);
      const stats = await volume.stat(path).catch(() => undefined);
      if (stats?.isDirectory()) await this.#removeTree(path);
      else await this.#remove(path);
    }
    await removeFolder(folder).catch(() => {});
  }

  /** Removes a folder if it is empty, and those above it that become so. */
  async #prune(folder: string): Promise<void> {
    for (let at = folder; at.length > this.#buckets.length; at = dirname(at)) {
      const isGone = await this.#options.removeFolder(at).then(
        () => true,
        () => false,
      );
      if (!isGone) return;
    }
  }

  async #remove(path: string, known?: number): Promise<void> {
    await this.#options.remove(path, known).catch(error => {
      if (!isMissing(error)) throw error;
    });
  }
}
