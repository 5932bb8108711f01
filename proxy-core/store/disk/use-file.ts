import { endianness } from 'node:os';
import { xxh64 } from '@node-rs/xxhash';
import { compressFrame, decompressFrame } from 'lz4-napi';
import { FrequencySketch } from '../memory/sketch.ts';

/**
 * How often what was used, on its way through a restart: one line, then the counters as an LZ4 frame. Counters by hashes of
 * hashes; nobody's keys can be learnt from them.
 */
const MAGIC = 'cistern-uses';
const VERSION = 1;
const ANY_VERSION = new RegExp(`^${MAGIC} (\\d{1,6}) `);
const HEADER = new RegExp(`^${MAGIC} ${VERSION} (\\d{1,10}) (\\d{1,10}) ([0-9a-f]{16})\\n`);
/** More than the largest sketch takes, with what LZ4 adds to what it can't shrink. */
export const LARGEST = 20 << 20;
const MOST_ENTRIES = 1 << 20;

export async function encodeUses(sketch: FrequencySketch): Promise<Buffer> {
  // A copy: it goes on counting.
  const counters = Buffer.from(sketch.words.slice().buffer);
  const { entries, uses } = sketch;
  const frame = await compressFrame(inFileOrder(counters));
  return Buffer.concat([Buffer.from(`${MAGIC} ${VERSION} ${entries} ${uses} ${hexOf(frame)}\n`), frame]);
}

/** `other` for a file of a version that is not known, undefined for one that is damaged. */
export async function decodeUses(file: Buffer): Promise<FrequencySketch | 'other' | undefined> {
  const begin = file.toString('latin1', 0, 80);
  const version = ANY_VERSION.exec(begin)?.[1];
  if (version !== undefined && Number(version) !== VERSION) return 'other';
  const header = HEADER.exec(begin);
  if (!header) return undefined;
  const [line, entriesText, uses, checksum] = header;
  const entries = Number(entriesText);
  const frame = file.subarray(line.length);
  if (!(entries >= 16 && entries <= MOST_ENTRIES) || hexOf(frame) !== checksum) return undefined;
  try {
    const counters = inFileOrder(await decompressFrame(frame));
    if (counters.length !== FrequencySketch.wordsFor(entries) * 4) return undefined;
    return FrequencySketch.from(entries, Number(uses), new Uint32Array(new Uint8Array(counters).buffer));
  } catch {
    return undefined;
  }
}

/** Words are little-endian in the file. */
function inFileOrder(counters: Buffer): Buffer {
  return endianness() === 'BE' ? Buffer.from(counters).swap32() : counters;
}

function hexOf(bytes: Buffer): string {
  return xxh64(bytes).toString(16).padStart(16, '0');
}
