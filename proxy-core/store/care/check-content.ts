import type { BufferPool } from '../buffer-pool.ts';
import { isMissing } from '../disk/disk-error.ts';
import { DamagedExtent, ExtentFile } from '../disk/extent-file.ts';
import type { Binding } from '../disk/extent-format.ts';
import { decodeExtent } from '../disk/extent-memory.ts';
import { openQuietly } from '../disk/open-quietly.ts';
import type { Volume } from '../disk/volume.ts';
import type { NamedExtent } from './object-files.ts';
import type { Pace } from './pace.ts';
import { readUpTo, type SeenHead } from './seen-head.ts';

/** `gone`: removed meanwhile. */
export type Verdict = 'sound' | 'damaged' | 'gone';

/** Reads an extent as a whole and checks every unit. Rejects with the volume's error where it can't be read. */
export async function checkExtent(
  volume: Volume,
  pool: BufferPool,
  pace: Pace,
  { path, start, end }: NamedExtent,
  binding: Binding,
): Promise<Verdict> {
  const span = { start, end };
  let file: ExtentFile | undefined;
  try {
    const opened = await pace.step(() => ExtentFile.open(volume, path, binding, span, openQuietly(volume, path)));
    file = opened;
    for (let at = start; at <= end; ) {
      const content = await pace.step(() => opened.read({ start: at, end }, pool));
      at += content.length;
      content.release();
    }
    return 'sound';
  } catch (error) {
    if (error instanceof DamagedExtent) return 'damaged';
    if (isMissing(error)) return 'gone';
    throw error;
  } finally {
    file?.close();
  }
}

/** The body behind a head. */
export async function checkInline(volume: Volume, pace: Pace, path: string, head: SeenHead): Promise<Verdict> {
  const file = await pace.step(() => readUpTo(volume, path, head.stats.size));
  // Replaced meanwhile by another one, which was just written.
  if (!file || file.stats.ino !== head.stats.ino) return 'gone';
  const binding = { hash: hashIn(path), version: head.head.version };
  const span = { start: 0, end: head.head.length - 1 };
  return (await decodeExtent(file.bytes.subarray(head.bodyAt), binding, span)) ? 'sound' : 'damaged';
}

function hashIn(head: string): string {
  return head.slice(-'.head'.length - 64, -'.head'.length);
}
