import type { Stats } from 'node:fs';
import { basename, join } from 'node:path';
import { hasEpoch, hashIn, isEpochInUse, isFolder, isHeadInUse, isYoungEpoch, keyOf, LEAF, namesIn } from './leaves.ts';
import type { Candidate } from './ranking.ts';
import { allocatedBytes } from './scratch.ts';
import { unreadKey } from './unread-head.ts';
import { keysOfFile } from './use-keys.ts';
import type { Volume } from './volume.ts';

export interface SamplerOptions {
  readonly volume: Volume;
  readonly cacheDir: string;
  /** Now on the volume's clock, ms. */
  readonly now: () => number;
  /** An upload that nobody has read has waited for too long. */
  readonly isExpired: (upload: { folder: string; key: string; at: number }) => boolean;
  /** A folder that was found empty. */
  readonly onEmpty: (folder: string) => Promise<void>;
}

export interface Upload {
  readonly hash: string;
  /** Of the bucket. */
  readonly folder: string;
}

export interface Sample {
  readonly files: Candidate[];
  /** Uploads that nobody has read in time, of other processes. */
  readonly expired: Upload[];
  /** Objects whose upload nobody has read yet, but may. */
  readonly waiting: Set<string>;
}

/** Leaves looked into for one sample: so many at once, until that many files were found. */
const LEAVES = 12;
const AT_ONCE = 4;
const ENOUGH = 24;
/** Files of one folder: those of one large object say less about the cache than those of many. */
const FILES = 32;
/** Buckets tried for one that has something in it. */
const BUCKETS = 8;
/** Heads of a folder that are looked into for those of uploads that nobody has read. */
const HEADS = 4;
/** Leaves that one list of their names is good for, and for how long, ms: with a million objects it has thousands of names. */
const FROM_ONE_BRANCH = 128;
const BRANCH_FOR = 10_000;

interface Branch {
  readonly path: string;
  /** In random order. */
  readonly leaves: string[];
  readonly listedAt: number;
}

/**
 * Looks at random places of the cache. What it costs to come upon a file does not grow with their number: a list of leaves is used
 * for many looks, since a hash says nothing about what an object is worth, and so its neighbours are as good as any others.
 */
export class Sampler {
  readonly #options: SamplerOptions;
  readonly #buckets: string;
  #branch: Branch | undefined;
  /** Leaves of a bucket, as last seen. */
  readonly #sizes = new Map<string, number>();

  constructor(options: SamplerOptions) {
    this.#options = options;
    this.#buckets = join(options.cacheDir, 'buckets');
  }

  async look(): Promise<Sample> {
    const sample: Sample = { files: [], expired: [], waiting: new Set() };
    let looks = 0;
    const look = async () => {
      while (looks++ < LEAVES && sample.files.length < ENOUGH) {
        const leaf = await this.#anyLeaf();
        if (leaf !== undefined) await this.#look(leaf, await namesIn(this.#options.volume, leaf), LEAF, sample);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, look));
    return { ...sample, files: sample.files.filter(({ path }) => !sample.waiting.has(hashIn(path))) };
  }

  async #anyLeaf(): Promise<string | undefined> {
    const known = this.#branch;
    if (!known || known.leaves.length === 0 || performance.now() - known.listedAt > BRANCH_FOR)
      this.#branch = await this.#anyBranch();
    const leaf = this.#branch?.leaves.pop();
    return leaf === undefined ? undefined : join(this.#branch!.path, leaf);
  }

  /** Of a random bucket that has something in it, the more often the larger it is: there may be many that hold nothing but settings. */
  async #anyBranch(): Promise<Branch | undefined> {
    const { volume, onEmpty } = this.#options;
    const buckets = await namesIn(volume, this.#buckets);
    const largest = Math.max(1, ...this.#sizes.values());
    for (let i = 0; i < BUCKETS; i++) {
      const name = anyOf(buckets);
      if (name === undefined) return undefined;
      const size = this.#sizes.get(name);
      if (size !== undefined && i + 1 < BUCKETS && Math.random() * largest > size) continue;
      const bucket = join(this.#buckets, name);
      const names = await namesIn(volume, bucket);
      const folders = names.filter(isFolder);
      const first = anyOf(folders);
      if (first === undefined) {
        this.#sizes.set(name, 0);
        if (names.length === 0) await onEmpty(bucket);
        continue;
      }
      const path = join(bucket, first);
      const leaves = await namesIn(volume, path);
      if (this.#sizes.size > 10_000) this.#sizes.clear();
      this.#sizes.set(name, Math.max(1, folders.length * leaves.length));
      if (leaves.length === 0) await onEmpty(path);
      else return { path, leaves: shuffled(leaves, FROM_ONE_BRANCH), listedAt: performance.now() };
    }
    return undefined;
  }

  /** The files of some objects and, of a larger object, one of its folders. */
  async #look(folder: string, names: readonly string[], depth: number, sample: Sample): Promise<void> {
    const { volume, now, onEmpty } = this.#options;
    if (names.length === 0) return onEmpty(folder);
    const all = new Set(names);
    const folders: string[] = [];
    let heads = 0;
    for (const name of someOf(names, FILES)) {
      if (isEpochInUse(name, all)) continue;
      const path = join(folder, name);
      const stats = await volume.stat(path).catch(() => undefined);
      if (!stats || isYoungEpoch(name, stats, now())) continue;
      if (stats.isDirectory()) {
        folders.push(path);
        continue;
      }
      if (depth === LEAF && hasEpoch(name, all) && heads++ < HEADS) await this.#lookIntoHead(path, stats, sample);
      if (!isHeadInUse(name, names)) sample.files.push(candidate(path, stats, names.length));
    }
    const next = anyOf(folders);
    if (next !== undefined) await this.#look(next, await namesIn(volume, next), depth + 1, sample);
  }

  async #lookIntoHead(head: string, { mtimeMs }: Stats, sample: Sample): Promise<void> {
    const storeKey = await unreadKey(this.#options.volume, head);
    if (storeKey === undefined) return;
    const folder = head.slice(this.#buckets.length + 1).split(/[/\\]/)[0] ?? '';
    const hash = hashIn(head);
    if (this.#options.isExpired({ folder, key: keyOf(storeKey), at: mtimeMs })) sample.expired.push({ hash, folder });
    else sample.waiting.add(hash);
  }
}

/** @param beside names in its folder, its own included */
function candidate(path: string, stats: Stats, beside: number): Candidate {
  const isHead = path.endsWith('.head');
  // A head is overwritten in place when S3 vouches for it; where the volume doesn't know when it was made, Node says 0.
  const made = isHead && stats.birthtimeMs > 0 ? stats.birthtimeMs : stats.mtimeMs;
  return {
    path,
    bytes: allocatedBytes(stats),
    keys: keysOfFile(hashIn(path), basename(path)),
    madeAt: Math.floor(made / 1000),
    usedAt: Math.floor(Math.max(stats.mtimeMs, stats.atimeMs) / 1000),
    worthless: path.endsWith('.epoch'),
    beside,
  };
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

/** At most `count` of the items, any of them and in any order. */
function shuffled<T>(items: readonly T[], count: number): T[] {
  const all = [...items];
  const taken = Math.min(count, all.length);
  for (let i = 0; i < taken; i++) {
    const other = i + Math.floor(Math.random() * (all.length - i));
    [all[i], all[other]] = [all[other] as T, all[i] as T];
  }
  return all.slice(0, taken);
}
