import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { LRUCache } from 'lru-cache';
import { type BucketFile, parseBucketFile } from './bucket-file.ts';
import { type Cascade, cascade, globalObjectSettings, type ObjectSettings } from './cascade.ts';
import type { Settings } from './schema.ts';

export interface BucketProblem {
  /** `<bucket>` or `<bucket>@<origin>`, as the folder is named. */
  readonly bucket: string;
  readonly file: string;
  readonly message: string;
}

export interface BucketSettingsOptions {
  /** Milliseconds of a clock that only goes forward. */
  readonly now?: () => number;
  /** Whether the cache folder is there now: else that a file is not there says nothing. Never rejects. */
  readonly isThere?: () => Promise<boolean>;
}

interface Bucket {
  readonly folder: string;
  readonly file: string;
  /** Identity of the file that was read; `none` where there is none, `unreadable` where it could not be read; undefined before the first look. */
  identity: string | undefined;
  /** Last good content. */
  content: BucketFile | undefined;
  resolve: Cascade;
  problem: string | undefined;
  lookedAt: number;
  look: Look | undefined;
}

interface Look {
  readonly since: number;
  /** Resolves when the look is over, or takes longer than a request waits for it. */
  readonly answered: Promise<void>;
  overdue: boolean;
}

// A look at the file is due after this long; a request never waits for it…
const DUE_MS = 2_000;
// …unless the bucket was not in use for so long that the settings could be older than "seconds".
const OLD_MS = 10_000;
// A look that takes longer is a disk that hangs: requests go on with what is known.
const PATIENCE_MS = 1_000;
// Hung looks hold threads of libuv's pool, so few may be under way at a time.
const LOOKS_AT_A_TIME = 4;
const MAX_BUCKETS = 10_000;
const MAX_FILE_BYTES = 1 << 20;
const EMPTY: BucketFile = { fields: {}, prefixes: new Map() };

/**
 * Settings of each object: prefix → bucket → global, from `<cache_dir>/buckets/<folder>/_settings.json`, read again within
 * seconds of a change. An invalid file leaves the last good one in force. Where nothing good is known (the disk hangs, or
 * the file was bad from the start) the bucket is not cached at all: it may have said `get_ttl: 0s`.
 */
export class BucketSettings {
  readonly #buckets = new LRUCache<string, Bucket>({ max: MAX_BUCKETS });
  readonly #now: () => number;
  readonly #isThere: () => Promise<boolean>;
  readonly #limit = limit(LOOKS_AT_A_TIME);
  #root: string;
  #global: ObjectSettings;
  #unknown: ObjectSettings;

  constructor(settings: Settings, options: BucketSettingsOptions = {}) {
    this.#now = options.now ?? (() => performance.now());
    this.#isThere = options.isThere ?? (async () => true);
    this.#root = join(settings.cache.cache_dir, 'buckets');
    this.#global = globalObjectSettings(settings);
    this.#unknown = uncached(this.#global);
  }

  /**
   * For each request, before {@link resolve}. A promise where the file has to be read first: it never rejects, and takes no
   * longer than a second, whatever the disk does.
   */
  prepare(folder: string): Promise<void> | undefined {
    const bucket = this.#bucket(folder);
    const now = this.#now();
    this.#refresh(bucket, now);
    const known = bucket.identity !== undefined && now - bucket.lookedAt < OLD_MS;
    if (known || !bucket.look || now - bucket.look.since > PATIENCE_MS) return undefined;
    return bucket.look.answered;
  }

  /** The settings of an object. `key` holds the key's bytes as latin1. */
  resolve(folder: string, key: string): ObjectSettings {
    const bucket = this.#bucket(folder);
    this.#refresh(bucket, this.#now());
    return bucket.resolve(key);
  }

