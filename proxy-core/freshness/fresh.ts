import type { ObjectEntry } from '../store/index.ts';

/**
 * Whether the head may be used without asking S3 (design section 5): it belongs to the object's current epoch, a ttl is
 * set, and S3 vouched for it no longer ago than that. A head from the future is not fresh.
 * @param ttl ms
 * @param now on the volume's clock, ms
 */
export function isFresh(
  entry: Pick<ObjectEntry, 'epoch' | 'headEpoch' | 'validatedAt'>,
  ttl: number,
  now: number,
): boolean {
  if (ttl <= 0 || entry.headEpoch !== entry.epoch) return false;
  const age = now - entry.validatedAt;
  return age >= 0 && age <= ttl;
}
