import { CisternError } from '../../errors.ts';
import type { Disk } from '../disk/disk.ts';
import { inWords, isMissing } from '../disk/disk-error.ts';
import { DiskUnavailable } from '../disk/operations.ts';
import { allocatedBytes } from '../disk/scratch.ts';
import type { Pace } from './pace.ts';

/** So many failures without one success say that nothing can be removed. */
const ENOUGH = 100;

/** Removes files one by one and counts them; in a dry run only counts. What is gone already is no failure. */
export class Remover {
  readonly #disk: Pick<Disk, 'volume' | 'scratch' | 'files'>;
  readonly #pace: Pace;
  readonly #dryRun: boolean;
  #removed = 0;
  #bytes = 0;
  #left = 0;
  #problem: string | undefined;

  constructor(disk: Pick<Disk, 'volume' | 'scratch' | 'files'>, pace: Pace, dryRun = false) {
    this.#disk = disk;
    this.#pace = pace;
    this.#dryRun = dryRun;
  }

  /** Allocated bytes that were set free, or would be. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Files that could not be removed, and why the first could not. */
  get left(): { readonly left: number; readonly problem?: string } {
    return { left: this.#left, ...(this.#problem === undefined ? {} : { problem: this.#problem }) };
  }

  /** False where it is still there. @param known its allocated bytes */
  async file(path: string, known?: number): Promise<boolean> {
    const { volume, scratch, files } = this.#disk;
    try {
      const bytes = known ?? allocatedBytes(await this.#pace.step(() => volume.stat(path)));
      if (!this.#dryRun) {
        // One that is open keeps its space.
        files.forget(path);
        await this.#pace.step(() => scratch.remove(path, bytes));
      }
      this.#bytes += bytes;
      this.#removed++;
    } catch (error) {
      if (isMissing(error)) return true;
      if (this.#pace.signal.aborted || error instanceof DiskUnavailable) throw error;
      this.#left++;
      this.#problem ??= inWords(error);
      if (this.#removed === 0 && this.#left === ENOUGH) throw new CisternError('CacheUnavailable', this.#problem);
      return false;
    }
    return !this.#dryRun;
  }

  /** Removes a folder if it is empty. */
  async folder(path: string): Promise<void> {
    if (this.#dryRun) return;
    await this.#pace
      .step(() => this.#disk.scratch.removeFolder(path))
      .catch(error => {
        // As a rule something is in it; a folder that stays costs nothing but its block.
        if (this.#pace.signal.aborted) throw error;
      });
  }
}
