import type { Span } from '../request/index.ts';
import { type Content, type Head, type ObjectEntry, type Store, UNIT } from '../store/index.ts';
import type { Flight, FlightReader } from './flight.ts';
import type { Flights } from './flights.ts';
import type { Outlet } from './outlet.ts';
import type { Note } from './types.ts';

/** Cells taken from RAM for one write. */
const BATCH = 1 << 20;
/** Fetches of one gap that may fail without a byte in between before the answer is cut. */
const TRIES = 3;

export interface BodyContext {
  readonly store: Store;
  readonly flights: Flights;
  readonly entry: ObjectEntry;
  readonly head: Head;
  readonly epoch: string;
  readonly ram: boolean;
  readonly out: Outlet;
  readonly note: Note;
  /** Starts a fetch of what is missing of this version from the span's first byte on. Undefined when it can't be asked for. */
  fetchGap(missing: Span): Flight | undefined;
  /** Called before each piece with what is left: the last moment to ask S3 for what is missing of it. */
  beforePiece(left: Span): void;
}

/**
 * Sends `span` of one version to the client, piece by piece from wherever each is: RAM, disk, a flight under way, or a
 * new one. Whatever fails in between only changes where the next piece comes from; when none is left, the connection
 * is cut (design section 3, rules 2 and 4).
 */
export async function sendBody(context: BodyContext, span: Span, first?: FlightReader): Promise<void> {
  const { store, entry, head, out } = context;
  let at = span.start;
  let failures = 0;
  let listedFor = -1;
  let ahead: Promise<Content | undefined> | undefined;
  if (first) at = await follow(context, first, span.end);
  while (at <= span.end) {
    if (out.gone) break;
    const room = out.room();
    if (room) {
      await room;
      continue;
    }
    context.beforePiece({ start: at, end: span.end });
    const sent = ahead ? 0 : fromRam(context, at, span.end);
    if (sent > 0) {
      at += sent;
      continue;
    }
    const content = await (ahead ?? store.read(entry, head, { start: at, end: span.end }, context));
    ahead = undefined;
    if (content) {
      at += content.length;
      failures = 0;
      if (
        at <= span.end &&
        entry.head?.version === head.version &&
        entry.index(at).at(at) &&
        !store.cell(entry, head, Math.floor(at / UNIT))
      ) {
        ahead = store.read(entry, head, { start: at, end: span.end }, context);
      }
      context.note.bytesFromCache += content.length;
      if (out.gone) content.release(true);
      else out.write(content.pieces, content.length, content.release);
      continue;
    }
    const flight = context.flights.offering(entry, context.epoch, head.version, at);
    if (flight) {
      const next = await follow(context, flight.join(at), span.end);
      failures = next > at ? 0 : failures + 1;
      at = next;
    } else {
      // One look for each byte: what is there, but can't be read, would be found again and again.
      if (listedFor !== at) {
        listedFor = at;
        await store.list(entry, { start: at, end: at });
        if (store.firstGap(entry, head, { start: at, end: at }) === undefined) continue;
      }
      const gap = context.fetchGap({ start: at, end: span.end });
      if (!gap) return out.cut('the missing bytes can no longer be asked for');
      const next = await follow(context, gap.join(at), span.end);
      failures = next > at ? 0 : failures + 1;
      at = next;
    }
    if (failures >= TRIES) return out.cut('the missing bytes could not be had from S3');
  }
  ahead?.then(
    content => content?.release(true),
    () => {},
  );
  out.end();
}

/** Writes whole cells from RAM, as many as there are in a row; returns how many bytes that were. */
function fromRam({ store, entry, head, out, note }: BodyContext, at: number, end: number): number {
  const pieces: Buffer[] = [];
  let length = 0;
  while (length < BATCH && at + length <= end) {
    const from = at + length;
    const cell = Math.floor(from / UNIT);
    const content = store.cell(entry, head, cell);
    if (!content) break;
    const skip = from - cell * UNIT;
    const piece = content.subarray(skip, Math.min(content.length, end + 1 - cell * UNIT));
    if (piece.length === 0) break;
    pieces.push(piece);
    length += piece.length;
  }
  if (length > 0) {
    note.bytesFromCache += length;
    out.write(pieces, length);
  }
  return length;
}

/** Streams from a flight for as long as it has what is next; returns the next byte wanted. */
async function follow(context: BodyContext, reader: FlightReader, end: number): Promise<number> {
  const { out, store, entry, head } = context;
  const unwatch = out.onGone(() => reader.wake());
  try {
    while (reader.at <= end && !out.gone && !reader.refused) {
      const room = out.room();
      if (room) {
        await room;
        continue;
      }
      const at = reader.at;
      const taken = reader.take();
      if (taken === 'wait') await reader.wait();
      else if (taken === 'behind') {
        if (store.firstGap(entry, head, { start: at, end: at }) === undefined) break;
        await reader.wait();
      } else if (taken === 'end' || taken === 'failed') break;
      else {
        const over = at + taken.length - 1 - end;
        if (over > 0) cutEnd(taken.chunks, over);
        out.write(taken.chunks, taken.length - Math.max(0, over));
      }
    }
    return Math.min(reader.at, end + 1);
  } finally {
    unwatch();
    reader.leave();
  }
}

/** Sends a body that is not kept, as it comes. */
export async function sendRaw(out: Outlet, flight: Flight): Promise<void> {
  const reader = flight.join(0);
  const unwatch = out.onGone(() => reader.wake());
  try {
    while (!out.gone) {
      const taken = reader.take();
      if (taken === 'end') return out.end();
      if (taken === 'failed' || taken === 'behind') return out.cut(flight.error?.message ?? 'S3 cut the body');
      if (taken === 'wait') await reader.wait();
      else {
        out.write(taken.chunks, taken.length);
        await out.room();
      }
    }
  } finally {
    unwatch();
    reader.leave();
  }
}

function cutEnd(chunks: Buffer[], over: number): void {
  for (let last = chunks.pop(); last; last = chunks.pop()) {
    if (last.length > over) {
      chunks.push(last.subarray(0, last.length - over));
      return;
    }
    over -= last.length;
  }
}
