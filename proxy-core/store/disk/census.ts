import type { Stats } from 'node:fs';
import { join } from 'node:path';
import { allocatedBytes } from './scratch.ts';
import type { Volume } from './volume.ts';

const PAUSE_EVERY = 64;
const PAUSE = 5;

/** Counts what `buckets/` takes on the volume, folders included, paced so that reads hardly notice. */
export class Census {
  readonly #volume: Volume;
  readonly #root: string;
  #stopped = false;

  constructor(options: { readonly volume: Volume; readonly cacheDir: string }) {
    this.#volume = options.volume;
    this.#root = join(options.cacheDir, 'buckets');
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Allocated bytes of all that is older than `began` (on the volume's clock, ms); undefined when it was stopped. */
  async take(began: number): Promise<number | undefined> {
    let bytes = 0;
    let looked = 0;
    const count = async (path: string): Promise<void> => {
      if (this.#stopped) return;
      const stats = await this.#volume.stat(path).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined;
        throw error;
      });
      if (!stats) return;
      if (madeAt(path, stats) < began) bytes += allocatedBytes(stats);
      if (++looked % PAUSE_EVERY === 0) await new Promise(resolve => setTimeout(resolve, PAUSE).unref());
      if (stats.isDirectory()) for (const name of await this.names(path)) await count(join(path, name));
    };
    await count(this.#root);
    return this.#stopped ? undefined : bytes;
  }

  async names(folder: string): Promise<string[]> {
    return this.#volume.readdir(folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return [];
      throw error;
    });
  }
}

/** An extent is linked into place as soon as it is written; a folder or a head is written to later, too. */
function madeAt(path: string, stats: Stats): number {
  return stats.isDirectory() || path.endsWith('.head') ? stats.birthtimeMs : stats.mtimeMs;
}
