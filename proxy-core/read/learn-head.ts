import type { RawHeaders } from '../request/index.ts';
import { isSameHead } from '../store/index.ts';
import { isOvertaken, learn, mergeHeads } from './learn.ts';
import type { Reading } from './reading.ts';

/**
 * Makes what an answer tells of the object the current head, whatever becomes of its body. S3 has let this caller read it.
 *
 * @returns false for an answer that no head can be made of
 */
export function learnHead(
  { request, entry, epoch, parts }: Reading,
  { status, headers }: { readonly status: number; readonly headers: RawHeaders },
  sentAt: number,
): boolean {
  const { store, trust } = parts;
  const { facts, settings, note } = request;
  const seen = learn(status, headers, { checksumMode: facts.checksumMode, partNumber: undefined })?.head;
  if (!seen) return false;
  note.objectSize = seen.length;
  if (isOvertaken(entry, epoch)) return true;
  const { head: known, headEpoch } = entry;
  const head = mergeHeads(known, seen);
  const stamp = { validatedAt: sentAt, epoch };
  store.adopt(entry, head, stamp);
  store.used(entry, head);
  trust.allow(request, entry, epoch, sentAt);
  if (headEpoch === epoch && isSameHead(known, head))
    store.catalog.touch(entry, sentAt, epoch, Math.max(settings.get_ttl, settings.head_ttl));
  else void store.keepHead(entry, head, stamp);
  return true;
}
