import type { Stats } from 'node:fs';
import { isMissing } from './disk-error.ts';
import type { Volume } from './volume.ts';

/** Depth of the folders that hold heads: bucket, first digits, next digits. */
export const LEAF = 3;
/** An epoch without a head is forgotten after this long: no read that began before the write is still unanswered, ms. */
export const EPOCH_KEPT = 15 * 60_000;

/** Names in a folder, none where it is gone or none. */
export async function namesIn(volume: Volume, folder: string): Promise<string[]> {
  return volume.readdir(folder).catch(error => {
    if (isMissing(error)) return [];
    throw error;
  });
}

/** An epoch whose head is there; it has to stay. */
export function isEpochInUse(name: string, names: ReadonlySet<string>): boolean {
  return name.endsWith('.epoch') && names.has(`${name.slice(0, -'.epoch'.length)}.head`);
}

/** A head without which nobody would find what is there of its object; it goes last. A small object is in its head. */
export function isHeadInUse(name: string, names: Iterable<string>): boolean {
  if (!name.endsWith('.head')) return false;
  const hash = name.slice(0, -'head'.length);
  for (const other of names) if (other.startsWith(hash) && other !== name && !other.endsWith('.epoch')) return true;
  return false;
}

/** An epoch that reads which began before its write may still need. */
export function isYoungEpoch(name: string, { mtimeMs }: Stats, now: number): boolean {
  return name.endsWith('.epoch') && mtimeMs > now - EPOCH_KEPT;
}

/** A head of an object that was written through Cistern. */
export function hasEpoch(name: string, names: ReadonlySet<string>): boolean {
  return name.endsWith('.head') && names.has(`${name.slice(0, -'.head'.length)}.epoch`);
}

/** The key in a store key. */
export function keyOf(storeKey: string): string {
  return storeKey.slice(storeKey.indexOf('\0', storeKey.indexOf('\0') + 1) + 1);
}

/** The object that a file below a leaf belongs to. */
export function hashIn(path: string): string {
  return /[/\\]([0-9a-f]{64})\.[^/\\]*(?:[/\\]|$)/.exec(path)?.[1] ?? '';
}

/** Folders that hold content, as opposed to `_settings.json`. */
export function isFolder(name: string): boolean {
  return !name.startsWith('_');
}
