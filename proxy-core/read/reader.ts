import { CisternError } from '../errors.ts';
import { Allowances, isFresh, judge, questionFor } from '../freshness/index.ts';
import {
  evaluatePreconditions,
  hasPreconditions,
  headerValue,
  ifRangeHolds,
  isSigned,
  type RawHeaders,
  resolveRange,
  type Span,
  setHeader,
} from '../request/index.ts';
import { type Head, type ObjectEntry, type Part, SMALL, type Store, UNIT } from '../store/index.ts';
import type { Upstream, UpstreamRequest } from '../upstream/index.ts';
import { headHeaders, passOn, replay, replayNotModified } from './answer.ts';
import { sendBody } from './body.ts';
import type { Flight, FlightAnswer } from './flight.ts';
import { Flights } from './flights.ts';
import { mergeHeads } from './learn.ts';
import { Outlet } from './outlet.ts';
import { ask, learnHead } from './question.ts';
import type { ReadRequest } from './types.ts';

export interface ReaderOptions {
  readonly store: Store;
  readonly upstream: Upstream;
  /** `caller`: a fresh object is served to those whom S3 let read it within the ttl. `shared`: to everybody. */
  readonly authorization: 'caller' | 'shared';
  /** ms for which a head may be served past its ttl when S3 is unreachable or answers 5xx. */
  readonly staleIfError: number;
  readonly onS3Request: () => void;
  readonly onS3Bytes: (count: number) => void;
  /** Gives an error that Cistern makes, as S3-style XML. */
  readonly fail: (request: ReadRequest, error: CisternError) => void;
}

/** What of an object a request wants, once its length is known. */
interface Wanted {
  readonly status: 200 | 206;
  /** Undefined for an empty body. */
  readonly span: Span | undefined;
  readonly part: Part | undefined;
}

/**
 * Answers GET and HEAD of objects (design section 3): from what is kept where that is fresh and this caller may have it,
 * else by asking S3 with the caller's own request.
 */
