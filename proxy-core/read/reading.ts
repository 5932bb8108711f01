import { judge, type Question, questionFor } from '../freshness/index.ts';
import { evaluatePreconditions, hasPreconditions, headerValue, type RawHeaders, type Span } from '../request/index.ts';
import { type Head, type ObjectEntry, SMALL, type Store } from '../store/index.ts';
import type { UpstreamRequest } from '../upstream/index.ts';
import { answerCondition, corsHeaders, passOn, replay } from './answer.ts';
import { BodyLost, sendBody, sendRaw } from './body.ts';
import type { DiskTurn } from './disk-pace.ts';
import type { Fetches } from './fetches.ts';
import type { Flight, FlightAnswer } from './flight.ts';
import type { FlightReader } from './flight-reader.ts';
import { isPast, learn, mergeHeads } from './learn.ts';
import { Lifeline } from './lifeline.ts';
import type { Outlet } from './outlet.ts';
import type { ParallelFills } from './parallel.ts';
import type { Questions } from './questions.ts';
import type { Trust } from './trust.ts';
import type { ReadRequest } from './types.ts';
import { type Wanted, wantedOf } from './wanted.ts';

export interface ReadingParts {
  readonly store: Store;
  readonly trust: Trust;
  readonly fetches: Fetches;
  readonly parallel: ParallelFills;
  readonly questions: Questions;
}

/** How long a reader waits for what S3 answers to others before it asks by itself, ms. */
const PATIENCE = 10_000;

/** One read that needs more than a look into memory: the disk, other readers' flights, or S3. */
export class Reading {
  readonly #store: Store;
  readonly #trust: Trust;
  readonly #fetches: Fetches;
  readonly #parallel: ParallelFills;
  readonly #questions: Questions;
  readonly #request: ReadRequest;
  readonly #out: Outlet;
  #entry!: ObjectEntry;
  /** The object's epoch before S3 is asked: what is learnt belongs to it. */
  #epoch = '';
  /** Monotonic ms until when it waits for others' answers. */
  #waitsUntil = performance.now() + PATIENCE;
  readonly #disk: DiskTurn;
  #startedOver = false;
  /** Tells the caller's other reads of the object that what S3 says to this one is known. */
  #heard: (() => void) | undefined;
  /** It has waited for another read's question, which was in vain if it comes to asking again. */
  #waited = false;
  /** Keeps a flight going whose answer was waited for, until it is clear what is wanted of it. */
  #interest: FlightReader | undefined;
  /** What S3 answered to this browser, for an answer whose body comes from the cache. */
  #cors: readonly string[] = [];

  constructor(parts: ReadingParts, request: ReadRequest, out: Outlet) {
    this.#store = parts.store;
    this.#trust = parts.trust;
    this.#fetches = parts.fetches;
    this.#parallel = parts.parallel;
    this.#questions = parts.questions;
    this.#disk = parts.fetches.disk.begin();
    this.#request = request;
    this.#out = out;
  }

  /** Rejects with what is to be told to a client that has not heard anything yet. */
  async run(): Promise<void> {
    try {
      await this.#decide();
    } finally {
      this.#heard?.();
      this.#interest?.leave();
    }
  }

  async #decide(): Promise<void> {
    const request = this.#request;
    const { kind, facts, settings, note } = request;
    const entry = await this.#onDisk(this.#store.catalog.look(kind.object));
    this.#entry = entry;
    this.#epoch = entry.epoch;
    const { head } = entry;
    if (!head) return this.#fetchPlain();
    const part =
      kind.partNumber === undefined ? undefined : await this.#onDisk(this.#store.catalog.part(entry, kind.partNumber));
    const wanted = wantedOf(request, head, part);
    if (!wanted) return this.#fetchPlain();
    const conditions = hasPreconditions(facts);
    const local = !conditions || settings.evaluate_conditions_from_cache;
    if (!local || !this.#trust.mayServe(request, entry)) return this.#ask(head, wanted);
    note.outcome = 'HIT';
    return this.#give(head, wanted);
  }

