import { judge, questionFor } from '../freshness/index.ts';
import type { Span } from '../request/index.ts';
import { type Head, SMALL } from '../store/index.ts';
import { learnHead } from './learn-head.ts';
import type { Reading } from './reading.ts';
import { fetchGap } from './send-bytes.ts';
import { currentHead, gapRefused, sendVersion, startOver, vouchedHead } from './send-version.ts';
import { shareNewVersion } from './share-new.ts';
import type { Wanted } from './wanted.ts';

/** S3 is asked whether a candidate may be given to a GET, and answers with a 304, with bytes that are missing, or with all of it. */
export async function askToGet(reading: Reading, head: Head, wanted: Wanted, sameBytes = false): Promise<void> {
  const { request, entry, epoch, parts } = reading;
  const { store, trust, fetches } = parts;
  const { facts, signature, upstream, note } = request;
  const candidate = { head, overtaken: entry.headEpoch !== epoch, sameBytes };
  const question = questionFor(
    { method: 'GET', headers: upstream.headers, facts, signature, partNumber: request.kind.partNumber },
    candidate,
  );
  if (question.how === 'as_it_came') return reading.fetchAlone();
  const { span } = wanted;
  if (span) {
    await reading.onDisk(store.list(entry, span));
    const missing = fetches.firstMissing(entry, head, epoch, span);
    if (missing !== undefined && fetches.replaysRange(request)) return reading.fetchPlain();
    if (missing !== undefined && missing - span.start < SMALL)
      return askByGap(reading, head, wanted, { start: missing, end: span.end });
  }
  const sentAt = store.now();
  const answer = await fetches.question({ ...upstream, headers: question.headers }).catch((error: Error) => error);
  if (answer instanceof Error) return unreachable(reading, head, wanted, answer);
  const verdict = judge(question, head, answer.status, answer.headers);
  if (verdict === 'vouched') {
    answer.discard();
    // The write that has come between changed something else: a 304 doesn't say what.
    if (answer.status === 304 && candidate.overtaken && head.written === undefined)
      return askToGet(reading, head, wanted, true);
    const { head: known } = entry;
    if (answer.status !== 304) {
      if (known === head || (known?.version === head.version && known.written === undefined))
        learnHead(reading, answer, sentAt);
    } else if (known === head) trust.update(entry, answer.headers, epoch, sentAt);
    const current = vouchedHead(reading, candidate, wanted, answer.headers);
    if (!current) return reading.fetchAlone();
    reading.vouched(head, answer.headers, sentAt);
    note.outcome = 'REVALIDATED';
    return reading.give(current, wanted);
  }
  if (verdict === 'rewritten') {
    answer.discard();
    return reading.fetchAlone();
  }
  const stale = answer.status >= 500 ? reading.giveStale(head, wanted) : undefined;
  if (stale) {
    answer.discard();
    return stale;
  }
  const shared = shareNewVersion(reading, answer, sentAt);
  if (shared) return shared;
  // The object has changed, or this caller may not have it: the answer goes on, and is kept where it is a body.
  return reading.lead(fetches.adopt(answer, request, entry, epoch, sentAt));
}

/** The fetch of a gap near the beginning is the question: its If-Match holds for the whole answer. */
async function askByGap(reading: Reading, head: Head, wanted: Wanted, missing: Span): Promise<void> {
  const lead = fetchGap(reading, head, wanted.span ?? missing, missing)?.join(missing.start, reading.request);
  if (!lead) return reading.fetchAlone();
  const answer = await lead.flight.answer.catch((error: Error) => error);
  if (answer instanceof Error) {
    lead.leave();
    return unreachable(reading, head, wanted, answer);
  }
  if (!answer.learnt) return gapRefused(reading, lead, answer);
  reading.vouched(head, answer.headers, lead.flight.sentAt);
  const current = currentHead(reading, head, wanted);
  if (!current) return startOver(reading, lead);
  reading.request.note.outcome = missing.start === wanted.span?.start ? 'MISS' : 'PARTIAL';
  return sendVersion(reading, current, wanted, lead);
}

async function unreachable(reading: Reading, head: Head, wanted: Wanted, error: Error): Promise<void> {
  const stale = reading.giveStale(head, wanted);
  if (!stale) throw error;
  return stale;
}
