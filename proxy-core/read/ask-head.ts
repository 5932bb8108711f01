import { judge, questionFor } from '../freshness/index.ts';
import type { Head } from '../store/index.ts';
import { passOn } from './answer.ts';
import { learn, mergeHeads } from './learn.ts';
import type { Reading } from './reading.ts';
import type { Wanted } from './wanted.ts';

/** S3 is asked by a HEAD: about a candidate, where there is one, else as the caller asked. */
export async function askToHead(
  reading: Reading,
  candidate?: { readonly head: Head; readonly wanted: Wanted },
): Promise<void> {
  const { request, entry, epoch, parts, out } = reading;
  const { trust, fetches, store } = parts;
  const { note, facts, kind, upstream, signature } = request;
  const question = candidate && questionFor(upstream.headers, facts, signature, 'HEAD', candidate.head);
  const asked = question ? { ...upstream, headers: question.headers } : upstream;
  const sentAt = store.now();
  const answer = await fetches.question(asked).catch((error: Error) => error);
  if (answer instanceof Error) {
    const stale = candidate && reading.giveStale(candidate.head, candidate.wanted);
    if (!stale) throw answer;
    return stale;
  }
  answer.discard();
  const { status, statusText, headers } = answer;
  if (candidate && question) {
    const { head, wanted } = candidate;
    const verdict = judge(question, head, status, headers);
    if (verdict === 'vouched') {
      if (entry.head?.version === head.version) trust.update(entry, headers, epoch, sentAt);
      reading.vouched(head, headers, sentAt);
      note.outcome = 'REVALIDATED';
      return reading.give(entry.head?.version === head.version ? entry.head : head, wanted);
    }
    if (verdict === 'rewritten') return askToHead(reading);
    const stale = status >= 500 ? reading.giveStale(head, wanted) : undefined;
    if (stale) return stale;
  }
  note.outcome = 'MISS';
  const seen =
    kind.range === undefined && status === 200
      ? learn(status, headers, { checksumMode: facts.checksumMode, partNumber: undefined })
      : undefined;
  if (seen) learnHead(reading, seen.head, sentAt);
  else {
    note.detail = 'fwd=uri-miss';
    trust.heard(request, entry, answer, epoch, sentAt);
  }
  reading.hearing.answered();
  out.begin(status, statusText, passOn(headers, note), 0);
  out.end();
}

function learnHead({ request, entry, epoch, parts }: Reading, seen: Head, sentAt: number): void {
  const { store, trust } = parts;
  const known = entry.head;
  const head = mergeHeads(known, seen);
  const stamp = { validatedAt: sentAt, epoch };
  request.note.objectSize = head.length;
  store.adopt(entry, head, stamp);
  trust.allow(request, entry, epoch, sentAt);
  if (known?.version === head.version && known.headers.length === head.headers.length) {
    store.catalog.touch(entry, sentAt, epoch, request.settings.head_ttl);
  } else void store.keepHead(entry, head, stamp);
}
