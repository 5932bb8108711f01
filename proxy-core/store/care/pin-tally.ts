import type { Stats } from 'node:fs';
import { utf8Bytes } from '../../request/index.ts';
import { isMissing } from '../disk/disk-error.ts';
import { isUseNoted } from '../disk/last-use.ts';
import { namesIn } from '../disk/leaves.ts';
import { allocatedBytes } from '../disk/scratch.ts';
import type { Volume } from '../disk/volume.ts';
import { type ObjectFiles, objectsIn, type VersionFiles } from './object-files.ts';
import { inHand, type Pace } from './pace.ts';
import type { BucketPins } from './pin-file.ts';
import type { PinnedObjects } from './pinned-objects.ts';
import { seeHead } from './seen-head.ts';
import { treeFolders } from './tree.ts';
import type { Leaf, Walk } from './walk.ts';

/** The pins of a bucket, ready to be held against keys. */
export interface Prefixes {
  /** All of the bucket. */
  readonly whole: boolean;
  /** @param key its bytes as latin1 */
  has(key: string): boolean;
}

export function prefixesOf({ prefixes }: BucketPins): Prefixes {
  const all = prefixes.map(utf8Bytes);
  const whole = all.includes('');
  return { whole, has: key => whole || all.some(prefix => key.startsWith(prefix)) };
}

export interface Counted {
  /** By folder of the bucket. */
  readonly prefixes: ReadonlyMap<string, Prefixes>;
  /** Takes those that are pinned by a prefix. */
  readonly objects: PinnedObjects;
  /** Files that are younger are not counted; on the volume's clock, ms. */
  readonly before: number;
}

/** Goes through the buckets that have pins. Tells how many objects it has looked at, and in the end their allocated bytes. */
export async function* tally(
  { volume, walk }: { readonly volume: Volume; readonly walk: Walk },
  pace: Pace,
  { prefixes, objects, before }: Counted,
): AsyncGenerator<number, number> {
  const pinned = new Map(prefixes);
  let [bytes, looked] = [0, 0];
  const add = async (path: string) => {
    const stats = await pace
      .step(() => volume.stat(path))
      .catch(error => {
        if (!isMissing(error)) throw error;
      });
    if (stats && madeAt(stats, path) < before) bytes += allocatedBytes(stats);
  };
  const addAll = async ({ extents, parts }: VersionFiles) => {
    for (const { path } of extents) await add(path);
    for (const path of parts) await add(path);
  };
  const addObject = async ({ head, versions, tree }: ObjectFiles) => {
    await add(head);
    for (const files of versions.values()) await addAll(files);
    if (tree === undefined) return;
    for await (const folder of treeFolders(volume, pace, tree)) await addAll(folder);
  };
  const inLeaf = async ({ folder, path }: Leaf): Promise<void> => {
    const own = pinned.get(folder);
    for (const files of objectsIn(path, await pace.step(() => namesIn(volume, path))).objects) {
      looked++;
      if (own?.whole !== true) {
        const head = await pace.step(() => seeHead(volume, files.head, files.hash, folder));
        if (head === undefined || head === 'damaged' || !own?.has(head.address.key)) continue;
        objects.add(files.hash);
      }
      await addObject(files);
    }
  };
  for await (const _ of inHand(walk.leaves(pace, [...pinned.keys()].sort()), inLeaf)) yield looked;
  return bytes;
}

/** An extent is linked into its place after it was written, which its ctime tells; a head is changed in place later, too. */
function madeAt(stats: Stats, path: string): number {
  const { birthtimeMs, ctimeMs } = stats;
  if (isUseNoted(stats)) return 0;
  return path.endsWith('.head') && birthtimeMs > 0 ? birthtimeMs : ctimeMs;
}