export class Reader {
  readonly #options: ReaderOptions;
  readonly #store: Store;
  readonly #flights = new Flights();
  readonly #allowances = new Allowances();

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#store = options.store;
  }

  get flights(): number {
    return this.#flights.count;
  }

  /** Undefined when the answer has been given at once; else a promise that never rejects. */
  serve(request: ReadRequest): Promise<void> | undefined {
    if (this.#serveFromRam(request)) return undefined;
    return this.#serve(request).catch(error => this.#broke(request, error));
  }

  /** The short way: everything is in memory, fresh, allowed, and fits one buffer. */
  #serveFromRam(request: ReadRequest): boolean {
    const { kind, settings, facts, note } = request;
    if (request.mustAsk || kind.partNumber !== undefined || hasPreconditions(facts)) return false;
    const entry = this.#store.catalog.recent(kind.object);
    const head = entry?.head;
    if (!entry || !head || (facts.checksumMode && !head.checksumsKnown) || !this.#mayServe(request, entry))
      return false;
    const checksums = facts.checksumMode;
    if (kind.method === 'HEAD' && kind.range === undefined) {
      note.outcome = 'HIT';
      note.objectSize = head.length;
      this.#finish(
        request,
        new Outlet(request.res, note),
        200,
        replay(head, { length: head.length, range: undefined }, { checksums, part: undefined }, note),
        undefined,
      );
      return true;
    }
    if (kind.method === 'HEAD' || facts.ifRange !== undefined) return false;
    const span = kind.range === undefined ? { start: 0, end: head.length - 1 } : resolveRange(kind.range, head.length);
    if (span === 'unsatisfiable' || span.end < span.start) return false;
    const cell = Math.floor(span.start / UNIT);
    if (Math.floor(span.end / UNIT) !== cell) return false;
    const content = this.#store.cell(entry, head, cell);
    if (!content || settings.get_ttl <= 0) return false;
    const from = span.start - cell * UNIT;
    const body = content.subarray(from, from + span.end - span.start + 1);
    note.outcome = 'HIT';
    note.objectSize = head.length;
    note.bytesFromCache = body.length;
    const range = kind.range === undefined ? undefined : `bytes ${span.start}-${span.end}/${head.length}`;
    const headers = replay(head, { length: body.length, range }, { checksums, part: undefined }, note);
    this.#finish(request, new Outlet(request.res, note), range === undefined ? 200 : 206, headers, body);
    return true;
  }

  #finish(request: ReadRequest, out: Outlet, status: number, headers: string[], body: Buffer | undefined): void {
    out.endWith(status, headers, body);
    request.onDone(request.note);
  }

  async #serve(request: ReadRequest): Promise<void> {
    const out = new Outlet(request.res, request.note);
    try {
      await this.#read(request, out, 0);
    } finally {
      request.onDone(request.note);
    }
  }

  async #read(request: ReadRequest, out: Outlet, waits: number): Promise<void> {
    const { kind, facts, settings } = request;
    const entry = await this.#store.catalog.look(kind.object);
    const epoch = entry.epoch;
    const head = entry.head;
    if (!head) return this.#fetchPlain(request, out, entry, epoch, waits);
    const part = kind.partNumber === undefined ? undefined : await this.#store.catalog.part(entry, kind.partNumber);
    const wanted = this.#wanted(request, head, part);
    const known =
      wanted &&
      (!facts.checksumMode || wanted.status === 206
        ? !part || part.checksumsKnown || !facts.checksumMode
        : head.checksumsKnown);
    if (!wanted || !known) return this.#fetchPlain(request, out, entry, epoch, waits);
    if (!request.mustAsk && this.#mayServe(request, entry)) {
      const conditions = hasPreconditions(facts);
      if (!conditions || settings.evaluate_conditions_from_cache) {
        const verdict = conditions ? evaluatePreconditions(facts, kind.method, head) : 'proceed';
        request.note.outcome = 'HIT';
        if (verdict !== 'proceed') return this.#answerCondition(request, out, head, verdict);
        return this.#send(request, out, entry, head, epoch, wanted);
      }
    }
    return this.#ask(request, out, entry, head, epoch, wanted, waits);
  }

  /** Fresh, of the current epoch, and S3 let this caller have it within the ttl. */
  #mayServe({ kind, settings, caller }: ReadRequest, entry: ObjectEntry): boolean {
    const ttl = kind.method === 'GET' ? settings.get_ttl : settings.head_ttl;
    const now = this.#store.now();
    if (!isFresh(entry, ttl, now) || this.#store.catalog.isDirty(entry)) return false;
    return this.#options.authorization === 'shared' || this.#allowances.allows(entry, caller, kind.method, ttl, now);
  }

  #wanted({ kind, facts }: ReadRequest, head: Head, part: Part | undefined): Wanted | undefined {
    if (kind.partNumber !== undefined) return part && { status: 206, span: { start: part.start, end: part.end }, part };
    const whole = head.length === 0 ? undefined : { start: 0, end: head.length - 1 };
    if (kind.range === undefined || !ifRangeHolds(facts, head)) return { status: 200, span: whole, part: undefined };
    const span = resolveRange(kind.range, head.length);
    // S3 words its own 416.
    return span === 'unsatisfiable' ? undefined : { status: 206, span, part: undefined };
  }

  #answerCondition(
    request: ReadRequest,
    out: Outlet,
    head: Head,
    verdict: 'not_modified' | 'precondition_failed',
  ): void {
    const headers = replayNotModified(head, request.note);
    if (verdict === 'not_modified') return out.endWith(304, headers, undefined);
    const body = Buffer.from(
      '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>PreconditionFailed</Code><Message>At least one of the pre-conditions you specified did not hold</Message></Error>',
    );
    headers.push('Content-Type', 'application/xml', 'Content-Length', String(body.length));
    out.endWith(412, headers, request.kind.method === 'HEAD' ? undefined : body);
  }

  /** Gives the answer from what is kept and, where bytes are missing, from S3. `lead`: a flight that S3 has just vouched by. */
  async #send(
    request: ReadRequest,
    out: Outlet,
    entry: ObjectEntry,
    head: Head,
    epoch: string,
    wanted: Wanted,
    lead?: Flight,
  ): Promise<void> {
    const { note, kind, facts } = request;
    const { span, part, status } = wanted;
    note.objectSize = head.length;
    const length = span ? span.end - span.start + 1 : 0;
    const begin = () => {
      const range = status === 206 && span ? `bytes ${span.start}-${span.end}/${head.length}` : undefined;
      const headers = replay(head, { length, range }, { checksums: facts.checksumMode, part }, note);
      if (kind.method === 'HEAD' || !span) out.endWith(status, headers, undefined);
      else out.begin(status, undefined, headers, length);
    };
    if (kind.method === 'HEAD' || !span) return begin();
    if (this.#store.firstGap(entry, head, span) !== undefined) await this.#store.list(entry, span);
    const gap = lead ? undefined : this.#firstMissing(entry, head, epoch, span);
    let first = lead;
    if (gap !== undefined) {
      note.outcome = 'PARTIAL';
      if (gap === span.start) {
        // Nothing can be promised before S3 has said that the first bytes are to be had.
        const flight = this.#gapFlight(
          request,
          entry,
          head,
          epoch,
          gap,
          this.#store.gapEnd(entry, head, gap, span.end),
        );
        const answer = flight && (await this.#answerOf(flight));
        if (!answer || !flight) throw flight?.error ?? new CisternError('BadGateway');
        if (!answer.learnt) return this.#gapRefused(request, out, entry, head, answer, flight);
        note.outcome = 'MISS';
        this.#vouched(request, entry, flight.sentAt, epoch);
        first = flight;
      }
    }
    begin();
    await sendBody(
      {
        store: this.#store,
        flights: this.#flights,
        entry,
        head,
        epoch,
        ram: request.settings.ram_cache_eligible,
        out,
        note,
        fetchGap: (at, end) => this.#gapFlight(request, entry, head, epoch, at, end),
      },
      span,
      first && first.span && first.span.start <= span.start ? first.join(span.start) : undefined,
    );
    if (first && first.span && first.span.start > span.start) first.join(first.span.start).leave();
  }

  /** First byte of `span` that is in no tier and that no flight is bringing. */
  #firstMissing(entry: ObjectEntry, head: Head, epoch: string, span: Span): number | undefined {
    let at = span.start;
    while (at <= span.end) {
      const gap = this.#store.firstGap(entry, head, { start: at, end: span.end });
      if (gap === undefined) return undefined;
      const flight = this.#flights.offering(entry, epoch, head.version, gap);
      if (!flight?.span) return gap;
      at = flight.span.end + 1;
    }
    return undefined;
  }

  /** S3 refused a gap of a version that was to be served, and nothing has been sent yet. */
  async #gapRefused(
    request: ReadRequest,
    out: Outlet,
    entry: ObjectEntry,
    head: Head,
    answer: FlightAnswer,
    flight: Flight,
  ): Promise<void> {
    if (answer.status === 412 || answer.status < 300) {
      // Not the version we know any more: start over with the plain request.
      flight.join(0).leave();
      if (entry.head?.version === head.version) entry.headEpoch = '!';
      return this.#fetchPlain(request, out, entry, entry.epoch, 2);
    }
    return this.#relayAnswer(request, out, entry, flight, answer);
  }

  /** A fetch of `at` to `end` of a known version, or of the caller's signed range around it. Undefined when the signature has ended. */
  #gapFlight(
    request: ReadRequest,
    entry: ObjectEntry,
    head: Head,
    epoch: string,
    at: number,
    end: number,
  ): Flight | undefined {
    const { signature, upstream, facts, kind, settings } = request;
    if (signature.expiresAt !== undefined && Date.now() > signature.expiresAt) return undefined;
    let headers = upstream.headers;
    let span: Span = { start: at, end };
    const whole = kind.range === undefined && at === 0 && end === head.length - 1;
    if (kind.partNumber !== undefined || isSigned(signature, 'range')) {
      const wanted = this.#wanted(request, head, entry.parts.get(kind.partNumber ?? 0));
      if (!wanted?.span) return undefined;
      span = wanted.span;
    } else if (!whole) headers = setHeader(headers, 'Range', `bytes=${at}-${end}`);
    if (facts.ifMatch === undefined && !isSigned(signature, 'if-match'))
      headers = setHeader(headers, 'If-Match', head.etag);
    this.#options.onS3Request();
    return this.#flights.start({
      store: this.#store,
      upstream: this.#options.upstream,
      request: { ...upstream, headers },
      entry,
      epoch,
      checksumMode: facts.checksumMode,
      partNumber: kind.partNumber,
      settings,
      expect: { head, span },
      onBytes: this.#options.onS3Bytes,
    });
  }

  /** The caller's request as it came: S3's answer is the answer, and is kept where it is a body. */
  async #fetchPlain(
    request: ReadRequest,
    out: Outlet,
    entry: ObjectEntry,
    epoch: string,
    waits: number,
  ): Promise<void> {
    if (request.kind.method === 'HEAD') return this.#askHead(request, out, entry, epoch, request.upstream);
    if (waits < 2) {
      const other = this.#flights.unanswered(entry, epoch);
      if (other) {
        // Somebody is finding out already. What S3 says to them is no permission for this caller, but tells the version.
        await other.answer.catch(() => {});
        if (out.gone) return;
        return this.#read(request, out, waits + 1);
      }
    }
    this.#options.onS3Request();
    const flight = this.#flights.start({
      store: this.#store,
      upstream: this.#options.upstream,
      request: request.upstream,
      entry,
      epoch,
      checksumMode: request.facts.checksumMode,
      partNumber: request.kind.partNumber,
      settings: request.settings,
      expect: undefined,
      onBytes: this.#options.onS3Bytes,
    });
    const answer = await this.#answerOf(flight);
    if (!answer) throw flight.error ?? new CisternError('BadGateway');
    return this.#relayAnswer(request, out, entry, flight, answer);
  }

  /** Passes S3's own answer on and notes what it means for the cache. */
  async #relayAnswer(
    request: ReadRequest,
    out: Outlet,
    entry: ObjectEntry,
    flight: Flight,
    answer: FlightAnswer,
  ): Promise<void> {
    const { note, caller, kind, settings } = request;
    const { status, statusText, headers, learnt } = answer;
    note.outcome = 'MISS';
    if (learnt && flight.head) {
      note.objectSize = flight.head.length;
      this.#allowances.grant(entry, caller, 'GET', flight.epoch, flight.sentAt);
    } else {
      note.detail = status < 300 ? 'fwd=uri-miss; detail=not_storable' : 'fwd=uri-miss';
      this.#heard(request, entry, status, headers, flight.sentAt, flight.epoch);
    }
    const declared = headerValue(headers, 'content-length');
    const bodyless = kind.method === 'HEAD' || status === 204 || status === 304;
    const length = bodyless ? 0 : declared !== undefined && /^\d+$/.test(declared) ? Number(declared) : -1;
    out.begin(status, statusText, passOn(headers, note), length);
    if (length === 0) {
      flight.join(0).leave();
      out.end();
      return;
    }
    if (learnt?.span && flight.head) {
      const context = {
        store: this.#store,
        flights: this.#flights,
        entry,
        head: flight.head,
        epoch: flight.epoch,
        ram: settings.ram_cache_eligible,
        out,
        note,
        fetchGap: (at: number, end: number) =>
          this.#gapFlight(request, entry, flight.head as Head, flight.epoch, at, end),
      };
      return sendBody(context, learnt.span, flight.join(learnt.span.start));
    }
    return this.#streamRaw(out, flight);
  }

  /** A body that is not kept. */
  async #streamRaw(out: Outlet, flight: Flight): Promise<void> {
    const reader = flight.join(0);
    const unwatch = out.onGone(() => reader.wake());
    try {
      while (!out.gone) {
        const taken = reader.take();
        if (taken === 'end') return out.end();
        if (taken === 'failed' || taken === 'behind') return out.cut(flight.error?.message ?? 'S3 cut the body');
        if (taken === 'wait') await reader.wait();
        else {
          out.write(taken.chunks, taken.length);
          await out.room();
        }
      }
    } finally {
      unwatch();
      reader.leave();
    }
  }

  /** S3 is asked about a candidate. */
  async #ask(
    request: ReadRequest,
    out: Outlet,
    entry: ObjectEntry,
    head: Head,
    epoch: string,
    wanted: Wanted,
    waits: number,
  ): Promise<void> {
    const { kind, facts, signature, upstream } = request;
    const question = questionFor(upstream.headers, facts, signature, kind.method, head);
    const asked = { ...upstream, headers: question.headers };
    if (kind.method === 'HEAD') return this.#askHead(request, out, entry, epoch, asked, { head, question, wanted });
    if (question.how === 'as_it_came') return this.#fetchPlain(request, out, entry, epoch, Math.max(waits, 2));
    const { span } = wanted;
    if (span) {
      await this.#store.list(entry, span);
      const gap = this.#firstMissing(entry, head, epoch, span);
      const replayed = kind.partNumber !== undefined || isSigned(signature, 'range');
      if (gap !== undefined) {
        if (replayed) return this.#fetchPlain(request, out, entry, epoch, waits);
        if (gap - span.start < SMALL) {
          // The fetch of the gap is the question: its If-Match holds for the whole answer.
          const flight = this.#gapFlight(
            request,
            entry,
            head,
            epoch,
            gap,
            this.#store.gapEnd(entry, head, gap, span.end),
          );
          const answer = flight && (await this.#answerOf(flight));
          if (!flight || !answer) return this.#unreachable(request, out, entry, head, epoch, wanted, flight?.error);
          if (!answer.learnt) return this.#gapRefused(request, out, entry, head, answer, flight);
          this.#vouched(request, entry, flight.sentAt, epoch);
          request.note.outcome = gap === span.start ? 'MISS' : 'PARTIAL';
          return this.#send(request, out, entry, head, epoch, wanted, flight);
        }
      }
    }
    const sentAt = this.#store.now();
    this.#options.onS3Request();
    const answer = await ask(this.#options.upstream, asked, this.#options.onS3Bytes).catch((error: Error) => error);
    if (answer instanceof Error) return this.#unreachable(request, out, entry, head, epoch, wanted, answer);
    const verdict = judge(question, head, answer.status, answer.headers);
    if (verdict === 'vouched') {
      answer.discard();
      this.#update(entry, head, answer.headers, answer.status, sentAt, epoch, request);
      this.#vouched(request, entry, sentAt, epoch);
      request.note.outcome = 'REVALIDATED';
      const current = entry.head?.version === head.version ? entry.head : head;
      const verdictOnConditions = hasPreconditions(facts)
        ? evaluatePreconditions(facts, kind.method, current)
        : 'proceed';
      if (verdictOnConditions !== 'proceed') return this.#answerCondition(request, out, current, verdictOnConditions);
      return this.#send(request, out, entry, current, epoch, wanted);
    }
    if (verdict === 'rewritten') {
      answer.discard();
      return this.#fetchPlain(request, out, entry, epoch, 2);
    }
    if (answer.status >= 500 && this.#mayServeStale(request, entry)) {
      answer.discard();
      return this.#sendStale(request, out, entry, head, epoch, wanted);
    }
    // The object has changed, or this caller may not have it: the answer goes on as it is, and is kept where it is a body.
    const flight = answer.asFlight(this.#flights, {
      store: this.#store,
      request: asked,
      entry,
      epoch,
      checksumMode: facts.checksumMode,
      partNumber: kind.partNumber,
      settings: request.settings,
      expect: undefined,
      onBytes: () => {},
    });
    const given = await this.#answerOf(flight);
    if (!given) throw flight.error ?? new CisternError('BadGateway');
    return this.#relayAnswer(request, out, entry, flight, given);
  }

  async #askHead(
    request: ReadRequest,
    out: Outlet,
    entry: ObjectEntry,
    epoch: string,
    asked: UpstreamRequest,
    candidate?: { head: Head; question: ReturnType<typeof questionFor>; wanted: Wanted },
  ): Promise<void> {
    const { note, facts, caller, kind } = request;
    const sentAt = this.#store.now();
    this.#options.onS3Request();
    const answer = await ask(this.#options.upstream, asked, this.#options.onS3Bytes).catch((error: Error) => error);
    if (answer instanceof Error) {
      if (candidate) return this.#unreachable(request, out, entry, candidate.head, epoch, candidate.wanted, answer);
      throw answer;
    }
    answer.discard();
    const { status, statusText, headers } = answer;
    const verdict = candidate ? judge(candidate.question, candidate.head, status, headers) : 'answer';
    if (candidate && verdict === 'vouched') {
      this.#update(entry, candidate.head, headers, status, sentAt, epoch, request);
      this.#vouched(request, entry, sentAt, epoch);
      note.outcome = 'REVALIDATED';
      return this.#send(request, out, entry, entry.head ?? candidate.head, epoch, candidate.wanted);
    }
    if (candidate && verdict === 'rewritten') return this.#askHead(request, out, entry, epoch, request.upstream);
    if (candidate && status >= 500 && this.#mayServeStale(request, entry))
      return this.#sendStale(request, out, entry, candidate.head, epoch, candidate.wanted);
    note.outcome = 'MISS';
    const seen = kind.range === undefined ? learnHead(status, headers, facts.checksumMode) : undefined;
    if (seen) {
      const head = mergeHeads(entry.head, seen);
      const stamp = { validatedAt: sentAt, epoch };
      const known = entry.head;
      this.#store.adopt(entry, head, stamp);
      this.#allowances.grant(entry, caller, 'HEAD', epoch, sentAt);
      note.objectSize = head.length;
      if (known?.version === head.version && known.headers.length === head.headers.length)
        this.#store.catalog.touch(entry, sentAt, epoch, request.settings.head_ttl);
      else void this.#store.keepHead(entry, head, stamp);
    } else {
      note.detail = 'fwd=uri-miss';
      this.#heard(request, entry, status, headers, sentAt, epoch);
    }
    out.begin(status, statusText, passOn(headers, note), 0);
    out.end();
  }

  /** What an answer without a body to keep means: gone, forbidden, or a 304 to the caller's own precondition. */
  #heard(
    request: ReadRequest,
    entry: ObjectEntry,
    status: number,
    headers: RawHeaders,
    sentAt: number,
    epoch: string,
  ): void {
    if (status === 404 || status === 410) void this.#store.catalog.drop(entry);
    else if (status === 401 || status === 403) this.#allowances.revoke(entry, request.caller);
    else if (status === 304 && entry.head && headerValue(headers, 'etag') === entry.head.etag) {
      this.#store.catalog.touch(entry, sentAt, epoch, request.settings.get_ttl);
      this.#allowances.grant(entry, request.caller, request.kind.method, epoch, sentAt);
    }
  }

  #vouched({ caller, kind, settings }: ReadRequest, entry: ObjectEntry, sentAt: number, epoch: string): void {
    this.#store.catalog.touch(entry, sentAt, epoch, Math.max(settings.get_ttl, settings.head_ttl));
    this.#allowances.grant(entry, caller, kind.method, epoch, sentAt);
  }

  /** Fields of a 304 replace the head's (RFC 9111 section 3.2). */
  #update(
    entry: ObjectEntry,
    head: Head,
    headers: RawHeaders,
    status: number,
    sentAt: number,
    epoch: string,
    { settings }: ReadRequest,
  ): void {
    if (entry.head?.version !== head.version || status !== 304) return;
    let updated: RawHeaders = entry.head.headers;
    const fields = headHeaders(headers, true);
    for (let i = 0; i + 1 < fields.length; i += 2) {
      const name = fields[i]!;
      const lower = name.toLowerCase();
      if (lower === 'date' || lower.startsWith('content-')) continue;
      if (headerValue(updated, lower) !== fields[i + 1]) updated = setHeader(updated, name, fields[i + 1]!);
    }
    if (updated === entry.head.headers) return;
    const current = { ...entry.head, headers: updated };
    this.#store.adopt(entry, current, { validatedAt: sentAt, epoch });
    if (settings.get_ttl > 0 || settings.head_ttl > 0)
      void this.#store.keepHead(entry, current, { validatedAt: sentAt, epoch });
  }

  async #unreachable(
    request: ReadRequest,
    out: Outlet,
    entry: ObjectEntry,
    head: Head,
    epoch: string,
    wanted: Wanted,
    error: Error | undefined,
  ): Promise<void> {
    if (this.#mayServeStale(request, entry)) return this.#sendStale(request, out, entry, head, epoch, wanted);
    throw error ?? new CisternError('BadGateway');
  }

  /** RFC 5861 in the owner's hands: `cache.stale_if_error`, never at ttl 0, only to a caller whose allowance is as young. */
  #mayServeStale({ kind, settings, caller, mustAsk }: ReadRequest, entry: ObjectEntry): boolean {
    const ttl = kind.method === 'GET' ? settings.get_ttl : settings.head_ttl;
    const { staleIfError, authorization } = this.#options;
    if (staleIfError <= 0 || ttl <= 0 || mustAsk) return false;
    const now = this.#store.now();
    if (!isFresh(entry, ttl + staleIfError, now) || this.#store.catalog.isDirty(entry)) return false;
    return authorization === 'shared' || this.#allowances.allows(entry, caller, kind.method, ttl + staleIfError, now);
  }

  #sendStale(
    request: ReadRequest,
    out: Outlet,
    entry: ObjectEntry,
    head: Head,
    epoch: string,
    wanted: Wanted,
  ): Promise<void> {
    request.note.outcome = 'HIT';
    request.note.detail = 'hit; fwd=stale; detail=stale_if_error';
    return this.#send(request, out, entry, head, epoch, wanted);
  }

  async #answerOf(flight: Flight): Promise<FlightAnswer | undefined> {
    return flight.answer.catch(() => undefined);
  }

  #broke(request: ReadRequest, error: unknown): void {
    const { res, note } = request;
    const known =
      error instanceof CisternError
        ? error
        : new CisternError('BadGateway', (error as Error).message, { cause: error });
    note.error ??= known.code;
    if (res.headersSent) res.destroy();
    else if (!res.destroyed) {
      note.status = known.status;
      this.#options.fail(request, known);
    }
  }
}
