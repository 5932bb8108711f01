import type { Stats } from 'node:fs';
import { join } from 'node:path';
import type { Unread } from '../uploads/unread.ts';
import { isMissing } from './disk-error.ts';
import { isUseNoted } from './last-use.ts';
import { hasEpoch, isEpochInUse, isFolder, isYoungEpoch, keyOf, LEAF, namesIn } from './leaves.ts';
import { allocatedBytes } from './scratch.ts';
import { unreadKey } from './unread-head.ts';
import type { Volume } from './volume.ts';

/** Allocated bytes of what was there when the census began, folders included. */
export interface Counted {
  readonly total: number;
  /** Of that, below `uploads/`. */
  readonly staged: number;
  /** Of that, files that eviction may remove. */
  readonly removable: number;
  /** Of that, epochs that have to be kept for a while. */
  readonly records: number;
  /** By how much the uploads that nobody has read are other than was known. */
  readonly unread: number;
}

export interface CensusOptions {
  readonly volume: Volume;
  readonly cacheDir: string;
  /** Told of the uploads that nobody has read. */
  readonly unread: Unread;
}

const PAUSE_EVERY = 64;
const PAUSE = 5;

/** Counts what `buckets/` and `uploads/` take on the volume, paced so that reads hardly notice. */
export class Census {
  readonly #options: CensusOptions;
  #stopped = false;
  #looked = 0;

  constructor(options: CensusOptions) {
    this.#options = options;
  }

  /** Files and folders looked at since the count began. */
  get looked(): number {
    return this.#looked;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Of all that is older than `began` (on the volume's clock, ms); undefined when it was stopped. */
  async take(began: number): Promise<Counted | undefined> {
    const { cacheDir, unread } = this.#options;
    const tally: Tally = { began, total: 0, removable: 0, records: 0 };
    this.#looked = 0;
    unread.beginCount();
    try {
      await this.#folder(join(cacheDir, 'uploads'), undefined, tally);
      const staged = tally.total;
      await this.#folder(join(cacheDir, 'buckets'), 0, tally);
      if (this.#stopped) return undefined;
      const { total, removable, records } = tally;
      return { total, staged, removable, records, unread: unread.endCount(true, began) };
    } finally {
      unread.endCount(false, began);
    }
  }

  /** Returns what was counted. @param depth below `buckets/`; undefined elsewhere */
  async #folder(path: string, depth: number | undefined, tally: Tally, stats?: Stats): Promise<number> {
    const own = stats ?? (await this.#stat(path));
    if (!own || this.#stopped) return 0;
    let bytes = count(path, own, tally);
    const names = await namesIn(this.#options.volume, path);
    const all = new Set(names);
    const heads: { name: string; stats: Stats }[] = [];
    const byObject = new Map<string, number>();
    for (const name of names) {
      const child = join(path, name);
      const found = await this.#stat(child);
      if (!found || this.#stopped) continue;
      let taken: number;
      if (found.isDirectory()) taken = await this.#folder(child, below(depth, name), tally, found);
      else {
        taken = count(child, found, tally);
        if (depth !== undefined && depth >= LEAF && !isEpochInUse(name, all)) {
          if (isYoungEpoch(name, found, tally.began)) tally.records += taken;
          else tally.removable += taken;
        }
      }
      bytes += taken;
      if (depth !== LEAF || name.endsWith('.epoch')) continue;
      const hash = name.slice(0, name.indexOf('.'));
      byObject.set(hash, (byObject.get(hash) ?? 0) + taken);
      if (hasEpoch(name, all) && found.mtimeMs < tally.began) heads.push({ name, stats: found });
    }
    for (const head of heads) await this.#head(path, head.name, head.stats, byObject);
    return bytes;
  }

  /** Tells of an upload that nobody has read. */
  async #head(leaf: string, name: string, { mtimeMs }: Stats, byObject: ReadonlyMap<string, number>): Promise<void> {
    const { volume, cacheDir, unread } = this.#options;
    if (this.#stopped) return;
    const storeKey = await unreadKey(volume, join(leaf, name));
    if (storeKey === undefined) return;
    const hash = name.slice(0, name.indexOf('.'));
    const folder = leaf.slice(join(cacheDir, 'buckets').length + 1).split(/[/\\]/)[0] ?? '';
    unread.found({ hash, folder, key: keyOf(storeKey), bytes: byObject.get(hash) ?? 0, at: mtimeMs });
  }

  /** Undefined where it is gone. */
  async #stat(path: string): Promise<Stats | undefined> {
    if (++this.#looked % PAUSE_EVERY === 0) await new Promise(resolve => setTimeout(resolve, PAUSE).unref());
    return this.#options.volume.stat(path).catch(error => {
      if (isMissing(error)) return undefined;
      throw error;
    });
  }
}

/** What eviction never comes to is not below `buckets/` in this sense. */
function below(depth: number | undefined, name: string): number | undefined {
  return depth === undefined || (depth < LEAF && !isFolder(name)) ? undefined : depth + 1;
}

interface Tally {
  readonly began: number;
  total: number;
  removable: number;
  records: number;
}

function count(path: string, stats: Stats, tally: Tally): number {
  const bytes = madeAt(path, stats) < tally.began ? allocatedBytes(stats) : 0;
  tally.total += bytes;
  return bytes;
}

/**
 * When it came to its place. An extent is linked into place after it was written, perhaps long after, which its ctime
 * tells; a folder or a head is changed in place later, too.
 */
function madeAt(path: string, stats: Stats): number {
  if (isUseNoted(stats)) return 0;
  if (!stats.isDirectory() && !path.endsWith('.head')) return stats.ctimeMs;
  // Where the volume doesn't know it, Node says 0.
  return stats.birthtimeMs > 0 ? stats.birthtimeMs : stats.ctimeMs;
}
