import type { Span } from '../request/index.ts';
import type { Fetches } from './fetches.ts';
import type { FlightReader } from './flight-reader.ts';
import { LAST_MINUTE } from './types.ts';
import type { Promised } from './wanted.ts';

/** What is being sent, and where what is missing of it is sent for. */
export interface Source extends Promised {
  readonly fetches: Fetches;
  readonly span: Span;
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
  readonly #expiresAt: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #held: FlightReader | undefined;

  constructor(source: Source) {
    this.at = source.span.start;
    this.#source = source;
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
    const { fetches, request, entry, head, epoch, span } = this.#source;
    const { end } = span;
    const start = fetches.firstMissing(entry, head, epoch, { start: this.at, end }, flight => flight.faithful);
    if (start !== undefined) {
      this.#held?.leave();
      this.#held = fetches.gap(this.#source, { start, end })?.join(start, request, true);
    }
  }
}
