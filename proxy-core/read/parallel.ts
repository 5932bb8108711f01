import { performance } from 'node:perf_hooks';
import type { Span } from '../request/index.ts';
import { EXTENT, type Store } from '../store/index.ts';
import type { Fetches } from './fetches.ts';
import type { Flight } from './flight.ts';
import type { Handover } from './flight-end.ts';
import type { FlightReader } from './flight-reader.ts';
import type { Source } from './lifeline.ts';

export interface ParallelFillsOptions {
  readonly store: Store;
  readonly fetches: Fetches;
  /** Connections that one cold read may use at once; 1 turns this off. */
  readonly connections: number;
  /** Smallest read it is used for, bytes. */
  readonly minObjectSize: number;
}

/** What one helper fetches at a time: long enough for the way to S3 and back not to matter, short enough to come in turn. */
const SEGMENT = 2 * EXTENT;
/** How long the first connection is watched before it is joined by others, ms. */
const WATCH = 100;
/** A connection that brings this many bytes a ms needs no help: the network isn't what the read waits for. */
const FAST = 200_000;
/** Share of its time that this process may be busy, for the same reason. */
const BUSY = 0.8;
/** What all connections together must bring, as against the first alone, or the others are no help. */
const WORTH = 1.25;
const JUDGE_AFTER = 1500;
/** A helper that somebody waits for must bring this share of the first connection's rate, looked at this often, ms. */
const LEAST = 0.25;
const WATCH_EVERY = 1000;
/** Fetches under way in this process above which none is helped. */
const CROWD = 16;
/** A signature that ends sooner than this is not worth beginning with, ms. */
const TIME_LEFT = 120_000;
const LOOK_EVERY = 5;

/** Which reads are worth several connections to S3 at once. */
export class ParallelFills {
  readonly #options: ParallelFillsOptions;

  constructor(options: ParallelFillsOptions) {
    this.#options = options;
  }

  /** `open` starts a fetch of part of the span. Undefined where the read is too short, or Range is not ours to set. */
  for(source: Source, open: (missing: Span) => Flight | undefined): ParallelFill | undefined {
    const { connections, minObjectSize, fetches, store } = this.#options;
    const { span } = source;
    if (connections < 2 || span.end - span.start + 1 < minObjectSize) return undefined;
    if (fetches.replaysRange(source.request) || !store.takesFills) return undefined;
    return new ParallelFill(source, { store, connections, open });
  }
}

/**
 * A cold read of a large object over several connections (design section 8): the first one answers the client's request;
 * helpers fetch segments ahead of the reader, each by `Range` and `If-Match`, into the store; where the first comes to
 * the first segment it ends. When that turns out to be no help, or S3 refuses, the read goes on as any other.
 */
export class ParallelFill {
  readonly #source: Source;
  readonly #span: Span;
  readonly #store: Store;
  readonly #connections: number;
  readonly #open: (missing: Span) => Flight | undefined;
  readonly #load = performance.eventLoopUtilization();
  #lookAt = 0;
  #first: Flight | undefined;
  #helpers: FlightReader[] = [];
  readonly #sent = new Set<Flight>();
  #state: 'watching' | 'helping' | 'over' = 'watching';
  /** First byte that no helper has been sent for. */
  #next = 0;
  #begun = { at: 0, position: 0, rate: 0 };
  #judged = false;
  /** Helpers that somebody waited for at the last look, and how far they had come. */
  #seen = new Map<Flight, number>();
  #watch: NodeJS.Timeout | undefined;
  /** Bytes that helpers who are through have brought. */
  #brought = 0;

  constructor(
    source: Source,
    options: {
      store: Store;
      connections: number;
      open: (missing: Span) => Flight | undefined;
    },
  ) {
    this.#source = source;
    this.#span = source.span;
    this.#store = options.store;
    this.#connections = options.connections;
    this.#open = options.open;
  }

