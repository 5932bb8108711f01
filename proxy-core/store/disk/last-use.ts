import type { Stats } from 'node:fs';
import type { Volume } from './volume.ts';

/** A file that was used at most this long ago, as its time of change tells, is not written to again, ms. */
const RECENT = 3_600_000;
/** Most that wait for their turn; what more there is, is written down an hour later. */
const MOST_WAITING = 1000;
/** A time that was written down so ends with this, ms: a write, too, would have to meet just that. */
const MARK = 500;

/**
 * The time of change was set by {@link LastUse}. That changes the ctime, too, which otherwise tells when an extent came to its
 * place: this one was there an hour before.
 */
export function isUseNoted({ mtimeMs }: Stats): boolean {
  return mtimeMs % 1000 === MARK;
}

/** Writes down on the volume when files were used, so that other processes, and later ones, know: best effort, one file at a time. */
export class LastUse {
  readonly #volume: Volume;
  /** Now on the volume's clock, ms. */
  readonly #now: () => number;
  readonly #waiting = new Set<string>();
  #writing: Promise<void> | undefined;
  #stopped = false;

  constructor(volume: Volume, now: () => number) {
    this.#volume = volume;
    this.#now = now;
  }

  /** A file was used just now. */
  note(path: string): void {
    if (this.#stopped || this.#waiting.size >= MOST_WAITING) return;
    this.#waiting.add(path);
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#waiting.clear();
  }

  /** Resolves when all is written down, or can't be. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  async #write(): Promise<void> {
    for (const path of this.#waiting) {
      this.#waiting.delete(path);
      // What can't be done now is done an hour later; the volume's own breaker tells what is wrong with it.
      if (this.#volume.available) await this.#noteOn(path).catch(() => {});
    }
  }

  async #noteOn(path: string): Promise<void> {
    const { mtimeMs } = await this.#volume.stat(path);
    const now = this.#now();
    if (now - mtimeMs < RECENT) return;
    await this.#volume.utimes(path, Math.floor(now / 1000) + MARK / 1000);
  }
}
