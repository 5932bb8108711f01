import { CisternError } from '../../errors.ts';
import { percentDecode } from '../../request/index.ts';
import { bucketFolder } from '../disk/paths.ts';
import type { Scratch } from '../disk/scratch.ts';
import type { Volume } from '../disk/volume.ts';
import type { Pace } from './pace.ts';
import { type BucketPins, writePins } from './pin-file.ts';
import { prefixesOf, tally } from './pin-tally.ts';
import { PinnedObjects } from './pinned-objects.ts';
import type { Pins } from './pins.ts';
import type { PinEnd, PinEvent, PinList, PinProgress, Target } from './types.ts';
import { inUnits } from './units.ts';

export interface PinChangeOptions {
  readonly volume: Volume;
  readonly scratch: Scratch;
  readonly pins: Pins;
  readonly percent: () => number;
  /** S3-compatible stores, in their canonical spelling. */
  readonly stores: ReadonlySet<string>;
}

const TELL_EVERY = 1000;

export async function listPins({ pins }: Pick<PinChangeOptions, 'pins'>, pace: Pace): Promise<PinList> {
  const all = await pins.all(pace);
  const list = [...all.values()].flatMap(({ bucket, origin, prefixes }) =>
    prefixes.map(prefix => ({ bucket, origin, prefix })),
  );
  return { pins: list, disk_bytes: await pins.bytes(), limit: pins.limit };
}

/** Pins a target, unless what is cached of it and of all that is pinned already is more than the share. */
export async function* pin(options: PinChangeOptions, pace: Pace, target: Target): AsyncGenerator<PinEvent> {
  const { pins, percent } = options;
  const all = await pins.all(pace);
  const folders = await pins.walk.folders(pace, target);
  // It may be pinned before anything of it is cached.
  if (folders.length === 0) folders.push(bucketFolder(homeOf(target, options.stores), target.bucket));
  for (const folder of folders) {
    const before = all.get(folder) ?? { bucket: target.bucket, origin: originOf(folder, target), prefixes: [] };
    all.set(folder, { ...before, prefixes: [...new Set([...before.prefixes, prefixOf(target)])].sort() });
  }
  const bytes = yield* count(options, pace, all);
  if (bytes > pins.limit)
    throw new CisternError(
      'PinTooLarge',
      `With it ${inUnits(bytes)} would be pinned; cache.pin_percent (${percent()} %) allows ${inUnits(pins.limit)}.`,
    );
  for (const folder of folders) await write(options, pace, folder, all.get(folder) as BucketPins);
  yield await ended(pins, pace);
}

/** Takes a pin back. */
export async function* unpin(options: PinChangeOptions, pace: Pace, target: Target): AsyncGenerator<PinEvent> {
  const { pins } = options;
  const all = await pins.all(pace);
  let unpinned = false;
  for (const folder of await pins.walk.folders(pace, target)) {
    const before = all.get(folder);
    if (!before?.prefixes.includes(prefixOf(target))) continue;
    const prefixes = before.prefixes.filter(other => other !== prefixOf(target));
    await write(options, pace, folder, { ...before, prefixes });
    unpinned = true;
  }
  if (!unpinned) throw new CisternError('NotPinned', `s3://${target.bucket}/${prefixOf(target)}`);
  yield await ended(pins, pace);
}

async function* count(
  { volume, pins }: PinChangeOptions,
  pace: Pace,
  all: ReadonlyMap<string, BucketPins>,
): AsyncGenerator<PinProgress, number> {
  const prefixes = new Map([...all].map(([folder, one]) => [folder, prefixesOf(one)]));
  const counted = { prefixes, objects: new PinnedObjects(), before: Number.POSITIVE_INFINITY };
  const steps = tally({ volume, walk: pins.walk }, pace, counted);
  let toldAt = performance.now();
  for (;;) {
    const step = await steps.next();
    if (step.done) return step.value;
    if (performance.now() - toldAt < TELL_EVERY) continue;
    toldAt = performance.now();
    yield { type: 'progress', looked: step.value };
  }
}

async function write({ scratch, pins }: PinChangeOptions, pace: Pace, folder: string, to: BucketPins): Promise<void> {
  await pace.step(() => writePins(scratch, pins.walk.bucket(folder), to));
}

/** This process follows the change at once, others within seconds. */
async function ended(pins: Pins, pace: Pace): Promise<PinEnd> {
  await pins.all(pace);
  return { type: 'end', disk_bytes: await pins.bytes(), limit: pins.limit };
}

/** Where a bucket lives of which nothing is cached. A pin at the wrong place would never hold anything, and nobody would notice. */
function homeOf({ bucket, origin }: Target, stores: ReadonlySet<string>): string {
  const homes = ['aws', ...stores];
  const home = origin ?? (stores.size === 0 ? 'aws' : undefined);
  if (home !== undefined && homes.includes(home)) return home;
  const detail =
    home === undefined
      ? `Nothing of ${bucket} is cached yet; it may be of ${homes.join(', or of ')}.`
      : `Nothing of ${bucket} is cached from ${home}, which is none of ${homes.join(', ')}.`;
  throw new CisternError('UnknownOrigin', detail);
}

function prefixOf({ prefix }: Target): string {
  return Buffer.from(prefix, 'latin1').toString('utf8');
}

/** The names in a folder's name are made safe by percent escapes (paths.ts). */
function originOf(folder: string, { bucket, origin }: Target): string {
  if (origin !== undefined) return origin;
  const plain = bucketFolder('aws', bucket);
  return folder === plain ? 'aws' : percentDecode(folder.slice(plain.length + 1)).bytes;
}