  /** The answer is at `at`; `flight` is what it follows, if anything. */
  advance(at: number, flight?: Flight): void {
    if (this.#state === 'over') return;
    const now = performance.now();
    if (now < this.#lookAt) return;
    this.#lookAt = now + LOOK_EVERY;
    if (this.#state === 'watching') {
      if (flight && this.#needsHelp(flight, at)) this.#begin(flight, now);
      else return;
    }
    this.#judge(now);
    if (this.#state === 'helping') this.#sendOut(at);
  }

  /** The read is over. What helpers have in hand others may be waiting for. */
  end(): void {
    this.#giveUp();
  }

  /** No more of it: helpers under way end with the extent in hand, and the read goes on as any other. */
  #giveUp(): void {
    this.#state = 'over';
    for (const helper of this.#helpers) helper.leave();
    this.#helpers = [];
  }

  #needsHelp(flight: Flight, at: number): boolean {
    const { rate, position } = flight;
    if (!flight.running || !flight.filling || rate === 0 || rate > FAST || flight.age < WATCH) return false;
    // The client, not S3, is what such a read waits for.
    if (position - at > EXTENT / 8) return false;
    if (Math.min(this.#span.end, flight.last) - position < 2 * SEGMENT) return false;
    const { expiresAt } = this.#source.request.signature;
    if (expiresAt !== undefined && expiresAt - Date.now() < TIME_LEFT) return false;
    if (this.#store.pool.tight || this.#source.fetches.flights.count > CROWD) return false;
    return performance.eventLoopUtilization(this.#load).utilization < BUSY;
  }

  #begin(flight: Flight, now: number): void {
    this.#state = 'helping';
    this.#first = flight;
    this.#begun = { at: now, position: flight.position, rate: flight.rate };
    const start = (Math.floor(flight.position / EXTENT) + 2) * EXTENT;
    this.#next = start;
    this.#watch = setInterval(() => this.#look(), WATCH_EVERY).unref();
    flight.handOver(start, () => this.#mayEnd(flight));
  }

  /** Whether the first one, being where it is, may leave the rest to the helpers. Its own is the one request that S3 is sure to take. */
  #mayEnd({ position }: Flight): Handover {
    if (this.#state !== 'helping') return 'never';
    let begun = false;
    for (const helper of this.#sent) {
      if (helper.cuts > 0) {
        this.#giveUp();
        return 'never';
      }
      begun ||= broughtBy(helper) > 0;
    }
    const next = Math.ceil(position / EXTENT) * EXTENT;
    if (begun && this.#covers(next)) return 'now';
    return this.#helpers.length > 0 ? 'later' : 'never';
  }

  /** A helper that crawls or stalls must not hold up anybody to whom one connection would have brought its bytes by now. */
  #look(): void {
    const running = [...this.#sent].filter(helper => helper.running);
    if (this.#state === 'over' && running.length === 0) clearInterval(this.#watch);
    const before = this.#seen;
    this.#seen = new Map(running.filter(helper => helper.awaited).map(helper => [helper, helper.position]));
    const least = LEAST * this.#begun.rate * WATCH_EVERY;
    const crawls = [...this.#seen].some(
      ([helper, position]) => position - (before.get(helper) ?? Number.NEGATIVE_INFINITY) < least,
    );
    if (!crawls) return;
    for (const helper of running) helper.lags = true;
    this.#giveUp();
    for (const helper of running) helper.nudge();
  }

  #covers(at: number): boolean {
    const { fetches, entry, head, epoch } = this.#source;
    return fetches.firstMissing(entry, head, epoch, { start: at, end: at }) === undefined;
  }

  /** Sends helpers out for what comes next, not too far ahead of the reader. */
  #sendOut(at: number): void {
    const { fetches, entry, head, epoch, request } = this.#source;
    const reach = Math.min(this.#span.end, at + (this.#connections + 1) * SEGMENT);
    this.#dismiss();
    while (this.#state === 'helping' && this.#next <= reach && this.#mayOpen) {
      const end = Math.min(this.#span.end, this.#next + SEGMENT - 1);
      const start = fetches.firstMissing(entry, head, epoch, { start: this.#next, end });
      if (start === undefined) {
        this.#next = end + 1;
        continue;
      }
      const flight = this.#open({ start, end });
      if (!flight?.span) {
        this.#giveUp();
        return;
      }
      this.#next = flight.span.end + 1;
      this.#helpers.push(flight.join(start, request, true));
      this.#sent.add(flight);
      flight.answer.then(
        ({ learnt }) => {
          // Also where S3 takes no notice of Range: then all would bring the same.
          if (learnt?.span?.start !== start) this.#giveUp();
        },
        () => this.#giveUp(),
      );
    }
  }

  /** Helpers that are through. */
  #dismiss(): void {
    let failed = false;
    for (const helper of this.#helpers) {
      const { flight } = helper;
      if (flight.running) continue;
      this.#brought += broughtBy(flight);
      helper.leave();
      if (flight.error && !flight.stopped) failed = true;
    }
    this.#helpers = this.#helpers.filter(({ flight }) => flight.running);
    if (failed) this.#giveUp();
  }

  get #mayOpen(): boolean {
    if (this.#store.pool.tight || this.#source.fetches.flights.count > CROWD) return false;
    return this.#helpers.length + (this.#first?.running ? 1 : 0) < this.#connections;
  }

  #judge(now: number): void {
    const { at, position, rate } = this.#begun;
    if (now - at < JUDGE_AFTER || this.#judged) return;
    const helped = this.#helpers.reduce((sum, { flight }) => sum + broughtBy(flight), this.#brought);
    const total = helped + (this.#first?.position ?? position) - position;
    this.#judged = true;
    if (total / (now - at) < WORTH * rate) this.#giveUp();
  }
}

/** Bytes. */
function broughtBy({ position, span }: Flight): number {
  return Math.max(0, position - (span?.start ?? position));
}
