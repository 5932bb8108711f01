import type { Stats } from 'node:fs';
import { isMissing } from '../disk/disk-error.ts';
import { namesIn } from '../disk/leaves.ts';
import { allocatedBytes } from '../disk/scratch.ts';
import type { Volume } from '../disk/volume.ts';
import { Coverage, inOrder } from './coverage.ts';
import { type ObjectFiles, objectsIn, type VersionFiles } from './object-files.ts';
import { inHand, type Pace } from './pace.ts';
import type { Pins } from './pins.ts';
import { type SeenHead, seeHead } from './seen-head.ts';
import { treeFolders } from './tree.ts';
import type { CachedBucket, CachedObject, ListEnd, ListEvent, Target } from './types.ts';
import type { Leaf, Walk } from './walk.ts';

const TELL_EVERY = 1000;

export interface ListOptions {
  readonly volume: Volume;
  readonly walk: Walk;
  readonly pins: Pins;
}

/** Every cached object that is meant, as it is found; in memory is one at a time. */
export async function* listObjects(options: ListOptions, pace: Pace, target: Target): AsyncGenerator<ListEvent> {
  const sum = { objects: 0, cached: 0, disk_bytes: 0 };
  const folders = await options.walk.folders(pace, target);
  for await (const found of objects(options, pace, folders, target.prefix)) {
    if (found.type === 'object') add(sum, found);
    yield found;
  }
  yield { type: 'end', ...sum };
}

/** Every bucket, when it has been gone through. */
export async function* listBuckets(options: ListOptions, pace: Pace): AsyncGenerator<ListEvent> {
  const sum = { objects: 0, cached: 0, disk_bytes: 0 };
  let looked = 0;
  for (const folder of await options.walk.folders(pace)) {
    const own = { objects: 0, cached: 0, disk_bytes: 0 };
    let first: CachedObject | undefined;
    let last = '';
    for await (const found of objects(options, pace, [folder], '')) {
      if (found.type === 'progress') {
        yield { type: 'progress', looked: looked + found.looked };
        continue;
      }
      first ??= found;
      add(own, found);
      if (found.last_used > last) last = found.last_used;
    }
    looked += own.objects;
    if (!first) continue;
    add(sum, own, own.objects);
    const { origin, bucket } = first;
    yield { type: 'bucket', origin, bucket, ...own, last_used: last } satisfies CachedBucket;
  }
  yield { type: 'end', ...sum };
}

async function* objects(
  { volume, walk, pins }: ListOptions,
  pace: Pace,
  folders: readonly string[],
  prefix: string,
): AsyncGenerator<CachedObject | { type: 'progress'; looked: number }> {
  let looked = 0;
  let toldAt = performance.now();
  const inLeaf = async (leaf: Leaf): Promise<CachedObject[]> => {
    const found: CachedObject[] = [];
    for (const files of objectsIn(leaf.path, await pace.step(() => namesIn(volume, leaf.path))).objects) {
      if (!files.hasHead) continue;
      looked++;
      const head = await pace.step(() => seeHead(volume, files.head, files.hash, leaf.folder));
      // What is damaged can't be served, and goes when it is read or verified.
      if (head === undefined || head === 'damaged' || !head.address.key.startsWith(prefix)) continue;
      const prefixes = await pins.of(leaf.folder);
      const pinned = prefixes?.has(head.address.key) ? { pinned: true as const } : {};
      found.push({ ...(await describe(volume, pace, files, head)), ...pinned });
    }
    return found;
  };
  for await (const found of inHand(walk.leaves(pace, folders), inLeaf)) {
    yield* found;
    if (performance.now() - toldAt < TELL_EVERY) continue;
    toldAt = performance.now();
    yield { type: 'progress', looked };
  }
}

/** What is on the disk of an object. */
export async function describe(volume: Volume, pace: Pace, files: ObjectFiles, head: SeenHead): Promise<CachedObject> {
  const { length, version, etag, written } = head.head;
  const tally = { disk_bytes: 0, usedAt: 0 };
  count(head.stats, tally);
  const coverage = new Coverage();
  const inFolder = async (own: VersionFiles, of: string) => {
    for (const extent of inOrder(own.extents))
      if ((await look(volume, pace, extent.path, tally)) && of === version && !head.inline && extent.end < length)
        coverage.add(extent);
    for (const part of own.parts) await look(volume, pace, part, tally);
  };
  for (const [of, own] of files.versions) await inFolder(own, of);
  if (files.tree !== undefined)
    for await (const folder of treeFolders(volume, pace, files.tree)) await inFolder(folder, folder.version);
  const { origin, bucket, key } = head.address;
  return {
    type: 'object',
    origin,
    bucket,
    ...keyOf(key),
    etag,
    length,
    cached: head.inline || length === 0 ? length : coverage.bytes,
    disk_bytes: tally.disk_bytes,
    last_used: new Date(tally.usedAt).toISOString(),
    ...(written === undefined ? { validated: new Date(head.stamp.validatedAt).toISOString() } : {}),
  };
}

/** False where it is gone. */
async function look(volume: Volume, pace: Pace, path: string, tally: Tally): Promise<boolean> {
  const stats = await pace.step(() => volume.stat(path)).catch(undefinedIfMissing);
  if (stats) count(stats, tally);
  return stats !== undefined;
}

interface Tally {
  disk_bytes: number;
  usedAt: number;
}

function count(stats: Stats, tally: Tally): void {
  tally.disk_bytes += allocatedBytes(stats);
  tally.usedAt = Math.max(tally.usedAt, stats.mtimeMs, stats.atimeMs);
}

function keyOf(bytes: string): { key: string; key_base64?: string } {
  const raw = Buffer.from(bytes, 'latin1');
  const key = raw.toString('utf8');
  return Buffer.from(key, 'utf8').equals(raw) ? { key } : { key, key_base64: raw.toString('base64') };
}

function add(sum: { -readonly [K in keyof Omit<ListEnd, 'type'>]: number }, one: Tallied, objects = 1): void {
  sum.objects += objects;
  sum.cached += one.cached;
  sum.disk_bytes += one.disk_bytes;
}

interface Tallied {
  readonly cached: number;
  readonly disk_bytes: number;
}

function undefinedIfMissing(error: unknown): undefined {
  if (!isMissing(error)) throw error;
}
