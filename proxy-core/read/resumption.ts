import type { RawHeaders, Span } from '../request/index.ts';
import type { Head, ObjectEntry, Store } from '../store/index.ts';
import type { ResponseHandler, UpstreamExchange } from '../upstream/index.ts';
import { isPast, type Learnt, learn } from './learn.ts';
import type { ReadRequest } from './types.ts';

/** How often in a row, without a byte between, a cut flight is sent for again, and how long before each time, ms. */
const WAITS = [0, 200, 800];

/** What a resumption needs of the flight it carries on. */
export interface Resumed {
  readonly store: Store;
  readonly entry: ObjectEntry;
  readonly head: Head;
  readonly checksumMode: boolean;
  readonly partNumber: number | undefined;
  /** What the flight was to bring, and its next byte. */
  readonly span: Span;
  readonly position: number;
  /** Whose requests may be used, now. */
  readonly requests: Iterable<ReadRequest>;
  /** Sends for the rest with a reader's own request. Undefined when that may not be sent any more. */
  send(by: ReadRequest, rest: Span, handler: ResponseHandler): UpstreamExchange | undefined;
  /** S3 goes on; its bytes end with `last`. */
  onContinued(exchange: UpstreamExchange, last: number): void;
  /** The next bytes of the flight. False to pause. */
  onData(chunk: Buffer): boolean;
  onComplete(): void;
  /** Cut again: the flight may ask for another resumption. */
  onCut(error: Error): void;
  /** It can't be carried on. */
  onLost(error: Error): void;
}

/**
 * Carries a flight on that S3 has cut, or that stalled: `Range` and `If-Match` for the rest, signed by the reader whose
 * signature holds longest (design section 8). Where Range is signed, the reader's own range is asked for once more and
 * what is known of it is skipped.
 */
export class Resumption {
  #tries = 0;
  #timer: NodeJS.Timeout | undefined;

  /** Something has arrived: the next cut is a new one. */
  progressed(): void {
    this.#tries = 0;
  }

  /** False when it has been tried often enough, or nobody is left to ask for. */
  begin(flight: () => Resumed, requests: Iterable<ReadRequest>): boolean {
    const wait = WAITS[this.#tries];
    if (wait === undefined || byEnd(requests).length === 0) return false;
    this.#tries++;
    this.#timer = setTimeout(() => this.#send(flight()), wait);
    return true;
  }

  cancel(): void {
    clearTimeout(this.#timer);
  }

  #send(flight: Resumed): void {
    const answer = new Continuation(flight);
    for (const by of byEnd(flight.requests)) {
      answer.exchange = flight.send(by, { start: flight.position, end: flight.span.end }, answer);
      if (answer.exchange) return;
    }
    flight.onLost(new Error('S3 cut the body, and no signature is left to ask for the rest with'));
  }
}

/** What S3 answers to a request for the rest: the same version, from the next byte on or from before it. */
class Continuation implements ResponseHandler {
  exchange: UpstreamExchange | undefined;
  readonly #flight: Resumed;
  #skip = 0;
  #over = false;

  constructor(flight: Resumed) {
    this.#flight = flight;
  }

  onHeaders(status: number, _statusText: string, headers: RawHeaders): void {
    const { head, position, checksumMode, partNumber } = this.#flight;
    const learnt = learn(status, headers, { checksumMode, partNumber });
    const same = learnt?.head.version === head.version;
    const got = same ? learnt?.span : undefined;
    if (!got || !this.exchange || got.start > position || got.end < position) {
      this.#refuse(status, learnt);
      return;
    }
    this.#skip = position - got.start;
    this.#flight.onContinued(this.exchange, got.end);
  }

  onData(chunk: Buffer): boolean {
    if (this.#over) return false;
    if (this.#skip === 0) return this.#flight.onData(chunk);
    const rest = chunk.subarray(Math.min(this.#skip, chunk.length));
    this.#skip -= chunk.length - rest.length;
    return rest.length === 0 || this.#flight.onData(rest);
  }

  onComplete(): void {
    if (!this.#over) this.#flight.onComplete();
  }

  onError(error: Error): void {
    if (!this.#over) this.#flight.onCut(error);
  }

  #refuse(status: number, learnt: Learnt | undefined): void {
    const { entry, head, store } = this.#flight;
    this.#over = true;
    const changed = learnt ? learnt.head.version !== head.version : isPast(status);
    if (changed && entry.head?.version === head.version) store.catalog.distrust(entry);
    this.exchange?.abort();
    const error = new Error(`S3 cut the body, and answered ${status} when asked for the rest`);
    if (status < 500) this.#flight.onLost(error);
    else this.#flight.onCut(error);
  }
}

/** Those whose signature holds longest first. */
function byEnd(requests: Iterable<ReadRequest>): ReadRequest[] {
  return [...requests].sort((a, b) => (endOf(a) === endOf(b) ? 0 : endOf(b) - endOf(a)));
}

/** When a request's signature ends; ms since the epoch. */
export function endOf({ signature }: ReadRequest): number {
  return signature.expiresAt ?? Number.POSITIVE_INFINITY;
}
