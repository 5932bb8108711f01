import { join } from 'node:path';
import { isMissing } from './disk-error.ts';
import { namesIn } from './leaves.ts';
import type { Scratch } from './scratch.ts';
import { decodeUses, encodeUses, LARGEST } from './use-file.ts';
import type { Uses } from './uses.ts';

export interface UseMemoryOptions {
  readonly uses: Uses;
  readonly scratch: Scratch;
  readonly cacheDir: string;
  /** This process's id on the volume. */
  readonly instance: () => string;
}

const SAVE_EVERY = 300_000;
/** So many uses for each entry are worth writing down. */
const CHANGED = 1 / 64;
/** Files of processes that have ended, that are kept and read: the latest. */
const MOST_FILES = 4;
/** Bytes in one operation, which has a deadline. */
const PIECE = 1 << 20;

/**
 * Brings what is known of uses through restarts. Each process on the folder has a file of its own, `uses/<instance>`; one that
 * begins takes the higher counts of all that are there, and removes those of processes that have ended when its own is written. In
 * between they don't read each other's: counts that are taken over again and again would never age.
 */
export class UseMemory {
  readonly #options: UseMemoryOptions;
  readonly #folder: string;
  /** Files whose counts are in ours. */
  readonly #taken = new Set<string>();
  #loading: Promise<void> | undefined;
  #saving: Promise<void> | undefined;
  #savedAt = 0;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: UseMemoryOptions) {
    this.#options = options;
    this.#folder = join(options.cacheDir, 'uses');
  }

  start(): void {
    const enough = () => this.#options.uses.sketch.entries * CHANGED;
    this.#timer = setInterval(() => void this.save(enough()), SAVE_EVERY).unref();
  }

  /** Reads what others have left, once. Never rejects: without it, there is less to know. */
  load(): Promise<void> {
    this.#loading ??= this.#load().catch(() => {});
    return this.#loading;
  }

  /** Writes what is known where it has changed by so many uses; never rejects. */
  save(least = 1): Promise<void> {
    const { uses, scratch } = this.#options;
    const isChanged = uses.counted - this.#savedAt >= least;
    if (!isChanged || !scratch.volume.available) return this.#saving ?? Promise.resolve();
    this.#saving ??= this.#save()
      // The next one is tried in some minutes; what is wrong with the volume is shown by its breaker.
      .catch(() => {})
      .finally(() => {
        this.#saving = undefined;
      });
    return this.#saving;
  }

  /** Writes it a last time. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#stopped = true;
    await this.#saving;
    await this.save();
  }

  async #load(): Promise<void> {
    const { uses, scratch } = this.#options;
    for (const name of (await this.#byAge()).slice(0, MOST_FILES)) {
      const path = join(this.#folder, name);
      const file = await this.#read(path);
      const found = file && (await decodeUses(file));
      if (this.#stopped) return;
      if (file && found === undefined) await scratch.volume.unlink(path).catch(() => {});
      if (found === undefined || found === 'other') continue;
      uses.ensure(found.entries);
      for (const _ of uses.sketch.merge(found)) await new Promise(setImmediate);
      this.#taken.add(name);
    }
  }

  async #save(): Promise<void> {
    await this.#loading;
    const { uses, instance, scratch } = this.#options;
    const { counted } = uses;
    const file = await encodeUses(uses.sketch);
    const aside = scratch.newPath();
    const { volume, modes } = scratch;
    try {
      await volume.mkdir(scratch.folder, modes.folder);
      await volume.mkdir(this.#folder, modes.folder);
      await this.#write(aside, file);
      await volume.rename(aside, join(this.#folder, instance()));
    } catch (error) {
      scratch.drop(aside);
      throw error;
    }
    this.#savedAt = counted;
    await this.#removeEnded();
  }

  async #write(path: string, file: Buffer): Promise<void> {
    const { volume, modes } = this.#options.scratch;
    const fd = await volume.open(path, 'wx', modes.file);
    try {
      for (let at = 0; at < file.length; at += PIECE) {
        const piece = file.subarray(at, at + PIECE);
        if ((await volume.write(fd, piece, at)) !== piece.length) throw new Error('short write');
      }
    } finally {
      volume.close(fd).catch(() => {});
    }
  }

  /** What is in ours, or too much, of processes that are no more. */
  async #removeEnded(): Promise<void> {
    const { scratch, cacheDir, instance } = this.#options;
    const living = new Set(await namesIn(scratch.volume, join(cacheDir, 'instances')));
    const ended = (await this.#byAge()).filter(name => name !== instance() && !living.has(`${name}.json`));
    for (const [i, name] of ended.entries())
      if (this.#taken.has(name) || i >= MOST_FILES)
        await scratch.volume.unlink(join(this.#folder, name)).catch(() => {});
  }

  /** The latest first. */
  async #byAge(): Promise<string[]> {
    const { volume } = this.#options.scratch;
    const found: { name: string; mtimeMs: number }[] = [];
    for (const name of await namesIn(volume, this.#folder)) {
      const stats = await volume.stat(join(this.#folder, name)).catch(() => undefined);
      if (stats?.isFile()) found.push({ name, mtimeMs: stats.mtimeMs });
    }
    return found.sort((a, b) => b.mtimeMs - a.mtimeMs).map(({ name }) => name);
  }

  async #read(path: string): Promise<Buffer | undefined> {
    const { volume } = this.#options.scratch;
    try {
      const { size } = await volume.stat(path);
      return size > LARGEST ? Buffer.alloc(0) : await volume.readFile(path);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }
}
