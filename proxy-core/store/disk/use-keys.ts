import { EXTENT } from './extent-format.ts';
import { parseSpan } from './paths.ts';

/**
 * What uses are counted by: a head (with the body of a small object in it), and each stretch of 8 MiB of a larger object.
 * Numbers of 32 bits made of the object's hash, so that what is kept of them names nobody's keys.
 */

/** Of the head of an object. @param hash BLAKE3 of its store key, hex */
export function headKey(hash: string): number {
  return Number.parseInt(hash.slice(-8), 16) | 0;
}

/** Of the stretch that a byte of the object is in. @param head its head's key */
export function stretchKey(head: number, at: number): number {
  let key = head ^ Math.imul(Math.floor(at / EXTENT) + 1, 0x9e3779b1);
  key = Math.imul(key ^ (key >>> 16), 0x85ebca6b);
  return key ^ (key >>> 13);
}

/** Of a file of an object: an extent may lie in two stretches, everything else goes with the head. */
export function keysOfFile(hash: string, name: string): readonly [number, number] {
  const head = headKey(hash);
  const span = parseSpan(name.slice(name.lastIndexOf('.') + 1));
  return span ? [stretchKey(head, span.start), stretchKey(head, span.end)] : [head, head];
}
