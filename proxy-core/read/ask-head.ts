import { judge, questionFor } from '../freshness/index.ts';
import type { Head } from '../store/index.ts';
import { passOn } from './answer.ts';
import { learnHead } from './learn-head.ts';
import type { Reading } from './reading.ts';
import { vouchedHead } from './send-version.ts';
import type { Wanted } from './wanted.ts';

/** S3 is asked by a HEAD: about a candidate, where there is one, else as the caller asked. */
export async function askToHead(
  reading: Reading,
  candidate?: { readonly head: Head; readonly wanted: Wanted },
): Promise<void> {
  const { request, entry, epoch, parts, out } = reading;
  const { trust, fetches, store } = parts;
  const { note, facts, kind, upstream, signature } = request;
  const question =
    candidate &&
    questionFor(
      { method: 'HEAD', headers: upstream.headers, facts, signature, partNumber: undefined },
      { head: candidate.head, overtaken: entry.headEpoch !== epoch, sameBytes: false },
    );
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
      if (entry.head === head) trust.update(entry, headers, epoch, sentAt);
      // A head that a write has overtaken is not asked about in this way.
      const current = vouchedHead(reading, { head, overtaken: false }, wanted, headers) ?? head;
      reading.vouched(head, headers, sentAt);
      note.outcome = 'REVALIDATED';
      return reading.give(current, wanted);
    }
    if (verdict === 'rewritten') return askToHead(reading);
    const stale = status >= 500 ? reading.giveStale(head, wanted) : undefined;
    if (stale) return stale;
  }
  note.outcome = 'MISS';
  if (kind.range !== undefined || status !== 200 || !learnHead(reading, answer, sentAt)) {
    note.detail = 'fwd=uri-miss';
    trust.heard(request, entry, answer, epoch, sentAt);
  }
  reading.hearing.answered();
  out.begin(status, statusText, passOn(headers, note), 0);
  out.end();
}
