import type { Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Pins } from '../care/pins.ts';
import type { Unread, UnreadUpload } from '../uploads/unread.ts';
import { isMissing } from './disk-error.ts';
import { allocatedBytes } from './scratch.ts';
import { unreadKey } from './unread-head.ts';
import type { Volume } from './volume.ts';

export interface EvictionOptions {
  readonly volume: Volume;
  readonly cacheDir: string;
  readonly unread: Unread;
  /** How long an upload may wait for its first reader, ms; by folder of the bucket and key. */
  readonly putTtl: (folder: string, key: string) => number;
  /** Now on the volume's clock, ms. */
  readonly now: () => number;
  /** Removes a published file, or an empty folder, and tells `Capacity.add`. */
  readonly remove: (path: string) => Promise<void>;
  readonly removeFolder: (path: string) => Promise<void>;
  readonly pins?: Pick<Pins, 'protects'> | undefined;
}

/** Steps that find nothing that isn't pinned, after which the limit comes first. */
const PATIENCE = 10;
/** Folders looked at for one choice of victims, so many at once, and files in each; the oldest quarter goes first. */
const SAMPLE = 12;
const AT_ONCE = 4;
const FILES = 64;
/** Buckets tried for one that has something in it. */
const BUCKETS = 8;
/** Heads of a folder that are looked into for those of uploads that nobody has read. */
const HEADS = 4;
/** Depth of the folders that hold heads: bucket, first digits, next digits. */
export const LEAF = 3;
/** An epoch without a head is forgotten after this long: no read that began before the write is still unanswered, ms. */
const EPOCH_KEPT = 15 * 60_000;

interface Found {
  readonly path: string;
  readonly bytes: number;
  readonly usedAt: number;
}

interface Sample {
  readonly files: Found[];
  /** How many names there are in the folders of these. */
  readonly names: Map<string, number>;
  /** Uploads that nobody has read in time, of other processes. */
  readonly expired: Upload[];
}

type Upload = Pick<UnreadUpload, 'hash' | 'folder'>;

/**
 * What goes when room is needed: uploads that nobody has read within `put_ttl`, the oldest first; then what was not used
 * for longest of a random sample of folders, so that the cost does not grow with the cache.
 */
export class Eviction {
  readonly #options: EvictionOptions;
  readonly #buckets: string;
  /** Steps in a row that found only what is pinned. */
  #vain = 0;

  constructor(options: EvictionOptions) {
    this.#options = options;
    this.#buckets = join(options.cacheDir, 'buckets');
  }

  /** Removes something, as long as it is not `enough`. False when there was nothing where it looked. */
  async step(enough: () => boolean): Promise<boolean> {
    const { unread } = this.#options;
    const expired = this.#findExpired();
    if (expired) {
      await this.#removeUpload(expired);
      return true;
    }
    const sample: Sample = { files: [], names: new Map(), expired: [] };
    const looks = Array.from({ length: AT_ONCE }, async () => {
      for (let i = 0; i < SAMPLE / AT_ONCE; i++) await this.#lookSomewhere(sample);
    });
    await Promise.all(looks);
    for (const upload of sample.expired) if (!enough()) await this.#removeUpload(upload);
    const files = sample.files.sort((a, b) => a.usedAt - b.usedAt);
    let [spared, left] = [0, Math.ceil(files.length / 4)];
    for (const { path, bytes } of files) {
      if (enough() || left-- === 0) break;
      if (await this.#isPinned(path)) {
        spared++;
        left++;
        continue;
      }
      await this.#remove(path);
      const hash = hashIn(path);
      if (path.endsWith('.head')) unread.remove(hash);
      else unread.shrink(hash, bytes);
      const others = (sample.names.get(dirname(path)) ?? 0) - 1;
      sample.names.set(dirname(path), others);
      if (others === 0) await this.#prune(dirname(path));
    }
    this.#vain = spared > 0 && spared === files.length ? this.#vain + 1 : 0;
    return files.length > spared;
  }

