import { CisternError } from '../errors.ts';
import { hasPreconditions, resolveRange } from '../request/index.ts';
import { UNIT } from '../store/index.ts';
import { replay } from './answer.ts';
import { Fetches, type FetchesOptions } from './fetches.ts';
import { Outlet } from './outlet.ts';
import { ParallelFills, type ParallelFillsOptions } from './parallel.ts';
import { Reading, type ReadingParts } from './reading.ts';
import { Trust, type TrustOptions } from './trust.ts';
import type { ReadRequest } from './types.ts';

export interface ReaderOptions extends TrustOptions, FetchesOptions {
  /** Gives an error that Cistern makes, as S3-style XML. */
  readonly parallelFill: Pick<ParallelFillsOptions, 'connections' | 'minObjectSize'>;
  readonly fail: (request: ReadRequest, error: CisternError) => void;
}

/**
 * Answers GET and HEAD of objects (design section 3): from what is kept where that is fresh and this caller may have it,
 * else by asking S3 with the caller's own request.
 */
export class Reader {
  readonly #parts: ReadingParts;
  readonly #fail: ReaderOptions['fail'];

  constructor(options: ReaderOptions) {
    const fetches = new Fetches(options);
    const { store, parallelFill } = options;
    this.#parts = {
      store,
      trust: new Trust(options),
      fetches,
      parallel: new ParallelFills({ store, fetches, ...parallelFill }),
    };
    this.#fail = options.fail;
  }

  /** Fetches from S3 under way. */
  get flights(): number {
    return this.#parts.fetches.flights.count;
  }

  /** Undefined when the answer has been given at once; else a promise that never rejects. */
  serve(request: ReadRequest): Promise<void> | undefined {
    if (this.#serveFromRam(request)) {
      request.onDone(request.note);
      return undefined;
    }
    return this.#serve(request);
  }

  /** The short way: everything is in memory, fresh, allowed, and fits one cell. */
  #serveFromRam(request: ReadRequest): boolean {
    const { store, trust } = this.#parts;
    const { kind, facts, note, res } = request;
    if (request.mustAsk || kind.partNumber !== undefined || hasPreconditions(facts) || facts.ifRange !== undefined)
      return false;
    const entry = store.catalog.recent(kind.object);
    const head = entry?.head;
    if (!entry || !head || (facts.checksumMode && !head.checksumsKnown) || !trust.mayServe(request, entry))
      return false;
    const checksums = { checksums: facts.checksumMode, part: undefined, cors: [] };
    if (kind.method === 'HEAD') {
      if (kind.range !== undefined) return false;
      note.outcome = 'HIT';
      note.objectSize = head.length;
      new Outlet(res, note).endWith(
        200,
        replay(head, { length: head.length, range: undefined }, checksums, note),
        undefined,
      );
      return true;
    }
    const span = kind.range === undefined ? { start: 0, end: head.length - 1 } : resolveRange(kind.range, head.length);
    if (span === 'unsatisfiable' || span.end < span.start) return false;
    const cell = Math.floor(span.start / UNIT);
    if (Math.floor(span.end / UNIT) !== cell) return false;
    const content = store.cell(entry, head, cell);
    if (!content) return false;
    const body = content.bytes.subarray(span.start - cell * UNIT, span.end + 1 - cell * UNIT);
    note.outcome = 'HIT';
    note.objectSize = head.length;
    note.bytesFromCache = body.length;
    const range = kind.range === undefined ? undefined : `bytes ${span.start}-${span.end}/${head.length}`;
    const headers = replay(head, { length: body.length, range }, checksums, note);
    content.pin();
    new Outlet(res, note).endWith(range === undefined ? 200 : 206, headers, body, () => content.unpin());
    return true;
  }

  async #serve(request: ReadRequest): Promise<void> {
    try {
      await new Reading(this.#parts, request, new Outlet(request.res, request.note)).run();
    } catch (error) {
      this.#broke(request, error);
    } finally {
      request.onDone(request.note);
    }
  }

  #broke(request: ReadRequest, error: unknown): void {
    const { res, note } = request;
    const known =
      error instanceof CisternError
        ? error
        : new CisternError('InternalError', (error as Error).message, { cause: error });
    note.error ??= known.code;
    if (res.headersSent) res.destroy();
    else if (!res.destroyed) {
      note.status = known.status;
      this.#fail(request, known);
    }
  }
}
