import { DiskUnavailable, NotAsked } from '../disk/operations.ts';
import type { MultipartFolder } from './multipart-folder.ts';

export interface MultipartSweepOptions {
  readonly folder: MultipartFolder;
  /** `incomplete_upload_ttl`, ms. */
  readonly ttl: number;
  /** Now on the volume's clock, ms. */
  readonly now: () => number;
  readonly onFailed: (error: Error) => void;
}

/** Between two looks: a quarter of the ttl, between these, ms. */
const LOOK_EVERY = { least: 250, most: 10 * 60_000 };
/** After so many uploads, others get their turn with the disk. */
const PAUSE_EVERY = 64;
const PAUSE = 5;

/**
 * Reclaims uploads to which no part has come for `incomplete_upload_ttl`, and which were neither completed nor aborted
 * through a process on this directory. Several processes may do so at once: each folder goes with whoever claims it.
 */
export class MultipartSweep {
  readonly #options: MultipartSweepOptions;
  #timer: NodeJS.Timeout | undefined;
  #stopped = true;

  constructor(options: MultipartSweepOptions) {
    this.#options = options;
  }

  /** The first look is at once. */
  start(): void {
    this.#stopped = false;
    this.#next(0);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async #sweep(): Promise<void> {
    const { folder, onFailed } = this.#options;
    let looked = 0;
    for (const upload of await folder.names()) {
      if (this.#stopped) return;
      if (++looked % PAUSE_EVERY === 0) await new Promise(resolve => setTimeout(resolve, PAUSE).unref());
      try {
        await this.#lookAt(upload);
      } catch (error) {
        if (error instanceof DiskUnavailable) throw error;
        onFailed(error as Error);
      }
    }
  }

  async #lookAt(upload: string): Promise<void> {
    const { folder, now, ttl } = this.#options;
    const changedAt = await folder.changedAt(upload);
    if (changedAt === undefined || now() - changedAt <= ttl) return;
    const claimed = await folder.claim(upload);
    if (claimed) await folder.remove(claimed);
  }

  #next(after: number): void {
    this.#timer = setTimeout(async () => {
      // What fails now is tried again by the next look; where the disk was not even asked, that is shown already.
      await this.#sweep().catch(error => {
        if (!(error instanceof NotAsked)) this.#options.onFailed(error as Error);
      });
      const { least, most } = LOOK_EVERY;
      if (!this.#stopped) this.#next(Math.min(most, Math.max(least, this.#options.ttl / 4)));
    }, after).unref();
  }
}
