import { basename, dirname } from 'node:path';
import type { ObjectAddress } from '../../request/index.ts';
import type { Catalog } from '../catalog.ts';
import type { Disk } from '../disk/disk.ts';
import { isYoungEpoch, namesIn } from '../disk/leaves.ts';
import { allocatedBytes } from '../disk/scratch.ts';
import { type ObjectFiles, objectsIn, type VersionFiles } from './object-files.ts';
import { inHand, type Pace } from './pace.ts';
import { Remover } from './remover.ts';
import { type SeenHead, seeHead } from './seen-head.ts';
import { treeFolders } from './tree.ts';
import type { PurgeEvent, Target } from './types.ts';
import type { Leaf, Walk } from './walk.ts';

const TELL_EVERY = 1000;
/** Objects that other processes on this machine hear of at once. */
const TOLD_AT_ONCE = 1000;

export interface PurgeOptions {
  readonly disk: Disk;
  readonly catalog: Catalog;
  readonly walk: Walk;
}

/**
 * Removes everything that is cached of a target. In S3 nothing changes, so no epoch moves on: those that are there stay as long
 * as a read that began before their write could be under way. What is cached again meanwhile may stay.
 */
export async function* purge(
  { disk, catalog, walk }: PurgeOptions,
  pace: Pace,
  target: Target,
  dryRun: boolean,
): AsyncGenerator<PurgeEvent> {
  const remover = new Remover(disk, pace, dryRun);
  let [looked, objects, toldAt] = [0, 0, performance.now()];
  let removed: string[] = [];
  const tell = async () => {
    // They may have seen nothing of this process, if it is a short-lived one, and trust their memory.
    if (!dryRun && removed.length > 0) await disk.neighbours.tell(removed);
    removed = [];
  };
  let above = '';
  const folders = await walk.folders(pace, target);
  const inLeaf = async (leaf: Leaf): Promise<Leaf> => {
    const { objects: found } = objectsIn(leaf.path, await pace.step(() => namesIn(disk.volume, leaf.path)));
    let touched = found.length === 0;
    for (const files of found) {
      if (files.hasHead) looked++;
      const head = await pace.step(() => seeHead(disk.volume, files.head, files.hash, leaf.folder));
      if (!isMeant(head, target)) continue;
      await remove({ disk, catalog, pace, remover, dryRun }, files, head);
      if (files.hasHead) objects++;
      if (typeof head === 'object') removed.push(head.address.storeKey);
      touched = true;
    }
    if (touched) await remover.folder(leaf.path);
    return leaf;
  };
  for await (const { path } of inHand(walk.leaves(pace, folders), inLeaf)) {
    if (dirname(path) !== above && above !== '') await remover.folder(above);
    above = dirname(path);
    if (removed.length >= TOLD_AT_ONCE) await tell();
    if (performance.now() - toldAt < TELL_EVERY) continue;
    toldAt = performance.now();
    yield { type: 'progress', looked, objects, disk_bytes: remover.bytes };
  }
  if (above !== '') await remover.folder(above);
  for (const folder of folders) await remover.folder(walk.bucket(folder));
  await tell();
  // What was learnt of them and could not be written, too.
  if (!dryRun) catalog.forgetThose(isIn(target));
  yield { type: 'end', objects, disk_bytes: remover.bytes, dry_run: dryRun, ...remover.left };
}

/** Tells entries of the catalog that are of the target. */
export function isIn(target: Target): (entry: { readonly address: ObjectAddress }) => boolean {
  return ({ address: { origin, bucket, key } }) =>
    bucket === target.bucket && (target.origin ?? origin) === origin && key.startsWith(target.prefix);
}

/** What names no key, because it is damaged or has no head, belongs to the bucket as a whole. */
function isMeant(head: SeenHead | 'damaged' | undefined, { prefix }: Target): boolean {
  return typeof head === 'object' ? head.address.key.startsWith(prefix) : prefix === '';
}

interface Removal extends Pick<PurgeOptions, 'disk' | 'catalog'> {
  readonly pace: Pace;
  readonly remover: Remover;
  readonly dryRun: boolean;
}

/** The head goes first: nobody begins to read what is half gone. */
async function remove(
  { disk, catalog, pace, remover, dryRun }: Removal,
  files: ObjectFiles,
  head: SeenHead | 'damaged' | undefined,
): Promise<void> {
  const known = typeof head === 'object' ? head : undefined;
  let isGone = !files.hasHead;
  if (files.hasHead) isGone = await remover.file(files.head, known && allocatedBytes(known.stats));
  if (isGone) {
    disk.capacity.removeUnread(files.hash);
    if (known) catalog.forget(known.address.storeKey);
  }
  const all = async ({ extents, parts }: VersionFiles) => {
    for (const { path } of extents) await remover.file(path);
    for (const path of parts) await remover.file(path);
  };
  for (const version of files.versions.values()) await all(version);
  if (files.tree !== undefined) {
    const below: string[] = [];
    for await (const folder of treeFolders(disk.volume, pace, files.tree)) {
      await all(folder);
      below.push(folder.path);
    }
    for (const folder of below.reverse()) await remover.folder(folder);
    await remover.folder(files.tree);
  }
  if (files.epoch === undefined || !(isGone || dryRun)) return;
  const { epoch } = files;
  const stats = await pace.step(() => disk.volume.stat(epoch)).catch(() => undefined);
  if (!stats || isYoungEpoch(basename(epoch), stats, disk.now())) return;
  if ((await remover.file(epoch, allocatedBytes(stats))) && known)
    catalog.forget(known.address.storeKey, { epoch: true });
}
