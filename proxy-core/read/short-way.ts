import type { ServerResponse } from 'node:http';
import { hasPreconditions, resolveRange, type Span } from '../request/index.ts';
import { type Cell, type Head, type ObjectEntry, type Store, UNIT } from '../store/index.ts';
import { replay } from './answer.ts';
import type { Trust } from './trust.ts';
import type { Note, ReadRequest } from './types.ts';

/** Cells that an answer may take up and still go this way; a larger one is sent piece by piece, as its client reads. */
const CELLS = 4;

/** Bodies up to this size go out in one string with their header: a copy that costs less than a second buffer. */
const ONE_PIECE = 8 << 10;

/**
 * The short way of a hit: everything is in memory, fresh, allowed, and in few cells. The answer is given at once, without
 * a promise, a timer or a listener, since this is what most requests to a warm cache are.
 *
 * @returns false, with nothing done, for a request that has to take the long way.
 */
export function serveFromMemory(store: Store, trust: Trust, request: ReadRequest): boolean {
  const { kind, facts, note, res } = request;
  if (request.mustAsk || kind.partNumber !== undefined || hasPreconditions(facts) || facts.ifRange !== undefined)
    return false;
  const entry = store.catalog.recent(kind.object);
  const head = entry?.head;
  if (!entry || !head || (facts.checksumMode && !head.checksumsKnown) || !trust.mayServe(request, entry)) return false;
  // It left while the settings were read.
  if (res.destroyed) return false;
  const options = { checksums: facts.checksumMode, part: undefined, cors: [] };
  if (kind.method === 'HEAD') {
    if (kind.range !== undefined) return false;
    note.outcome = 'HIT';
    note.objectSize = head.length;
    begin(res, 200, replay(head, { length: head.length, range: undefined }, options, note), note);
    res.end();
    return true;
  }
  const span = kind.range === undefined ? { start: 0, end: head.length - 1 } : resolveRange(kind.range, head.length);
  if (span === 'unsatisfiable' || span.end < span.start) return false;
  const cells = cellsOf(store, entry, head, span);
  if (!cells) return false;
  const length = span.end + 1 - span.start;
  note.outcome = 'HIT';
  note.objectSize = head.length;
  note.bytesFromCache = length;
  const range = kind.range === undefined ? undefined : `bytes ${span.start}-${span.end}/${head.length}`;
  begin(res, range === undefined ? 200 : 206, replay(head, { length, range }, options, note), note);
  note.bytesSent = length;
  send(res, cells, span.start % UNIT, length);
  return true;
}

/** The cells of a short span, if all of them are in memory. */
function cellsOf(store: Store, entry: ObjectEntry, head: Head, { start, end }: Span): Cell[] | undefined {
  const first = Math.floor(start / UNIT);
  const last = Math.floor(end / UNIT);
  if (last - first >= CELLS) return undefined;
  const cells: Cell[] = [];
  for (let index = first; index <= last; index++) {
    const cell = store.cell(entry, head, index);
    if (!cell) return undefined;
    cells.push(cell);
  }
  return cells;
}

function begin(res: ServerResponse, status: number, headers: string[], note: Note): void {
  note.status = status;
  note.firstByteAt = performance.now();
  res.sendDate = false;
  res.writeHead(status, headers);
}

/**
 * Header and body in one write. Node corks the socket at the first write and uncorks it in the next tick, with an empty
 * chunk of `end` behind, which makes a second buffer of every answer. Uncorked here, all is with the kernel before `end`
 * is called, and `end` has nothing left to write.
 */
function send(res: ServerResponse, cells: readonly Cell[], from: number, length: number): void {
  const first = cells[0]!.bytes.subarray(from, from + length);
  if (first.length === length && length <= ONE_PIECE) res.write(first.toString('latin1'), 'latin1');
  else {
    res.write(first);
    let left = length - first.length;
    for (let i = 1; i < cells.length; i++) {
      const { bytes } = cells[i]!;
      res.write(left < bytes.length ? bytes.subarray(0, left) : bytes);
      left -= bytes.length;
    }
  }
  res.socket?.uncork();
  res.end();
  // As a rule the kernel has taken everything by now, and what happens to the cells next is no matter.
  if (res.writableLength > 0) hold(res, cells);
}

function hold(res: ServerResponse, cells: readonly Cell[]): void {
  for (const cell of cells) cell.pin();
  res.once('close', () => {
    for (const cell of cells) cell.unpin();
  });
}
