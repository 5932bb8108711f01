import { headerValue } from '../request/index.ts';
import { NOT_KEPT, passOn } from './answer.ts';
import { sendRaw } from './body.ts';
import type { FlightAnswer } from './flight-options.ts';
import type { FlightReader } from './flight-reader.ts';
import type { Reading } from './reading.ts';
import { sendBytes } from './send-bytes.ts';

/** S3's own answer goes on as it is; what it means for the cache is noted, and its body kept where it can be. */
export async function relay(reading: Reading, lead: FlightReader, answer: FlightAnswer): Promise<void> {
  const { request, entry, out, parts } = reading;
  const { note, kind } = request;
  const { flight } = lead;
  const { status, statusText, headers, learnt } = answer;
  const { head, span } = flight;
  note.outcome = 'MISS';
  if (learnt && head) {
    note.objectSize = head.length;
    if (!flight.kept) note.detail = NOT_KEPT;
    parts.trust.allow(request, entry, flight.epoch, flight.sentAt);
  } else {
    note.detail = status < 300 ? 'fwd=uri-miss; detail=not_storable' : 'fwd=uri-miss';
    parts.trust.heard(request, entry, answer, flight.epoch, flight.sentAt);
  }
  reading.hearing.answered();
  const length = bodyLength(answer, kind.method);
  out.begin(status, statusText, passOn(headers, note), length);
  if (length === 0) {
    lead.leave();
    out.end();
    return;
  }
  if (head && span) return sendBytes(reading, head, span, lead);
  lead.at = 0;
  return sendRaw(out, lead);
}

/** Body bytes that follow; -1 when the answer doesn't say. */
function bodyLength({ status, headers }: FlightAnswer, method: string): number {
  if (method === 'HEAD' || status === 204 || status === 304) return 0;
  const declared = headerValue(headers, 'content-length');
  return declared !== undefined && /^\d{1,15}$/.test(declared) ? Number(declared) : -1;
}
