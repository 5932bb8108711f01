import { headerValue, type RawHeaders } from '../request/index.ts';
import type { Head } from '../store/index.ts';
import { NOT_KEPT, replay } from './answer.ts';
import type { Flight } from './flight.ts';
import type { FlightAnswer } from './flight-options.ts';
import type { FlightReader } from './flight-reader.ts';
import type { Reading } from './reading.ts';
import { relay } from './relay.ts';
import { fetchGap, sendBytes } from './send-bytes.ts';
import { type Wanted, wantedOf } from './wanted.ts';

/** Sends a version from wherever its bytes are. `lead`: a place in the fetch of a gap by which S3 has just vouched for it. */
export async function sendVersion(reading: Reading, head: Head, wanted: Wanted, lead?: FlightReader): Promise<void> {
  const { request, entry, epoch, parts } = reading;
  const { store, fetches } = parts;
  const { note, kind } = request;
  const { span } = wanted;
  note.objectSize = head.length;
  if (kind.method === 'HEAD' || !span) return begin(reading, head, wanted);
  if (store.firstGap(entry, head, span) !== undefined) await reading.onDisk(store.list(entry, span));
  const gap = lead ? undefined : fetches.firstMissing(entry, head, epoch, span);
  if (gap !== undefined) note.outcome = 'PARTIAL';
  if (gap === span.start) {
    // Nothing can be promised before S3 has said that the first bytes are to be had.
    lead = fetchGap(reading, head, span, { start: gap, end: span.end })?.join(gap, request);
    // The signature has ended, or what was known is of the past: S3 says so best.
    if (!lead) return reading.fetchAlone();
    const answer = await lead.flight.answer;
    if (!answer.learnt) return gapRefused(reading, lead, answer);
    note.outcome = 'MISS';
    reading.vouched(head, answer.headers, lead.flight.sentAt);
    const current = currentHead(reading, head, wanted);
    if (!current) return startOver(reading, lead);
    head = current;
  }
  if (note.outcome === 'MISS' && lead?.flight.kept === false) note.detail = NOT_KEPT;
  begin(reading, head, wanted);
  const onMissing = (flight: Flight) => missed(reading, head, wanted, flight);
  if (!lead || lead.at === span.start) return sendBytes(reading, head, span, lead, onMissing);
  // The gap comes later: its flight is held until the bytes before it have been sent.
  await sendBytes(reading, head, span, undefined, onMissing).finally(() => lead.leave());
}

/** The first bytes were believed to be kept and are not, evicted perhaps: the head of the answer, which waits for them, tells so. */
function missed(reading: Reading, head: Head, wanted: Wanted, flight: Flight): void {
  const { note } = reading.request;
  note.outcome = 'MISS';
  note.detail = flight.kept ? '' : NOT_KEPT;
  begin(reading, head, wanted);
}

function begin({ request, out, cors, entry, parts }: Reading, head: Head, { span, status, part }: Wanted): void {
  const { note, kind, facts } = request;
  parts.store.used(entry, head);
  const length = span ? span.end - span.start + 1 : 0;
  const range = status === 206 && span ? `bytes ${span.start}-${span.end}/${head.length}` : undefined;
  const headers = replay(head, { length, range }, { checksums: facts.checksumMode, part, cors }, note);
  if (kind.method === 'HEAD' || !span) out.endWith(status, headers, undefined);
  else out.begin(status, undefined, headers, length);
}

/** S3 refused a gap of a version that was to be served, and nothing has been sent yet. */
export function gapRefused(reading: Reading, lead: FlightReader, answer: FlightAnswer): Promise<void> {
  if (answer.status !== 412 && answer.status >= 300) return relay(reading, lead, answer);
  // Not the version that is known any more.
  return startOver(reading, lead);
}

/** The read begins again with the caller's plain request. */
export function startOver(reading: Reading, lead: FlightReader): Promise<void> {
  lead.leave();
  return reading.fetchAlone();
}

/**
 * The head of this version after the fetch of a gap: the same bytes may have been written again since, with other metadata.
 * Undefined when what is known of them then is not all that was asked for, or only what a write told.
 */
export function currentHead({ request, entry }: Reading, head: Head, { part }: Wanted): Head | undefined {
  const current = entry.head;
  const isAnother = !current || current.version !== head.version || current === head;
  if (isAnother || current.written !== undefined) return head.written === undefined ? head : undefined;
  return wantedOf(request, current, part) ? current : undefined;
}

/**
 * The head to give when S3 has answered a question about one, with these headers: what is known by now of the same writing of
 * its bytes. Undefined when that is not all that was asked for; or when a write has put another in its place, or removed it,
 * and the one that was asked about had been overtaken already, so that S3 has more to tell than it does.
 */
export function vouchedHead(
  { entry, request }: Reading,
  { head, overtaken }: { readonly head: Head; readonly overtaken: boolean },
  { part }: Wanted,
  headers: RawHeaders,
): Head | undefined {
  const current = entry.head;
  const modified = headerValue(headers, 'last-modified') ?? headerValue(head.headers, 'last-modified');
  const isSame = current?.version === head.version && headerValue(current.headers, 'last-modified') === modified;
  if (!isSame || current.written !== undefined) return overtaken ? undefined : head;
  return current === head || wantedOf(request, current, part) ? current : undefined;
}