  /** Counts how long the answer waits for the disk. */
  async #onDisk<T>(asked: Promise<T>): Promise<T> {
    const since = performance.now();
    const answer = await asked;
    this.#disk.waited(0, performance.now() - since);
    return answer;
  }

  /** Gives what is kept, as far as the caller's own preconditions let. */
  async #give(head: Head, wanted: Wanted): Promise<void> {
    const { facts, kind, note } = this.#request;
    const verdict = hasPreconditions(facts) ? evaluatePreconditions(facts, kind.method, head) : 'proceed';
    if (verdict === 'proceed') return this.#send(head, wanted);
    answerCondition(this.#out, head, verdict, kind.method, note, this.#cors);
  }

  /** Sends a version from wherever its bytes are. `lead`: a place in the fetch of a gap by which S3 has just vouched for it. */
  async #send(head: Head, wanted: Wanted, lead?: FlightReader): Promise<void> {
    const { note, kind } = this.#request;
    const { span } = wanted;
    note.objectSize = head.length;
    if (kind.method === 'HEAD' || !span) return this.#begin(head, wanted);
    if (this.#store.firstGap(this.#entry, head, span) !== undefined)
      await this.#onDisk(this.#store.list(this.#entry, span));
    const gap = lead ? undefined : this.#fetches.firstMissing(this.#entry, head, this.#epoch, span);
    if (gap !== undefined) note.outcome = 'PARTIAL';
    if (gap === span.start) {
      // Nothing can be promised before S3 has said that the first bytes are to be had.
      lead = this.#gap(head, { start: gap, end: span.end })?.join(gap, this.#request);
      // The signature has ended, or what was known is of the past: S3 says so best.
      if (!lead) return this.#fetchAlone();
      const answer = await lead.flight.answer;
      if (!answer.learnt) return this.#gapRefused(lead, answer);
      note.outcome = 'MISS';
      this.#vouched(head, answer.headers, lead.flight.sentAt);
      const current = this.#current(head, wanted);
      if (!current) return this.#startOver(lead);
      head = current;
    }
    this.#begin(head, wanted);
    if (!lead || lead.at === span.start) return this.#sendBody(head, span, lead);
    // The gap comes later: its flight is held until the bytes before it have been sent.
    await this.#sendBody(head, span).finally(() => lead.leave());
  }

  #begin(head: Head, { span, status, part }: Wanted): void {
    const { note, kind, facts } = this.#request;
    const length = span ? span.end - span.start + 1 : 0;
    const range = status === 206 && span ? `bytes ${span.start}-${span.end}/${head.length}` : undefined;
    const headers = replay(head, { length, range }, { checksums: facts.checksumMode, part, cors: this.#cors }, note);
    if (kind.method === 'HEAD' || !span) this.#out.endWith(status, headers, undefined);
    else this.#out.begin(status, undefined, headers, length);
  }

  async #sendBody(head: Head, span: Span, first?: FlightReader): Promise<void> {
    const request = this.#request;
    const source = { fetches: this.#fetches, request, entry: this.#entry, head, epoch: this.#epoch };
    const lifeline = new Lifeline(source, span);
    const passed = new Set<Flight>();
    const ahead = this.#parallel.for(source, span, missing => this.#gap(head, missing), passed);
    try {
      await sendBody(
        {
          store: this.#store,
          flights: this.#fetches.flights,
          request,
          entry: this.#entry,
          head,
          epoch: this.#epoch,
          out: this.#out,
          note: request.note,
          disk: this.#disk,
          passed,
          fetchGap: missing => this.#gap(head, missing),
          fetchOwn: at => this.#watched(head, this.#fetches.own(request, this.#entry, head, this.#epoch, at)),
          fetchAll: all => this.#watched(head, this.#fetches.gap(request, this.#entry, head, this.#epoch, all)),
          onProgress: (at, flight) => {
            lifeline.at = at;
            ahead?.advance(at, flight);
            if (flight) this.#interest?.leave();
          },
        },
        span,
        first,
      );
    } catch (error) {
      if (!(error instanceof BodyLost)) throw error;
      return this.#lost(error);
    } finally {
      lifeline.end();
      ahead?.end();
    }
  }

  /** Where the client has heard nothing yet, the read starts over with its plain request; else it sees a cut. */
  async #lost(error: BodyLost): Promise<void> {
    if (this.#out.begun || this.#startedOver) return this.#out.cut(error.message);
    this.#startedOver = true;
    return this.#fetchAlone();
  }

  /** Starts the fetch of what is missing of `span` from its first byte on. */
  #gap(head: Head, { start, end }: Span): Flight | undefined {
    const last = this.#fetches.gapEnd(this.#entry, head, this.#epoch, { start, end });
    return this.#watched(head, this.#fetches.gap(this.#request, this.#entry, head, this.#epoch, { start, end: last }));
  }

  #watched(head: Head, flight: Flight | undefined): Flight | undefined {
    flight?.answer.then(
      ({ status, learnt }) => {
        // The object has another version now, or is gone: nobody may be given this one as fresh any more.
        if (!learnt && isPast(status) && this.#entry.head?.version === head.version)
          this.#store.catalog.distrust(this.#entry);
      },
      () => {},
    );
    return flight;
  }

  /** S3 refused a gap of a version that was to be served, and nothing has been sent yet. */
  #gapRefused(lead: FlightReader, answer: FlightAnswer): Promise<void> {
    if (answer.status !== 412 && answer.status >= 300) return this.#relay(lead, answer);
    // Not the version that is known any more.
    return this.#startOver(lead);
  }

  /** The read begins again with the caller's plain request. */
  #startOver(lead: FlightReader): Promise<void> {
    lead.leave();
    return this.#fetchAlone();
  }

  /**
   * The head of this version after S3's answer: the same bytes may have been written again since, with other metadata.
   * Undefined when what is known of them then is not all that was asked for.
   */
  #current(head: Head, { part }: Wanted): Head | undefined {
    const current = this.#entry.head;
    if (!current || current.version !== head.version || current === head) return head;
    return wantedOf(this.#request, current, part) ? current : undefined;
  }

  async #fetchPlain(): Promise<void> {
    if (this.#request.kind.method === 'HEAD') return this.#hearOthers() ?? this.#askHead(this.#request.upstream);
    const patience = this.#patience;
    const other = patience > 0 ? this.#fetches.flights.unanswered(this.#entry, this.#epoch) : undefined;
    if (other) {
      // Somebody is finding out already. What S3 says to them is no permission for this caller, but it tells the version.
      this.#interest?.leave();
      this.#interest = other.join(0);
      await within(other.answer, patience);
      return this.#out.gone ? undefined : this.#decide();
    }
    return this.#lead(this.#fetches.plain(this.#request, this.#entry, this.#epoch));
  }

  /** ms for which this read may still wait for what S3 answers to others. */
  get #patience(): number {
    return this.#waitsUntil - performance.now();
  }

  /**
   * Lets S3's answer to another read of this caller's decide this one, where such a question is on its way; else takes
   * note that one is, now. Undefined when this read has to ask by itself.
   */
  #hearOthers(): Promise<void> | undefined {
    const { kind, caller } = this.#request;
    if (this.#heard || !this.#trust.mayTrust(this.#request)) return undefined;
    const running = this.#mayHear ? this.#questions.running(this.#entry, this.#epoch, caller, kind.method) : undefined;
    if (running) return this.#decideAfter(running);
    this.#heard = this.#questions.begin(this.#entry, this.#epoch, caller, kind.method);
    return undefined;
  }

  /** What others hear can be of use to it. */
  get #mayHear(): boolean {
    const { facts, settings, mustAsk } = this.#request;
    if (mustAsk || this.#waited || this.#patience <= 0) return false;
    return settings.evaluate_conditions_from_cache || !hasPreconditions(facts);
  }

  async #decideAfter(running: Promise<void>): Promise<void> {
    this.#waited = true;
    await within(running, this.#patience);
    if (!this.#out.gone) await this.#decide();
  }

  /** The same, without waiting for what S3 answers to others. */
  #fetchAlone(): Promise<void> {
    this.#waitsUntil = 0;
    return this.#fetchPlain();
  }

  async #lead(flight: Flight): Promise<void> {
    const lead = flight.join(0, this.#request);
    return this.#relay(lead, await flight.answer);
  }

  /** S3's own answer goes on as it is; what it means for the cache is noted, and its body kept where it can be. */
  async #relay(lead: FlightReader, answer: FlightAnswer): Promise<void> {
    const { note, kind } = this.#request;
    const { flight } = lead;
    const { status, statusText, headers, learnt } = answer;
    const { head, span } = flight;
    note.outcome = 'MISS';
    if (learnt && head) {
      note.objectSize = head.length;
      this.#trust.allow(this.#request, this.#entry, flight.epoch, flight.sentAt);
    } else {
      note.detail = status < 300 ? 'fwd=uri-miss; detail=not_storable' : 'fwd=uri-miss';
      this.#trust.heard(this.#request, this.#entry, answer, flight.epoch, flight.sentAt);
    }
    this.#heard?.();
    const length = bodyLength(answer, kind.method);
    this.#out.begin(status, statusText, passOn(headers, note), length);
    if (length === 0) {
      lead.leave();
      this.#out.end();
      return;
    }
    if (head && span) return this.#sendBody(head, span, lead);
    lead.at = 0;
    return sendRaw(this.#out, lead);
  }

  /** S3 is asked about a candidate. */
  async #ask(head: Head, wanted: Wanted): Promise<void> {
    const others = this.#hearOthers();
    if (others) return others;
    const request = this.#request;
    const { kind, facts, signature, upstream, note } = request;
    const question = questionFor(upstream.headers, facts, signature, kind.method, head);
    const asked = { ...upstream, headers: question.headers };
    if (kind.method === 'HEAD') return this.#askHead(asked, { head, question, wanted });
    if (question.how === 'as_it_came') return this.#fetchAlone();
    const { span } = wanted;
    if (span) {
      await this.#onDisk(this.#store.list(this.#entry, span));
      const missing = this.#fetches.firstMissing(this.#entry, head, this.#epoch, span);
      if (missing !== undefined && this.#fetches.replaysRange(request)) return this.#fetchPlain();
      if (missing !== undefined && missing - span.start < SMALL)
        return this.#askByGap(head, wanted, { start: missing, end: span.end });
    }
    const sentAt = this.#store.now();
    const answer = await this.#fetches.question(asked).catch((error: Error) => error);
    if (answer instanceof Error) return this.#unreachable(head, wanted, answer);
    const verdict = judge(question, head, answer.status, answer.headers);
    if (verdict === 'vouched') {
      answer.discard();
      if (answer.status === 304 && this.#entry.head?.version === head.version)
        this.#trust.update(this.#entry, answer.headers, this.#epoch, sentAt);
      this.#vouched(head, answer.headers, sentAt);
      note.outcome = 'REVALIDATED';
      return this.#give(this.#entry.head?.version === head.version ? this.#entry.head : head, wanted);
    }
    if (verdict === 'rewritten') {
      answer.discard();
      return this.#fetchAlone();
    }
    if (answer.status >= 500 && this.#trust.mayServeStale(request, this.#entry)) {
      answer.discard();
      return this.#giveStale(head, wanted);
    }
    // The object has changed, or this caller may not have it: the answer goes on, and is kept where it is a body.
    return this.#lead(this.#fetches.adopt(answer, request, this.#entry, this.#epoch, sentAt));
  }

  /** The fetch of a gap near the beginning is the question: its If-Match holds for the whole answer. */
  async #askByGap(head: Head, wanted: Wanted, missing: Span): Promise<void> {
    const lead = this.#gap(head, missing)?.join(missing.start, this.#request);
    if (!lead) return this.#fetchAlone();
    const answer = await lead.flight.answer.catch((error: Error) => error);
    if (answer instanceof Error) {
      lead.leave();
      return this.#unreachable(head, wanted, answer);
    }
    if (!answer.learnt) return this.#gapRefused(lead, answer);
    this.#vouched(head, answer.headers, lead.flight.sentAt);
    const current = this.#current(head, wanted);
    if (!current) return this.#startOver(lead);
    this.#request.note.outcome = missing.start === wanted.span?.start ? 'MISS' : 'PARTIAL';
    return this.#send(current, wanted, lead);
  }

  async #askHead(
    asked: UpstreamRequest,
    candidate?: { head: Head; question: Question; wanted: Wanted },
  ): Promise<void> {
    const request = this.#request;
    const { note, facts, kind } = request;
    const entry = this.#entry;
    const sentAt = this.#store.now();
    const answer = await this.#fetches.question(asked).catch((error: Error) => error);
    if (answer instanceof Error) {
      if (candidate) return this.#unreachable(candidate.head, candidate.wanted, answer);
      throw answer;
    }
    answer.discard();
    const { status, statusText, headers } = answer;
    if (candidate) {
      const verdict = judge(candidate.question, candidate.head, status, headers);
      if (verdict === 'vouched') {
        if (entry.head?.version === candidate.head.version) this.#trust.update(entry, headers, this.#epoch, sentAt);
        this.#vouched(candidate.head, headers, sentAt);
        note.outcome = 'REVALIDATED';
        return this.#give(
          entry.head?.version === candidate.head.version ? entry.head : candidate.head,
          candidate.wanted,
        );
      }
      if (verdict === 'rewritten') return this.#askHead(request.upstream);
      if (status >= 500 && this.#trust.mayServeStale(request, entry))
        return this.#giveStale(candidate.head, candidate.wanted);
    }
    note.outcome = 'MISS';
    const seen =
      kind.range === undefined && status === 200
        ? learn(status, headers, { checksumMode: facts.checksumMode, partNumber: undefined })
        : undefined;
    if (seen) this.#learnHead(seen.head, sentAt);
    else {
      note.detail = 'fwd=uri-miss';
      this.#trust.heard(request, entry, answer, this.#epoch, sentAt);
    }
    this.#heard?.();
    this.#out.begin(status, statusText, passOn(headers, note), 0);
    this.#out.end();
  }

  #learnHead(seen: Head, sentAt: number): void {
    const entry = this.#entry;
    const known = entry.head;
    const head = mergeHeads(known, seen);
    const stamp = { validatedAt: sentAt, epoch: this.#epoch };
    this.#request.note.objectSize = head.length;
    this.#store.adopt(entry, head, stamp);
    this.#trust.allow(this.#request, entry, this.#epoch, sentAt);
    if (known?.version === head.version && known.headers.length === head.headers.length) {
      this.#store.catalog.touch(entry, sentAt, this.#epoch, this.#request.settings.head_ttl);
    } else void this.#store.keepHead(entry, head, stamp);
  }

  /** S3 vouched for `head` to this caller, by an answer with these headers. */
  #vouched(head: Head, headers: RawHeaders, sentAt: number): void {
    this.#trust.vouched(this.#request, this.#entry, head, this.#epoch, sentAt);
    this.#heard?.();
    if (this.#request.facts.originHeader !== undefined) this.#cors = corsHeaders(headers);
  }

  async #unreachable(head: Head, wanted: Wanted, error: Error): Promise<void> {
    if (this.#trust.mayServeStale(this.#request, this.#entry)) return this.#giveStale(head, wanted);
    throw error;
  }

  #giveStale(head: Head, wanted: Wanted): Promise<void> {
    this.#heard?.();
    this.#request.note.outcome = 'HIT';
    this.#request.note.detail = 'hit; fwd=stale; detail=stale_if_error';
    return this.#give(head, wanted);
  }
}

/** Resolves when that is over, one way or the other, or patience is. */
async function within(answer: Promise<unknown>, patience: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise(resolve => {
    timer = setTimeout(resolve, patience);
  });
  await Promise.race([answer.catch(() => {}), late]);
  clearTimeout(timer);
}

/** Body bytes that follow; -1 when the answer doesn't say. */
function bodyLength({ status, headers }: FlightAnswer, method: string): number {
  if (method === 'HEAD' || status === 204 || status === 304) return 0;
  const declared = headerValue(headers, 'content-length');
  return declared !== undefined && /^\d{1,15}$/.test(declared) ? Number(declared) : -1;
}
