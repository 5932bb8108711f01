import { CisternError } from '../errors.ts';
import { Fetches, type FetchesOptions } from './fetches.ts';
import { Outlet } from './outlet.ts';
import { ParallelFills, type ParallelFillsOptions } from './parallel.ts';
import { Questions } from './questions.ts';
import { Reading, type ReadingParts } from './reading.ts';
import { answerOnWire, serveFromMemory } from './short-way.ts';
import { Trust, type TrustOptions } from './trust.ts';
import type { ReadQuestion, ReadRequest, Wire } from './types.ts';

export interface ReaderOptions extends TrustOptions, FetchesOptions {
  readonly parallelFill: Pick<ParallelFillsOptions, 'connections' | 'minObjectSize'>;
  /** Gives an error that Cistern makes, as S3-style XML. */
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
      questions: new Questions(),
    };
    this.#fail = options.fail;
  }

  /** Fetches from S3 under way. */
  get flights(): number {
    return this.#parts.fetches.flights.count;
  }

  /** Gives the whole answer before it returns, where that is in memory; else false, with nothing done. */
  serveAtOnce(question: ReadQuestion, wire: Wire): boolean {
    const { store, trust } = this.#parts;
    return answerOnWire(store, trust, question, wire);
  }

  /** Undefined when the answer has been given at once; else a promise that never rejects. */
  serve(request: ReadRequest): Promise<void> | undefined {
    const { store, trust } = this.#parts;
    if (serveFromMemory(store, trust, request)) {
      request.onDone(request.note);
      return undefined;
    }
    return this.#serve(request);
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
