import type { Span } from '../request/index.ts';
import { type Content, type Head, type ObjectEntry, type Store, UNIT } from '../store/index.ts';
import type { DiskTurn } from './disk-pace.ts';
import type { Flight } from './flight.ts';
import type { FlightReader } from './flight-reader.ts';
import type { Flights } from './flights.ts';
import type { Outlet } from './outlet.ts';
import type { Passed } from './passed.ts';
import { Rescue } from './rescue.ts';
import type { Note, ReadRequest } from './types.ts';

/** Cells taken from RAM for one write. */
const BATCH = 1 << 20;
/** Others' flights that may fail this answer without a byte in between before it is given up. */
const TRIES = 3;
/** Most bytes that go out with the head: where many wait for the same flight, the first bytes of all come before the bulk of any. */
const FIRST = 16 << 10;
/** How long a reader waits for a flight to come to where it reads before it looks again whether that is worth it, ms. */
const SECOND_LOOK = 2000;
/** One that has fallen behind waits for its bytes to be on the disk until nothing of the flight has moved for so long, ms; then it asks S3. */
const BEHIND = 500;

export interface BodyContext {
  readonly store: Store;
  readonly flights: Flights;
  readonly request: ReadRequest;
  readonly entry: ObjectEntry;
  readonly head: Head;
  readonly epoch: string;
  readonly out: Outlet;
  readonly note: Note;
  readonly disk: DiskTurn;
  readonly passed: Passed;
  /** Starts a fetch of what is missing of this version from the span's first byte on. Undefined when it can't be asked for. */
  fetchGap(missing: Span): Flight | undefined;
  /** The same for all of the span, whatever is kept of it. */
  fetchAll(span: Span): Flight | undefined;
  /** Sends the caller's request for this version once more, as it came. Undefined when that can't be, or a gap is asked for so anyway. */
  fetchOwn(at: number): Flight | undefined;
  /** Told before each piece where the answer is and, where it follows a flight, which. */
  onProgress(at: number, flight?: Flight): void;
}

/** Bytes that were promised can't be had. */
export class BodyLost extends Error {
  override readonly name = 'BodyLost';
}

/**
 * Sends `span` of one version to the client, piece by piece from wherever each is: RAM, disk, a flight under way, or a
 * new one. Whatever fails in between only changes where the next piece comes from; rejects with {@link BodyLost} when
 * none is left (design section 3, rules 2 and 4).
 */
export async function sendBody(context: BodyContext, span: Span, first?: FlightReader): Promise<void> {
  const { store, entry, head, out, request } = context;
  const ram = { ram: request.settings.ram_cache_eligible };
  let at = span.start;
  let failures = 0;
  let listedFor = -1;
  let ahead: Promise<Content | undefined> | undefined;
  if (first) at = await follow(context, first, span.end);
  const rescue = new Rescue(context, first?.flight);
  while (at <= span.end) {
    if (out.gone) break;
    const room = out.room();
    if (room) {
      await room;
      continue;
    }
    context.onProgress(at);
    const sent = ahead ? 0 : fromRam(context, at, span.end);
    if (sent > 0) {
      at += sent;
      continue;
    }
    if (context.disk.slow) {
      forget(ahead);
      ahead = undefined;
      const next = await fromS3(context, at, span.end);
      if (next === at) context.disk.endure();
      at = next;
      continue;
    }
    const since = performance.now();
    const content = await (ahead ?? store.read(entry, head, { start: at, end: span.end }, ram));
    ahead = undefined;
    if (content) {
      context.disk.waited(content.length, performance.now() - since);
      at += content.length;
      failures = 0;
      if (
        at <= span.end &&
        entry.head?.version === head.version &&
        entry.index(at).at(at) &&
        !store.cell(entry, head, Math.floor(at / UNIT))
      ) {
        ahead = store.read(entry, head, { start: at, end: span.end }, ram);
      }
      context.note.bytesFromCache += content.length;
      if (out.gone) content.release();
      else out.write(content.pieces, content.length, content.release);
      continue;
    }
    const other = context.flights.offering(entry, context.epoch, head.version, at, context.passed);
    let flight = other;
    if (!flight) {
      // One look for each byte: what is there, but can't be read, would be found again and again.
      if (listedFor !== at) {
        listedFor = at;
        await store.list(entry, { start: at, end: at });
        continue;
      }
      flight = context.fetchGap({ start: at, end: span.end });
      if (!flight) throw new BodyLost('the missing bytes can no longer be asked for');
    }
    // One of its own may have to come from afar, where the caller's whole range is replayed: there is nothing better.
    const next = await follow(context, flight.join(at, request), span.end, !other);
    failures = next > at ? 0 : failures + 1;
    at = next;
    if (other && context.passed.has(other)) failures = 0;
    if (failures < TRIES && (failures === 0 || other || flight.stopped)) continue;
    // What S3 refused to this very request, or failed to do in spite of resumptions, it won't do for another like it.
    const rescued = await rescue.from(flight, at);
    if (rescued === 'again') continue;
    const reached = rescued ? await follow(context, rescued.join(at, request), span.end, true) : at;
    if (reached === at) throw new BodyLost('the missing bytes could not be had from S3');
    failures = 0;
    at = reached;
  }
  forget(ahead);
  out.end();
}

