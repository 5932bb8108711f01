import type { Volume } from './volume.ts';

/** A floor of free space on the volume: a share of it in percent, or bytes. */
export type FreeSpaceFloor = { readonly percent: number } | { readonly bytes: number };

export interface FreeSpaceOptions {
  readonly volume: Volume;
  readonly cacheDir: string;
}

/** What the volume has free above its floor. */
export class FreeSpace {
  readonly #options: FreeSpaceOptions;
  #floor: FreeSpaceFloor;
  #looking: Promise<void> | undefined;
  #seen: { readonly free: number; readonly size: number; readonly bytes: number } | undefined;

  constructor(options: FreeSpaceOptions, floor: FreeSpaceFloor) {
    this.#options = options;
    this.#floor = floor;
  }

  set floor(floor: FreeSpaceFloor) {
    this.#floor = floor;
  }

  /** What the cache may come to, as of the last look, bytes; less than it had then where the volume is too full. Infinity before the first look. */
  get limit(): number {
    return this.#seen ? this.#seen.bytes + this.#spare(this.#seen) : Number.POSITIVE_INFINITY;
  }

  /** At the last look there was less free than there should be. */
  get isBelow(): boolean {
    return this.#seen !== undefined && this.#spare(this.#seen) < 0;
  }

  /** Rejects with the volume's error; one look at a time. @param bytes of the cache, asked when the volume has answered */
  look(bytes: () => number): Promise<void> {
    this.#looking ??= this.#look(bytes).finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  /** Resolves when nothing is asked of the volume. */
  get looked(): Promise<void> {
    return (this.#looking ?? Promise.resolve()).catch(() => {});
  }

  async #look(bytes: () => number): Promise<void> {
    const { volume, cacheDir } = this.#options;
    const { bsize, blocks, bavail } = await volume.statfs(cacheDir);
    this.#seen = { free: bavail * bsize, size: blocks * bsize, bytes: bytes() };
  }

  #spare({ free, size }: { readonly free: number; readonly size: number }): number {
    const floor = this.#floor;
    return free - ('percent' in floor ? size * (floor.percent / 100) : floor.bytes);
  }
}