  async #isPinned(path: string): Promise<boolean> {
    return this.#vain < PATIENCE && (await this.#options.pins?.protects(path)) === true;
  }

  /** Removes an upload that nobody has read, if there is one: the oldest, if none has waited for too long. */
  async removeUnread(): Promise<void> {
    const upload = this.#findExpired() ?? this.#options.unread.oldest;
    if (upload) await this.#removeUpload(upload);
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

  /** In a random bucket that has something in it: there may be many that hold nothing but settings. */
  async #lookSomewhere(sample: Sample): Promise<void> {
    const { volume } = this.#options;
    const buckets = await namesIn(volume, this.#buckets);
    for (let i = 0; i < BUCKETS; i++) {
      const name = anyOf(buckets);
      if (name === undefined) return;
      const bucket = join(this.#buckets, name);
      const names = await namesIn(volume, bucket);
      if (names.length > 0 && !names.some(isFolder)) continue;
      return this.#descend(bucket, names, 1, sample);
    }
  }

  async #descend(folder: string, names: readonly string[], depth: number, sample: Sample): Promise<void> {
    if (names.length === 0) return this.#prune(folder);
    if (depth >= LEAF) return this.#look(folder, names, depth, sample);
    const next = anyOf(names.filter(isFolder));
    if (next === undefined) return;
    const path = join(folder, next);
    await this.#descend(path, await namesIn(this.#options.volume, path), depth + 1, sample);
  }

  /** The files of some objects and, of a larger object, one of its folders. */
  async #look(folder: string, names: readonly string[], depth: number, sample: Sample): Promise<void> {
    const { volume, now } = this.#options;
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
      if (depth === LEAF && hasEpoch(name, all) && heads++ < HEADS) {
        const upload = await this.#expiredUpload(path, stats);
        if (upload) sample.expired.push(upload);
      }
      sample.files.push({ path, bytes: allocatedBytes(stats), usedAt: Math.max(stats.mtimeMs, stats.atimeMs) });
    }
    sample.names.set(folder, names.length);
    const next = anyOf(folders);
    if (next !== undefined) await this.#descend(next, await namesIn(volume, next), depth + 1, sample);
  }

  async #expiredUpload(head: string, { mtimeMs }: Stats): Promise<Upload | undefined> {
    const storeKey = await unreadKey(this.#options.volume, head);
    if (storeKey === undefined) return undefined;
    const folder = head.slice(this.#buckets.length + 1).split(/[/\\]/)[0] ?? '';
    return this.#expired({ folder, key: keyOf(storeKey), at: mtimeMs }) ? { hash: hashIn(head), folder } : undefined;
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

  async #remove(path: string): Promise<void> {
    await this.#options.remove(path).catch(error => {
      if (!isMissing(error)) throw error;
    });
  }
}

/** Names in a folder, none where it is gone or none. */
export async function namesIn(volume: Volume, folder: string): Promise<string[]> {
  return volume.readdir(folder).catch(error => {
    if (isMissing(error)) return [];
    throw error;
  });
}

/** An epoch whose head is there; it has to stay. */
export function isEpochInUse(name: string, names: ReadonlySet<string>): boolean {
  return name.endsWith('.epoch') && names.has(`${name.slice(0, -'.epoch'.length)}.head`);
}

/** An epoch that reads which began before its write may still need. */
export function isYoungEpoch(name: string, { mtimeMs }: Stats, now: number): boolean {
  return name.endsWith('.epoch') && mtimeMs > now - EPOCH_KEPT;
}

/** A head of an object that was written through Cistern. */
export function hasEpoch(name: string, names: ReadonlySet<string>): boolean {
  return name.endsWith('.head') && names.has(`${name.slice(0, -'.head'.length)}.epoch`);
}

/** The key in a store key. */
export function keyOf(storeKey: string): string {
  return storeKey.slice(storeKey.indexOf('\0', storeKey.indexOf('\0') + 1) + 1);
}

/** The object that a file below a leaf belongs to. */
function hashIn(path: string): string {
  return /[/\\]([0-9a-f]{64})\.[^/\\]*(?:[/\\]|$)/.exec(path)?.[1] ?? '';
}

/** Folders that hold content, as opposed to `_settings.json`. */
export function isFolder(name: string): boolean {
  return !name.startsWith('_');
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
