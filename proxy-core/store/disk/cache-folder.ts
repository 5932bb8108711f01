import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { dirname, join } from 'node:path';
import { codeOf, hasNoLinks, inWords, NO_ANSWER } from './disk-error.ts';
import { FORMAT, type Found, judge, newMarker, type Verdict } from './folder-verdict.ts';
import type { FileModes } from './scratch.ts';
import { FolderClosed, type Gate, Volume } from './volume.ts';

export interface CacheFolderOptions {
  readonly cacheDir: string;
  readonly modes: FileModes;
  /** Deadline of a disk operation, ms. */
  readonly deadline: number;
  /** A state: why the folder can't be used; undefined when it can. */
  readonly onProblem: (message: string | undefined) => void;
  /** The folder can be used, for the first time or again. */
  readonly onUsable: () => void;
  /** Its content was deleted, or it was put back from elsewhere: what was known of it is of the past. */
  readonly onReplaced?: () => void;
}

/** How long the start waits for the folder, ms. */
const PATIENCE = 1000;
const LOOK_EVERY = 1000;
/** At the start these say that it will never be one to use; anything else (hung, read-only, not connected yet) may pass. */
const FINAL = new Set(['EACCES', 'EPERM', 'ENOTDIR', 'EEXIST', 'EISDIR', 'ELOOP', 'ENAMETOOLONG', 'EINVAL']);
/** A marker is shorter by far; what is behind this can't make it one of ours. */
const MARKER_SIZE = 4096;

interface Seen extends Found {
  /** Of the marker. */
  readonly inode: number;
}

/**
 * The folder at `cache.cache_dir`: made where there is none, refused where its format is unknown, and watched, because its
 * volume may go away and come back. It is the gate to that volume: while it is closed, nothing is read there and nothing kept.
 * It looks through a Volume of its own, which is always open.
 */
