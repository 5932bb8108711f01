import type { Asked } from './asked.ts';
import { learn } from './learn.ts';
import type { Reading } from './reading.ts';
import { wantedOf } from './wanted.ts';

/**
 * S3 has answered a question about an older version with another one's body. Where somebody else has been told the same just
 * before, and every byte of it is being fetched already, or kept, this caller has been let in by its own answer and shares
 * those bytes. Undefined where they have to come from that answer.
 */
export function shareNewVersion(reading: Reading, answer: Asked, sentAt: number): Promise<void> | undefined {
  const { request, entry, epoch, parts } = reading;
  const { kind, facts, note } = request;
  if (kind.partNumber !== undefined) return undefined;
  const { head: known } = entry;
  const seen = learn(answer.status, answer.headers, { checksumMode: facts.checksumMode, partNumber: undefined });
  if (!known || known.version !== seen?.head.version || known.lastModified !== seen.head.lastModified) return undefined;
  const wanted = wantedOf(request, known, undefined);
  if (!wanted?.span || wanted.span.start !== seen.span?.start || wanted.span.end !== seen.span.end) return undefined;
  if (parts.fetches.firstMissing(entry, known, epoch, wanted.span) !== undefined) return undefined;
  answer.discard();
  reading.vouched(known, answer.headers, sentAt);
  note.outcome = 'REVALIDATED';
  return reading.give(known, wanted);
}