  /** Files that could not be used. Of those that the disk does not give out only one is named: there may be thousands. */
  problems(): BucketProblem[] {
    const buckets = [...this.#buckets.values()];
    const waiting = buckets.filter(({ look }) => look?.overdue).sort((a, b) => a.look!.since - b.look!.since);
    return [
      ...waiting.slice(0, 1).map(bucket => problemOf(bucket, notAnswering(waiting.length - 1))),
      ...buckets.flatMap(bucket => (bucket.problem === undefined ? [] : [problemOf(bucket, bucket.problem)])),
    ];
  }

  /** New global settings, for every object from now on. `cache.cache_dir` can't change while running. */
  update(settings: Settings): void {
    this.#global = globalObjectSettings(settings);
    this.#unknown = uncached(this.#global);
    for (const bucket of this.#buckets.values()) this.#apply(bucket);
  }

  #bucket(folder: string): Bucket {
    let bucket = this.#buckets.get(folder);
    if (!bucket) {
      const file = join(this.#root, folder, '_settings.json');
      bucket = {
        folder,
        file,
        // A name that is no folder of its own can't have a file.
        identity: isFolderName(folder) ? undefined : 'none',
        content: isFolderName(folder) ? undefined : EMPTY,
        resolve: () => this.#unknown,
        problem: undefined,
        lookedAt: Number.NEGATIVE_INFINITY,
        look: undefined,
      };
      this.#apply(bucket);
      this.#buckets.set(folder, bucket);
    }
    return bucket;
  }

  #refresh(bucket: Bucket, now: number): void {
    if (bucket.look || now - bucket.lookedAt < DUE_MS || !isFolderName(bucket.folder)) return;
    let answer = () => {};
    const answered = new Promise<void>(resolve => {
      answer = resolve;
    });
    const look: Look = { since: now, answered, overdue: false };
    bucket.look = look;
    const timer = setTimeout(() => {
      look.overdue = true;
      answer();
    }, PATIENCE_MS).unref();
    void this.#limit(() => this.#look(bucket)).finally(() => {
      clearTimeout(timer);
      bucket.look = undefined;
      bucket.lookedAt = this.#now();
      answer();
    });
  }

  async #look(bucket: Bucket): Promise<void> {
    try {
      const read = await readIfChanged(bucket.file, bucket.identity);
      if (!read) return;
      if (read.text === undefined && !(await this.#isThere())) throw new FolderGone();
      bucket.identity = read.identity;
      bucket.content = read.text === undefined ? EMPTY : parseBucketFile(read.text);
      bucket.problem = undefined;
      this.#apply(bucket);
    } catch (error) {
      if (error instanceof Unreadable) bucket.identity = 'unreadable';
      // That the folder is gone is shown once, for all buckets.
      bucket.problem = error instanceof FolderGone ? undefined : `${(error as Error).message} (${meanwhile(bucket)})`;
    }
  }

  #apply(bucket: Bucket): void {
    bucket.resolve = bucket.content ? cascade(bucket.content, this.#global) : () => this.#unknown;
  }
}

const meanwhile = ({ content }: Bucket) =>
  content ? 'the last good settings stay in force' : 'until it is put right, reads of this bucket are not cached';

const problemOf = (bucket: Bucket, message: string): BucketProblem => ({
  bucket: bucket.folder,
  file: bucket.file,
  message,
});

const notAnswering = (others: number) =>
  `the cache volume does not answer when asked for this file${others > 0 ? `, nor for that of ${others} other buckets` : ''}; until it does, the last good settings stay in force, and a bucket without such is not cached`;

const uncached = (global: ObjectSettings): ObjectSettings =>
  Object.freeze({
    ...global,
    get_ttl: 0,
    head_ttl: 0,
    // No upload goes first on the strength of a ttl that the file may set apart.
    put_ttl: Number.POSITIVE_INFINITY,
    read_cache_enabled: false,
    write_cache_enabled: false,
    ram_cache_eligible: false,
    unknown: true,
  });

const isFolderName = (folder: string) => folder !== '' && folder !== '.' && folder !== '..' && !/[/\\\0]/.test(folder);

/**
 * The file's text with its identity, `text: undefined` where there is no file, or undefined where it is the one known.
 * It is opened rather than looked at, because a `stat` may be answered from NFS's attribute cache.
 */
async function readIfChanged(
  file: string,
  known: string | undefined,
): Promise<{ identity: string; text: string | undefined } | undefined> {
  let handle: FileHandle;
  try {
    // Without O_NONBLOCK (which Windows lacks), opening a FIFO would wait for a writer for ever.
    handle = await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw new Unreadable((error as Error).message);
    return known === 'none' ? undefined : { identity: 'none', text: undefined };
  }
  try {
    const stat = await handle.stat({ bigint: true });
    const identity = `${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`;
    if (identity === known) return undefined;
    if (!stat.isFile()) throw new Unreadable('is not a regular file');
    if (stat.size > MAX_FILE_BYTES) throw new Unreadable(`is larger than ${MAX_FILE_BYTES} bytes`);
    return { identity, text: await handle.readFile('utf8') };
  } catch (error) {
    throw error instanceof Unreadable ? error : new Unreadable((error as Error).message);
  } finally {
    await handle.close();
  }
}

/** The file could not be read, as opposed to: what it says makes no sense. It is tried again at each look. */
class Unreadable extends Error {}

/** Neither was it read, nor is it known that there is none. */
class FolderGone extends Unreadable {}

/** Runs at most `most` tasks at a time; the others wait their turn. */
function limit(most: number): (task: () => Promise<void>) => Promise<void> {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async task => {
    if (running >= most) await new Promise<void>(resolve => waiting.push(resolve));
    else running++;
    try {
      await task();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running--;
    }
  };
}