export class CacheFolder implements Gate {
  readonly #options: CacheFolderOptions;
  readonly #volume: Volume;
  readonly #marker: string;
  #closed = true;
  /** What was seen at the last look that found the folder usable. */
  #inUse: Seen | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: CacheFolderOptions) {
    this.#options = options;
    this.#volume = new Volume({ deadline: options.deadline, maxOutstanding: 2 });
    this.#marker = join(options.cacheDir, 'cistern.json');
  }

  /**
   * Looks at the folder, for as long as a start may wait, and goes on looking until `stop`. Rejects, saying what to do, where
   * it can never be used; one that can't be used at the moment is a problem, not the end.
   */
  async open(): Promise<void> {
    this.#timer = setInterval(() => void this.isThere(), LOOK_EVERY).unref();
    let patience: NodeJS.Timeout | undefined;
    const tooLong = new Promise<void>(resolve => {
      patience = setTimeout(() => {
        this.#close(this.#atTheMoment(NO_ANSWER));
        resolve();
      }, PATIENCE);
    });
    try {
      await Promise.race([this.#look(), tooLong]);
    } catch (error) {
      if (!(error instanceof Refused)) return;
      clearInterval(this.#timer);
      throw error;
    } finally {
      clearTimeout(patience);
    }
  }

  get closed(): boolean {
    return this.#closed;
  }

  async mayMake(): Promise<void> {
    // Many folders are made at once: one whole look a second is enough for them, as long as the marker is the same.
    if (performance.now() - this.#lookedAt < LOOK_EVERY && (await this.#isTheSame())) return;
    await this.#look().catch(error => {
      throw error instanceof Refused ? new FolderClosed() : error;
    });
  }

  /** Whether the folder is there now, so that a file that is not in it does not exist. */
  isThere(): Promise<boolean> {
    return this.#look().then(
      () => true,
      () => false,
    );
  }

  /** Closes the gate for good. */
  stop(): void {
    this.#stopped = true;
    this.#closed = true;
    clearInterval(this.#timer);
  }

  /** False when a thread is stuck on the volume. */
  drained(): Promise<boolean> {
    return this.#volume.drained();
  }

  /** Rejects where the folder can't be used now; a person has been told why. */
  #look(): Promise<void> {
    this.#looking ??= this.#lookOnce()
      .catch(error => {
        if (error instanceof Refused) this.#close(error.message);
        // One that is in use remains so: what becomes of its files tells whether the volume does.
        else if (this.#closed) this.#close(this.#atTheMoment(inWords(error)));
        throw error;
      })
      .finally(() => {
        this.#looking = undefined;
      });
    return this.#looking;
  }

  async #lookOnce(): Promise<void> {
    const before = this.#inUse;
    const first = before === undefined;
    try {
      let seen = await this.#see();
      if (judge(seen, this.#inUse) === 'make') {
        await this.#make();
        seen = await this.#see();
      }
      const verdict = judge(seen, this.#inUse);
      if (verdict === 'make') throw new Error('the folder was removed as soon as it was made');
      if (verdict !== 'use') throw new Refused(this.#whyNot(verdict));
      if (first) await this.#mayWrite();
      this.#inUse = seen;
    } catch (error) {
      const { message } = error as Error;
      if (first && FINAL.has(codeOf(error) ?? ''))
        throw new Refused(
          `cache.cache_dir: ${this.#options.cacheDir} can't be written (${message}). Choose a folder that you may write to.`,
        );
      throw error;
    }
    this.#lookedAt = performance.now();
    if (before && before.marker !== this.#inUse.marker) this.#options.onReplaced?.();
    if (!this.#closed || this.#stopped) return;
    this.#closed = false;
    this.#options.onProblem(undefined);
    this.#options.onUsable();
  }

  #close(problem: string): void {
    this.#closed = true;
    this.#options.onProblem(problem);
  }

  /** Device and marker are of one file: the volume may come or go between two looks by path. */
  async #see(): Promise<Seen> {
    let fd: number;
    try {
      fd = await this.#volume.open(this.#marker, 'r');
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
      return { ...(await this.#nearest(this.#options.cacheDir)), marker: undefined };
    }
    try {
      const { dev, ino } = await this.#volume.fstat(fd);
      const content = Buffer.alloc(MARKER_SIZE);
      const length = await this.#volume.read(fd, content, 0, MARKER_SIZE, 0);
      return { device: dev, inode: ino, marker: content.toString('utf8', 0, length) };
    } finally {
      // Where it can't be closed now, the volume does so when it answers.
      this.#volume.close(fd).catch(() => {});
    }
  }

  /** The folder, or the nearest above it that is there. */
  async #nearest(path: string): Promise<Omit<Seen, 'marker'>> {
    try {
      const { dev, ino } = await this.#volume.stat(path);
      return { device: dev, inode: ino };
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' || dirname(path) === path) throw error;
      return this.#nearest(dirname(path));
    }
  }

  async #isTheSame(): Promise<boolean> {
    const { dev, ino } = await this.#volume.stat(this.#marker).catch(() => ({ dev: undefined, ino: undefined }));
    return dev === this.#inUse?.device && ino === this.#inUse?.inode;
  }

  /** Aside and then in its place: who starts at the same time must not read half a marker, nor replace ours by its own. */
  async #make(): Promise<void> {
    const { cacheDir, modes } = this.#options;
    await this.#volume.mkdir(cacheDir, modes.folder);
    const aside = `${this.#marker}.${randomBytes(6).toString('hex')}`;
    try {
      await this.#volume.writeFile(aside, newMarker(), modes.file);
      await this.#volume.link(aside, this.#marker);
    } catch (error) {
      if (hasNoLinks(error)) return await this.#volume.rename(aside, this.#marker);
      if (codeOf(error) !== 'EEXIST') throw error;
    } finally {
      this.#volume.unlink(aside).catch(() => {});
    }
  }

  /** On a read-only volume what is there can be read: that nothing can be added shows when it is tried. */
  async #mayWrite(): Promise<void> {
    const { cacheDir } = this.#options;
    const { W_OK, X_OK } = fs.constants;
    await this.#volume
      .run<void>(done => fs.access(cacheDir, W_OK | X_OK, done), undefined, cacheDir)
      .catch(error => {
        if (codeOf(error) !== 'EROFS') throw error;
      });
  }

  #atTheMoment(why: string): string {
    return `${this.#options.cacheDir} can't be used at the moment, so reads go to S3: ${why}`;
  }

  #whyNot(verdict: Exclude<Verdict, 'use' | 'make'>): string {
    const { cacheDir } = this.#options;
    switch (verdict) {
      case 'gone':
        return `${cacheDir} is not on the volume it was on, which is probably not mounted any more, so reads go to S3. Mount it again, or restart Cistern to have a new cache folder where it was.`;
      case 'another':
        return `${cacheDir} is another cache folder on another volume than before, so reads go to S3. Mount the one before, or restart Cistern to use this one.`;
      default:
        return `${this.#marker}: the cache has format ${String(verdict.unknownFormat)}, this version knows ${FORMAT}. Use another cache.cache_dir, or remove this folder to start afresh.`;
    }
  }
}

/** The folder at `cache.cache_dir` is not one to use; the message says what to do. */
class Refused extends Error {}
