import { evaluatePreconditions, hasPreconditions, type RawHeaders } from '../request/index.ts';
import type { Head, ObjectEntry, Store } from '../store/index.ts';
import { answerCondition, corsHeaders } from './answer.ts';
import { askToGet } from './ask-get.ts';
import { askToHead } from './ask-head.ts';
import type { DiskTurn } from './disk-pace.ts';
import type { Fetches } from './fetches.ts';
import type { Flight } from './flight.ts';
import type { FlightReader } from './flight-reader.ts';
import { Hearing } from './hearing.ts';
import type { Outlet } from './outlet.ts';
import type { ParallelFills } from './parallel.ts';
import type { Questions } from './questions.ts';
import { relay } from './relay.ts';
import { sendVersion } from './send-version.ts';
import type { Trust } from './trust.ts';
import type { ReadRequest } from './types.ts';
import { type Wanted, wantedOf } from './wanted.ts';

/** What all readings share. */
export interface ReadingParts {
  readonly store: Store;
  readonly trust: Trust;
  readonly fetches: Fetches;
  readonly parallel: ParallelFills;
  readonly questions: Questions;
}

/**
 * One read that needs more than a look into memory: the disk, other readers' flights, or S3. Here is its way; what is long
 * about the steps is in files of their own: `ask-get`, `ask-head`, `relay`, `send-version`.
 */
export class Reading {
  readonly parts: ReadingParts;
  readonly request: ReadRequest;
  readonly out: Outlet;
  readonly disk: DiskTurn;
  entry!: ObjectEntry;
  /** The object's epoch before S3 is asked: what is learnt belongs to it. */
  epoch = '';
  /** What S3 answers to others, and what they hear of its answer to this one. */
  readonly hearing: Hearing;
  /** Keeps a flight going whose answer was waited for, until it is clear what is wanted of it. */
  interest: FlightReader | undefined;
  #startedOver = false;
  /** What S3 answered to this browser, for an answer whose body comes from the cache. */
  cors: readonly string[] = [];

  constructor(parts: ReadingParts, request: ReadRequest, out: Outlet) {
    this.parts = parts;
    this.request = request;
    this.out = out;
    this.disk = parts.fetches.disk.begin();
    this.hearing = new Hearing(parts, request);
  }

  /** Rejects with what is to be told to a client that has not heard anything yet. */
  async run(): Promise<void> {
    try {
      await this.#decide();
    } finally {
      this.hearing.answered();
      this.interest?.leave();
    }
  }

  async #decide(): Promise<void> {
    const { request, parts } = this;
    const { catalog } = parts.store;
    const { kind, facts, settings, note } = request;
    const entry = await this.onDisk(catalog.look(kind.object));
    this.entry = entry;
    this.epoch = entry.epoch;
    const { head } = entry;
    if (!head) return this.fetchPlain();
    const part =
      kind.partNumber === undefined ? undefined : await this.onDisk(catalog.parts.look(entry, kind.partNumber));
    const wanted = wantedOf(request, head, part);
    if (!wanted) return this.fetchPlain();
    const conditions = hasPreconditions(facts);
    const local = !conditions || settings.evaluate_conditions_from_cache;
    if (!local || !parts.trust.mayServe(request, entry)) return this.#ask(head, wanted);
    note.outcome = 'HIT';
    return this.give(head, wanted);
  }

  /** S3 is asked about a candidate. */
  #ask(head: Head, wanted: Wanted): Promise<void> {
    const others = this.hearing.others(this.entry, this.epoch);
    if (others) return this.#decideAfter(others);
    return this.request.kind.method === 'HEAD' ? askToHead(this, { head, wanted }) : askToGet(this, head, wanted);
  }

  /** The caller's request as it came, for what is not known, or not as it is wanted. */
  async fetchPlain(): Promise<void> {
    const { parts, request, entry, epoch, hearing } = this;
    if (request.kind.method === 'HEAD') {
      const others = hearing.others(entry, epoch);
      return others ? this.#decideAfter(others) : askToHead(this);
    }
    const other = hearing.mayWait ? parts.fetches.flights.unanswered(entry, epoch) : undefined;
    if (!other) return this.lead(parts.fetches.plain(request, entry, epoch));
    // Somebody is finding out already. What S3 says to them is no permission for this caller, but it tells the version.
    this.interest?.leave();
    this.interest = other.join(0);
    return this.#decideAfter(other.answer);
  }

  /** The same, without waiting for what S3 answers to others. */
  fetchAlone(): Promise<void> {
    this.hearing.waitNoMore();
    return this.fetchPlain();
  }

  /** False where it has done so before, or the client has heard something of its answer. */
  startOver(): Promise<void> | false {
    if (this.out.begun || this.#startedOver) return false;
    this.#startedOver = true;
    return this.fetchAlone();
  }

  async #decideAfter(others: Promise<unknown>): Promise<void> {
    await this.hearing.wait(others);
    if (!this.out.gone) await this.#decide();
  }

  async lead(flight: Flight): Promise<void> {
    const lead = flight.join(0, this.request);
    return relay(this, lead, await flight.answer);
  }

  /** Gives what is kept, as far as the caller's own preconditions let. */
  async give(head: Head, wanted: Wanted): Promise<void> {
    const { facts, kind, note } = this.request;
    const verdict = hasPreconditions(facts) ? evaluatePreconditions(facts, kind.method, head) : 'proceed';
    if (verdict === 'proceed') return sendVersion(this, head, wanted);
    answerCondition(this.out, head, verdict, kind.method, note, this.cors);
  }

  /** S3 vouched for `head` to this caller, by an answer with these headers. */
  vouched(head: Head, headers: RawHeaders, sentAt: number): void {
    this.parts.trust.vouched(this.request, this.entry, head, this.epoch, sentAt);
    this.hearing.answered();
    if (this.request.facts.originHeader !== undefined) this.cors = corsHeaders(headers);
  }

  /** S3 could not answer a question about `head`, or not well: that is the answer, unless `stale_if_error` has another. */
  giveStale(head: Head, wanted: Wanted): Promise<void> | undefined {
    const { request, parts, entry } = this;
    if (!parts.trust.mayServeStale(request, entry)) return undefined;
    this.hearing.answered();
    request.note.outcome = 'HIT';
    request.note.detail = 'hit; fwd=stale; detail=stale_if_error';
    return this.give(head, wanted);
  }

  /** Counts how long the answer waits for the disk. */
  async onDisk<T>(asked: Promise<T>): Promise<T> {
    const since = performance.now();
    const answer = await asked;
    this.disk.waited(0, performance.now() - since);
    return answer;
  }
}
