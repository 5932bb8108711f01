import type { ServerResponse } from 'node:http';
import { hasPreconditions, resolveRange, type Span } from '../request/index.ts';
import { type Cell, type Head, type ObjectEntry, type Store, UNIT } from '../store/index.ts';
import { replay } from './answer.ts';
import { HeadTexts } from './head-text.ts';
import type { Trust } from './trust.ts';
import type { Note, ReadQuestion, ReadRequest, Wire } from './types.ts';

/** Cells that an answer may take up and still go this way; a larger one is sent piece by piece, as its client reads. */
const CELLS = 4;

/** Bodies up to this size go out in one string with their header: a copy that costs less than a second buffer. */
const ONE_PIECE = 8 << 10;

/** A whole answer in memory. */
interface Recalled {
  readonly head: Head;
  /** Holds the body; none for HEAD. */
  readonly cells: readonly Cell[];
  /** Where the body begins in the first cell. */
  readonly from: number;
  readonly length: number;
  /** `Content-Range`, of a part. */
  readonly range: string | undefined;
}

/**
 * The short way of a hit: everything is in memory, fresh, allowed, and in few cells. The answer is given at once, without
 * a promise, a timer or a listener, since this is what most requests to a warm cache are.
 *
 * @returns false, with nothing done, for a request that has to take the long way.
 */
export function serveFromMemory(store: Store, trust: Trust, request: ReadRequest): boolean {
  const { facts, note, res } = request;
  // It left while the settings were read.
  if (res.destroyed) return false;
  const found = recall(store, trust, request);
  if (!found) return false;
  const { head, cells, length, range } = found;
  const options = { checksums: facts.checksumMode, part: undefined, cors: [] };
  res.sendDate = false;
  remember(note, found);
  res.writeHead(note.status, replay(head, { length, range }, options, note));
  if (cells.length === 0) res.end();
  else send(res, found);
  return true;
}

/** The same for a connection that is not in the hands of `node:http` (design section 15). */
export function answerOnWire(store: Store, trust: Trust, question: ReadQuestion, wire: Wire): boolean {
  const found = recall(store, trust, question);
  if (!found) return false;
  const { note, facts } = question;
  const { head, cells, from, length, range } = found;
  remember(note, found);
  const text = texts.of(head, { length, range }, facts.checksumMode, note);
  if (text === undefined) return false;
  if (cells.length === 0) wire.send(text, []);
  else if (cells.length === 1 && length <= ONE_PIECE)
    wire.send(text + cells[0]!.bytes.toString('latin1', from, from + length), []);
  else if (!wire.send(text, pieces(found))) wire.onSent(pin(cells));
  return true;
}

const texts = new HeadTexts();

function recall(store: Store, trust: Trust, question: ReadQuestion): Recalled | undefined {
  const { kind, facts } = question;
  if (question.mustAsk || kind.partNumber !== undefined || hasPreconditions(facts) || facts.ifRange !== undefined)
    return undefined;
  const entry = store.catalog.recent(kind.object);
  const head = entry?.head;
  if (!entry || !head || (facts.checksumMode && !head.checksumsKnown) || !trust.mayServe(question, entry))
    return undefined;
  if (kind.method === 'HEAD') {
    if (kind.range !== undefined) return undefined;
    store.used(entry, head);
    return { head, cells: [], from: 0, length: head.length, range: undefined };
  }
  const span = kind.range === undefined ? { start: 0, end: head.length - 1 } : resolveRange(kind.range, head.length);
  if (span === 'unsatisfiable' || span.end < span.start) return undefined;
  const cells = cellsOf(store, entry, head, span);
  if (!cells) return undefined;
  store.used(entry, head, span.start);
  return {
    head,
    cells,
    from: span.start % UNIT,
    length: span.end + 1 - span.start,
    range: kind.range === undefined ? undefined : `bytes ${span.start}-${span.end}/${head.length}`,
  };
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

function remember(note: Note, { head, cells, length, range }: Recalled): void {
  note.outcome = 'HIT';
  note.status = range === undefined ? 200 : 206;
  note.objectSize = head.length;
  note.firstByteAt = performance.now();
  if (cells.length === 0) return;
  note.bytesFromCache = length;
  note.bytesSent = length;
}

/** The body, as it lies in the cells. */
function pieces({ cells, from, length }: Recalled): Buffer[] {
  const first = cells[0]!.bytes.subarray(from, from + length);
  const all = [first];
  let left = length - first.length;
  for (let i = 1; i < cells.length; i++) {
    const { bytes } = cells[i]!;
    all.push(left < bytes.length ? bytes.subarray(0, left) : bytes);
    left -= bytes.length;
  }
  return all;
}

/**
 * Header and body in one write. Node corks the socket at the first write and uncorks it in the next tick, with an empty
 * chunk of `end` behind, which makes a second buffer of every answer. Uncorked here, all is with the kernel before `end`
 * is called, and `end` has nothing left to write.
 */
function send(res: ServerResponse, found: Recalled): void {
  const [first, ...more] = pieces(found);
  if (more.length === 0 && found.length <= ONE_PIECE) res.write(first!.toString('latin1'), 'latin1');
  else {
    res.write(first);
    for (const piece of more) res.write(piece);
  }
  res.socket?.uncork();
  res.end();
  // As a rule the kernel has taken everything by now, and what happens to the cells next is no matter.
  if (res.writableLength > 0) res.once('close', pin(found.cells));
}

/** Holds the cells, until what it returns is called. */
function pin(cells: readonly Cell[]): () => void {
  for (const cell of cells) cell.pin();
  return () => {
    for (const cell of cells) cell.unpin();
  };
}
