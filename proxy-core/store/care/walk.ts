import { join } from 'node:path';
import { isFolder, namesIn } from '../disk/leaves.ts';
import { bucketFolder } from '../disk/paths.ts';
import type { Volume } from '../disk/volume.ts';
import type { Pace } from './pace.ts';
import type { Target } from './types.ts';

/** A folder that holds the files of objects. */
export interface Leaf {
  /** Of the bucket, below `buckets/`. */
  readonly folder: string;
  readonly path: string;
  /** `<folder>/<aa>/<bbb>`, by which a walk can be taken up again. */
  readonly place: string;
}

export interface WalkOptions {
  readonly volume: Volume;
  readonly cacheDir: string;
}

/**
 * Goes through `buckets/` leaf by leaf, always in the same order, with no more in memory than the names of a few folders.
 * What comes or goes meanwhile may be seen or not.
 */
export class Walk {
  readonly #volume: Volume;
  readonly #buckets: string;

  constructor({ volume, cacheDir }: WalkOptions) {
    this.#volume = volume;
    this.#buckets = join(cacheDir, 'buckets');
  }

  /** Path of a bucket's folder. */
  bucket(folder: string): string {
    return join(this.#buckets, folder);
  }

  /** Folders of the buckets that are meant; of all without a target. */
  async folders(pace: Pace, target?: Target): Promise<string[]> {
    const names = await pace.step(() => namesIn(this.#volume, this.#buckets));
    return names.filter(name => isFolder(name) && (target === undefined || isMeant(name, target))).sort();
  }

  /** @param after `place` of the last leaf that is not to be seen again */
  async *leaves(pace: Pace, folders: readonly string[], after = ''): AsyncGenerator<Leaf> {
    const [afterFolder = '', afterFirst = '', afterNext = ''] = after.split('/');
    for (const folder of folders) {
      if (folder < afterFolder) continue;
      const inside = folder === afterFolder;
      for (const first of await this.#digits(pace, this.bucket(folder), 2)) {
        if (inside && first < afterFirst) continue;
        const above = join(this.bucket(folder), first);
        for (const next of await this.#digits(pace, above, 3)) {
          if (inside && first === afterFirst && next <= afterNext) continue;
          yield { folder, path: join(above, next), place: `${folder}/${first}/${next}` };
        }
      }
    }
  }

  async #digits(pace: Pace, path: string, count: number): Promise<string[]> {
    const names = await pace.step(() => namesIn(this.#volume, path));
    return names.filter(name => name.length === count && /^[0-9a-f]+$/.test(name)).sort();
  }
}

/** No bucket's own name holds an `@` on the disk (paths.ts). */
function isMeant(folder: string, { bucket, origin }: Target): boolean {
  if (origin !== undefined) return folder === bucketFolder(origin, bucket);
  const plain = bucketFolder('aws', bucket);
  return folder === plain || folder.startsWith(`${plain}@`);
}
