import type { Volume } from './volume.ts';

/** A floor of free space on the volume: a share of it in percent, or bytes. */
export type FreeSpaceFloor = { readonly percent: number } | { readonly bytes: number };

export interface FreeSpaceOptions {
  readonly volume: Volume;
  readonly cacheDir: string;
  readonly minFree: FreeSpaceFloor;
}

/** What the volume has free above its floor. */
export class FreeSpace {
  readonly #options: FreeSpaceOptions;
  #spare = Number.POSITIVE_INFINITY;

  constructor(options: FreeSpaceOptions) {
    this.#options = options;
  }

  /** As last seen, less what was added since, bytes; negative where the volume is too full. Infinity before the first look. */
  get spare(): number {
    return this.#spare;
  }

  /** Tells what was added or (negative) removed. */
  add(bytes: number): void {
    this.#spare -= bytes;
  }

  /** Rejects with the volume's error. */
  async look(): Promise<void> {
    const { volume, cacheDir, minFree } = this.#options;
    const { bsize, blocks, bavail } = await volume.statfs(cacheDir);
    const floor = 'percent' in minFree ? blocks * bsize * (minFree.percent / 100) : minFree.bytes;
    this.#spare = bavail * bsize - floor;
  }
}