/** A read ahead that nobody waits for any more. */
function forget(ahead: Promise<Content | undefined> | undefined): void {
  void ahead?.then(content => content?.release());
}

/** Bytes that the disk has, but would be long in giving; returns the next byte wanted. */
async function fromS3(context: BodyContext, at: number, end: number): Promise<number> {
  const { flights, entry, head, epoch, request } = context;
  const flight =
    flights.offering(entry, epoch, head.version, at, context.passed) ?? context.fetchAll({ start: at, end });
  return flight ? follow(context, flight.join(at, request), end) : at;
}

/** Writes whole cells from RAM, as many as there are in a row; returns how many bytes that were. */
function fromRam({ store, entry, head, out, note }: BodyContext, at: number, end: number): number {
  const pieces: Buffer[] = [];
  const cells: { unpin(): void }[] = [];
  let length = 0;
  while (length < BATCH && at + length <= end) {
    const from = at + length;
    const index = Math.floor(from / UNIT);
    const cell = store.cell(entry, head, index);
    if (!cell) break;
    const piece = cell.bytes.subarray(from - index * UNIT, Math.min(cell.bytes.length, end + 1 - index * UNIT));
    if (piece.length === 0) break;
    cell.pin();
    cells.push(cell);
    pieces.push(piece);
    length += piece.length;
  }
  if (length > 0) {
    note.bytesFromCache += length;
    out.write(pieces, length, () => {
      for (const cell of cells) cell.unpin();
    });
  }
  return length;
}

/** Streams from a flight for as long as it has what is next; returns the next byte wanted. `patient`: there is no other. */
async function follow(context: BodyContext, reader: FlightReader, end: number, patient = false): Promise<number> {
  const { out, store, entry, head } = context;
  const { flight } = reader;
  const unwatch = out.onGone(() => reader.wake());
  let behind = { since: 0, progress: -1 };
  try {
    while (reader.at <= end && !out.gone && !flight.refused && !context.passed.has(flight)) {
      const room = out.room();
      if (room) {
        await room;
        continue;
      }
      const { at } = reader;
      context.onProgress(at, flight);
      const found = reader.take(out.begun ? end - at + 1 : Math.min(FIRST, end - at + 1));
      if (found === 'end' || found === 'failed') break;
      if (found === 'behind') {
        if (store.firstGap(entry, head, { start: at, end: at }) === undefined) break;
        if (flight.progress !== behind.progress) behind = { since: performance.now(), progress: flight.progress };
        const left = behind.since + BEHIND - performance.now();
        if (left > 0) await waitFor(reader, left);
        else context.passed.add(flight);
      } else if (found === 'wait') {
        if (patient || at === flight.position) await reader.wait();
        else if (!(await comesSoon(reader))) {
          context.passed.add(flight);
          break;
        }
      } else out.write(found.pieces, found.length, found.release);
    }
    return Math.min(reader.at, end + 1);
  } finally {
    unwatch();
    reader.leave();
  }
}

/** Waits for a flight that has still to come to where its reader is. False when that would take too long after all. */
async function comesSoon(reader: FlightReader): Promise<boolean> {
  await waitFor(reader, SECOND_LOOK);
  return reader.at <= reader.flight.position || reader.flight.comesSoon(reader.at);
}

/** Waits for a flight for so many ms at the most. */
async function waitFor(reader: FlightReader, ms: number): Promise<void> {
  const timer = setTimeout(() => reader.wake(), ms);
  await reader.wait();
  clearTimeout(timer);
}

/** Sends a body that is not kept, as it comes. */
export async function sendRaw(out: Outlet, reader: FlightReader): Promise<void> {
  const { flight } = reader;
  const unwatch = out.onGone(() => reader.wake());
  try {
    while (!out.gone) {
      const found = reader.take(Number.POSITIVE_INFINITY);
      if (found === 'end') return out.end();
      if (found === 'failed' || found === 'behind') return out.cut(flight.error?.message ?? 'S3 cut the body');
      if (found === 'wait') await reader.wait();
      else {
        out.write(found.pieces, found.length, found.release);
        await out.room();
      }
    }
  } finally {
    unwatch();
    reader.leave();
  }
}
