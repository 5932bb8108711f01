import { isFresh } from '../../proxy-core/freshness/index.ts';
import type { Head, ObjectEntry, Store } from '../../proxy-core/store/index.ts';

export const TTL = 60_000;

/** S3 has vouched for a head: it is the current one, in memory and on the disk. */
export async function keep(store: Store, entry: ObjectEntry, head: Head, at = store.now()): Promise<void> {
  const stamp = { validatedAt: at, epoch: entry.epoch };
  store.adopt(entry, head, stamp);
  await store.keepHead(entry, head, stamp);
}

/** Whether it may be served without asking S3, by its age. */
export const fresh = (store: Store, entry: ObjectEntry) =>
  isFresh(entry, TTL, store.now()) && !store.catalog.isDirty(entry);

/** Whether a file is an object's epoch. */
export const isEpoch = (path: string) => path.endsWith('.epoch');
