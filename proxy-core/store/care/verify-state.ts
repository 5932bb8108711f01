import { join } from 'node:path';
import type { Disk } from '../disk/disk.ts';
import { isMissing } from '../disk/disk-error.ts';
import type { VerifyCounts } from './types.ts';

/** How far a verification has come. */
export interface VerifyState {
  /** ISO 8601, UTC */
  readonly began: string;
  /** `Leaf.place` of the last one that is done. */
  readonly place: string;
  readonly counts: VerifyCounts;
}

/** What was seen longer ago says little, ms. */
const GOOD_FOR = 7 * 86_400_000;

/** The state of a verification that was not finished, in the cache folder: whichever process is asked next goes on from there. */
export class VerifyStateFile {
  readonly #disk: Pick<Disk, 'volume' | 'scratch' | 'now'>;
  readonly #path: string;

  constructor(disk: Pick<Disk, 'volume' | 'scratch' | 'now'>, cacheDir: string) {
    this.#disk = disk;
    this.#path = join(cacheDir, 'verify.json');
  }

  async read(): Promise<VerifyState | undefined> {
    const file = await this.#disk.volume.readFile(this.#path).catch(undefinedIfMissing);
    const state = file && parse(file.toString('utf8'));
    return state && this.#disk.now() - Date.parse(state.began) < GOOD_FOR ? state : undefined;
  }

  /** Like a heartbeat, it is not counted as a part of the cache. */
  async write(state: VerifyState): Promise<void> {
    const { volume, scratch } = this.#disk;
    const aside = scratch.newPath();
    await volume.mkdir(scratch.folder, scratch.modes.folder);
    try {
      await volume.writeFile(aside, `${JSON.stringify(state)}\n`, scratch.modes.file);
      await volume.rename(aside, this.#path);
    } catch (error) {
      scratch.drop(aside);
      throw error;
    }
  }

  async remove(): Promise<void> {
    await this.#disk.volume.unlink(this.#path).catch(undefinedIfMissing);
  }
}

function parse(text: string): VerifyState | undefined {
  try {
    const state = JSON.parse(text) as Partial<VerifyState> | null;
    const isWhole = typeof state?.place === 'string' && typeof state.began === 'string' && state.counts !== undefined;
    return isWhole ? (state as VerifyState) : undefined;
  } catch {
    // Torn by a crash: it begins from the start.
    return undefined;
  }
}

function undefinedIfMissing(error: unknown): undefined {
  if (!isMissing(error)) throw error;
}
