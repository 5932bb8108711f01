import type { Span } from '../request/index.ts';
import type { Head, ObjectEntry } from '../store/index.ts';
import type { Fetches } from './fetches.ts';
import type { FlightReader } from './flight-reader.ts';
import { LAST_MINUTE, type ReadRequest } from './types.ts';

/** One version being sent in answer to one request. */
export interface Source {
  readonly fetches: Fetches;
  readonly request: ReadRequest;
  readonly entry: ObjectEntry;
  readonly head: Head;
  readonly epoch: string;
}

/** In the last minute the answer is looked after this often, ms: what another reader's flight was to bring may have failed. */
const LOOK_EVERY = 5000;

/**
 * A slow client may want bytes after its signature's end. S3 checks a signature when a request begins, so what is then
 * missing has to be covered by a request opened before (design section 3, rule 9).
 */
export class Lifeline {
  /** Where the answer is. */
  at: number;
  readonly #source: Source;
  readonly #span: Span;
  readonly #expiresAt: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #held: FlightReader | undefined;

  constructor(source: Source, span: Span) {
    this.at = span.start;
    this.#source = source;
    this.#span = span;
    this.#expiresAt = source.request.signature.expiresAt;
    if (this.#expiresAt !== undefined) this.#look(this.#expiresAt - LAST_MINUTE - Date.now());
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#held?.leave();
  }

  #look(after: number): void {
    this.#timer = setTimeout(() => this.#hold(), Math.max(0, after)).unref();
  }

  #hold(): void {
    if (Date.now() > (this.#expiresAt ?? 0)) return;
    this.#look(LOOK_EVERY);
    if (this.#held?.flight.running) return;
    const { fetches, request, entry, head, epoch } = this.#source;
    const { end } = this.#span;
    const start = fetches.firstMissing(entry, head, epoch, { start: this.at, end }, flight => flight.faithful);
    if (start !== undefined) {
      this.#held?.leave();
      this.#held = fetches.gap(request, entry, head, epoch, { start, end })?.join(start, request, true);
    }
  }
}
