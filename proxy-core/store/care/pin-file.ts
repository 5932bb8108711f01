import { basename } from 'node:path';
import { isMissing } from '../disk/disk-error.ts';
import type { Scratch } from '../disk/scratch.ts';
import type { Volume } from '../disk/volume.ts';

/** What of a bucket is pinned: `_pins.json` beside its settings. */
export interface BucketPins {
  readonly bucket: string;
  readonly origin: string;
  /** Beginnings of keys, as text; `''` for the whole bucket. Never empty. */
  readonly prefixes: readonly string[];
}

const NAME = '_pins.json';
const LONGEST = 1 << 20;

/** Undefined where nothing is pinned. Rejects where the file can't be read, or makes no sense. @param folder of the bucket */
export async function readPins(volume: Volume, folder: string): Promise<BucketPins | undefined> {
  const file = await volume.readFile(`${folder}/${NAME}`).catch(error => {
    if (!isMissing(error)) throw error;
  });
  return file ? parsePins(file.toString('utf8'), `${basename(folder)}/${NAME}`) : undefined;
}

/** Written aside and renamed into its place, as processes read it at any time; removed where nothing is left. */
export async function writePins(scratch: Scratch, folder: string, pins: BucketPins): Promise<void> {
  const path = `${folder}/${NAME}`;
  if (pins.prefixes.length > 0) {
    await scratch.publish(path, folder, Buffer.from(`${JSON.stringify(pins, null, 2)}\n`, 'utf8'));
    return;
  }
  await scratch.remove(path).catch(error => {
    if (!isMissing(error)) throw error;
  });
}

function parsePins(text: string, name: string): BucketPins {
  if (text.length > LONGEST) throw new Error(`${name} is longer than ${LONGEST} bytes`);
  let pins: Partial<BucketPins> | null;
  try {
    pins = JSON.parse(text) as Partial<BucketPins> | null;
  } catch (error) {
    throw new Error(`${name}: ${(error as Error).message}`);
  }
  const isWhole =
    typeof pins?.bucket === 'string' &&
    typeof pins.origin === 'string' &&
    Array.isArray(pins.prefixes) &&
    pins.prefixes.length > 0 &&
    pins.prefixes.every(prefix => typeof prefix === 'string');
  if (!isWhole) throw new Error(`${name} is not what \`cistern pin\` writes; unpin and pin again`);
  return pins as BucketPins;
}
