import type { RawHeaders, Span } from '../request/index.ts';
import { EXTENT, type Head, type ObjectEntry } from '../store/index.ts';
import type { UpstreamExchange } from '../upstream/index.ts';
import { FlightEnd, type Handover } from './flight-end.ts';
import type { FlightAnswer, FlightOptions } from './flight-options.ts';
import { FlightReader, type Found } from './flight-reader.ts';
import { Keeping } from './keeping.ts';
import { type Learnt, learn } from './learn.ts';
import { isFarAhead, isNear, isSoon, keepFrom, type Paced } from './pace.ts';
import { endOf, type Resumed, Resumption } from './resumption.ts';
import { LAST_MINUTE, type ReadRequest } from './types.ts';
import { Window } from './window.ts';

/**
 * One fetch from S3 that several readers share while it runs (design section 8). It keeps what arrived last in a window,
 * from which readers stream, and fills the store beside. It is paced by its fastest reader: one that falls behind the
 * window reads from the store instead, and never slows the others. A cut is mended with a reader's own request.
 */
export class Flight {
  readonly entry: ObjectEntry;
  readonly epoch: string;
  /** On the volume's clock, ms. */
  readonly sentAt: number;
  readonly answer: Promise<FlightAnswer>;
  /** Set when the answer is kept. */
  head: Head | undefined;
  span: Span | undefined;
  error: Error | undefined;
  /** It ended because nobody read it any more. */
  stopped = false;
  /** It crawls, or stalls, where one connection could be expected to have brought its bytes: better had from elsewhere. */
  lags = false;
  /** How often S3 has cut it, or failed to begin. */
  cuts = 0;
  readonly #options: FlightOptions;
  readonly #readers = new Set<FlightReader>();
  #exchange: UpstreamExchange;
  #settle!: { resolve: (answer: FlightAnswer) => void; reject: (error: Error) => void };
  #answered = false;
  #window: Window | undefined;
  #keeping: Keeping | undefined;
  #state: 'running' | 'done' | 'failed' = 'running';
  #paused = false;
  #heldUp = false;
  readonly #end = new FlightEnd();
  readonly #resumption = new Resumption();
  /** What it fills is in the store, or never will be. */
  #over = false;
  #startedAt = 0;

  constructor(options: FlightOptions) {
    this.#options = options;
    this.entry = options.entry;
    this.epoch = options.epoch;
    this.sentAt = options.sentAt ?? options.store.now();
    if (options.expect) this.span = options.expect.span;
    this.answer = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.answer.catch(() => {});
    this.#exchange = options.upstream.fetch(options.request, {
      onHeaders: (status, statusText, headers) => this.#onHeaders(status, statusText, headers),
      onData: chunk => this.#onData(chunk),
      onComplete: () => this.#onComplete(),
      onError: error => this.#onCut(error),
    });
  }

  get answered(): boolean {
    return this.#answered;
  }

  /** It is a caller's request as it came, and not one for bytes of a known version. */
  get asItCame(): boolean {
    return this.#options.expect === undefined;
  }

  get running(): boolean {
    return this.#state === 'running';
  }

  /** S3 answered with something else than bytes of a version that is kept. */
  get refused(): boolean {
    return this.#answered && this.span === undefined;
  }

  /** Next byte to arrive. */
  get position(): number {
    return this.#window?.end ?? this.span?.start ?? 0;
  }

  /** Bytes a ms since the first one arrived; 0 before. */
  get rate(): number {
    const start = this.span?.start ?? 0;
    return this.#window ? (this.position - start) / Math.max(1, performance.now() - this.#startedAt) : 0;
  }

  /** Changes with what S3 brings and with what of it the disk takes. */
  get progress(): number {
    return this.position + (this.#keeping?.fill?.taken ?? 0);
  }

  /** ms since its answer came. */
  get age(): number {
    return this.#window ? performance.now() - this.#startedAt : 0;
  }

  /** What arrives is going to be in the store. */
  get filling(): boolean {
    return this.#keeping?.fill?.healthy === true;
  }

  /** What arrives is going to be in some tier, as far as one can tell from the start. */
  get kept(): boolean {
    const { store, settings } = this.#options;
    return store.takesFills || (settings.ram_cache_eligible && store.takesRam);
  }

  /** The last byte it is going to bring. */
  get last(): number {
    if (this.#state === 'failed') return this.position - 1;
    return Math.min(this.span?.end ?? -1, this.#end.handedOver - 1);
  }

  /** Whether a reader of this version can get the byte at `at` from this flight, now or a little later. */
  offers(version: string, at: number): boolean {
    if (!this.span || at < this.span.start || at > this.last || (this.running && at >= this.#end.unread)) return false;
    const head = this.head ?? this.#options.expect?.head;
    if (head?.version !== version) return false;
    // Who can't ask any more must not be outrun where nothing is kept of what they have yet to read.
    if (!this.filling && this.#isLifeline()) return false;
    const { position } = this;
    if (at >= position && this.#state !== 'running') return false;
    if (at >= position) return isNear(at - position, this);
    return at >= (this.#window?.start ?? 0) || this.#keeping?.fill?.keeps(at) === true;
  }

  /** Whether the byte at `at`, which is still to come, will as far as one can tell be here within a second. */
  comesSoon(at: number): boolean {
    return isSoon(at - this.position, this);
  }

  /** Somebody has nearly all that came so far and waits for S3, not for anything here. */
  get awaited(): boolean {
    if (this.#paused || this.#state !== 'running') return false;
    for (const { eager, at } of this.#readers) if (!eager && this.position - at <= EXTENT / 8) return true;
    return false;
  }

  /** Whether every byte that it brings can still be had when a reader comes to it: by the store, or because it is the only one. */
  get faithful(): boolean {
    return this.filling || this.#readers.size <= 1;
  }

  /** A reader that wants the bytes from `at` on; it must `leave` in the end. `eager`: as fast as the store takes them. */
  join(at: number, request?: ReadRequest, eager = false): FlightReader {
    const reader = new FlightReader(this, at, request, eager);
    this.#readers.add(reader);
    this.#end.isRead();
    this.#pace();
    return reader;
  }

  /** Others bring what comes from `at` on, an extent's boundary: when it comes there it ends, if they are `ready`. */
  handOver(at: number, ready: () => Handover): void {
    if (at > this.position) this.#end.handOver(at, ready);
  }

  /** For FlightReader. */
  leave(reader: FlightReader): void {
    this.#readers.delete(reader);
    if (this.#readers.size > 0 || this.#state !== 'running') {
      if (this.#readers.size === 0 && this.#over) this.#window?.clear();
      this.#pace();
      return;
    }
    // Nobody listens any more: the extent in hand is finished, where one is being filled; then it stops.
    const { span, position } = this;
    if (this.filling && span) {
      if (position >= this.#end.afterExtent(position, span.end)) this.#stop();
      else this.#pace();
    } else if (!this.#keeping?.small) this.#stop();
  }

  /** For FlightReader: what there is from `at` on. */
  take(at: number, max: number): Found {
    const { position } = this;
    if (at >= position) return this.#state === 'running' ? 'wait' : this.#state === 'done' ? 'end' : 'failed';
    return this.#window?.take(at, max) ?? (this.#keeping?.fill?.keeps(at) && !this.#over ? 'behind' : 'failed');
  }

  /** For FlightReader: it moved on, so that more may be wanted. */
  moved(): void {
    this.#pace();
  }

  #isLifeline(): boolean {
    for (const { request, eager } of this.#readers)
      if (request && !eager && endOf(request) < Date.now() + LAST_MINUTE) return true;
    return false;
  }

  #onHeaders(status: number, statusText: string, headers: RawHeaders): void {
    const { expect, checksumMode, partNumber, store, request } = this.#options;
    let learnt = request.method === 'GET' ? learn(status, headers, { checksumMode, partNumber }) : undefined;
    if (expect && learnt && !brings(learnt, expect)) learnt = undefined;
    this.span = learnt?.span;
    this.#startedAt = performance.now();
    // Who joined before could not know where it begins.
    for (const reader of this.#readers) reader.at = Math.max(reader.at, this.span?.start ?? 0);
    this.#window = new Window({
      start: this.span?.start ?? 0,
      end: this.span?.end ?? Number.POSITIVE_INFINITY,
      pool: this.span && store.pool,
      onPiece: (piece, start, length) => this.#keeping?.fill?.write(piece, start, length),
      onMissed: start => this.#missed(start),
    });
    this.#keeping = learnt && this.#keep(learnt);
    this.head = this.#keeping?.head;
    this.#answered = true;
    this.#settle.resolve({ status, statusText, headers, learnt });
    this.nudge();
  }

  #keep(learnt: Learnt): Keeping {
    const { store, settings, partNumber } = this.#options;
    const { entry, epoch, sentAt } = this;
    const keeping = new Keeping(learnt, {
      store,
      entry,
      epoch,
      sentAt,
      partNumber,
      settings,
      shared: () => this.#readers.size > 1,
      urgent: () => this.#hasWaiting(),
      onChange: () => {
        this.nudge();
        this.#pace();
      },
    });
    // Nothing is tried, so that nothing fails that would tell.
    if (learnt.span && !store.takesFills) store.skipped(keeping.fill ?? keeping);
    return keeping;
  }

  /** Memory is spent: the bytes from `start` on pass the disk by. */
  #missed(start: number): void {
    const fill = this.#keeping?.fill;
    if (!fill) return;
    this.#options.store.skipped(fill, 'memory ran short');
    fill.missed(start);
  }

  #onData(chunk: Buffer): boolean {
    this.#options.onBytes(chunk.length);
    this.#resumption.progressed();
    const end = this.#end.seenFrom(this.position, chunk.length);
    if (this.position + chunk.length >= end) {
      this.#arrived(chunk.subarray(0, end - this.position));
      if (this.#state === 'running') this.#stop(end);
      return false;
    }
    this.#arrived(chunk);
    this.#paused = this.#shouldPause();
    this.#heldUp ||= this.#paused;
    return !this.#paused;
  }

  #arrived(chunk: Buffer): void {
    const window = this.#window;
    if (!window) return;
    if (this.#options.store.pool.tight) this.#options.onTight();
    window.append(chunk);
    this.shrink();
    this.nudge();
  }

  #onComplete(): void {
    const { span, position } = this;
    if (span && position !== span.end + 1) {
      const [got, all] = [position - span.start, span.end - span.start + 1];
      this.#onCut(new Error(`S3 ended the body after ${got} of ${all} bytes`));
      return;
    }
    this.#done();
  }

  #done(): void {
    this.#state = 'done';
    if (!this.#heldUp && this.span) this.#options.onRate(this.position - this.span.start, this.age);
    this.nudge();
    void this.#close();
  }

  /** The body ended early, or never began. */
  #onCut(error: Error): void {
    if (this.#state !== 'running') return;
    this.cuts++;
    const { head, span } = this;
    const resumed = head && span && this.#resumption.begin(() => this.#asResumed(head, span), this.#requests());
    if (!resumed) this.#fail(error);
  }

  #fail(error: Error): void {
    this.#resumption.cancel();
    this.#state = 'failed';
    this.error = error;
    if (!this.#answered) {
      this.#answered = true;
      this.#settle.reject(error);
    }
    this.nudge();
    void this.#close();
  }

  #asResumed(head: Head, span: Span): Resumed {
    const { store, checksumMode, partNumber, resume } = this.#options;
    return {
      store,
      entry: this.entry,
      head,
      checksumMode,
      partNumber,
      span,
      position: this.position,
      requests: this.#requests(),
      send: (by, rest, handler) => resume(by, head, span, rest, handler),
      onContinued: (exchange, last) => {
        this.#exchange = exchange;
        this.span = { start: span.start, end: Math.min(span.end, last) };
        if (last > span.end) this.#end.limit = span.end + 1;
      },
      onData: chunk => this.#onData(chunk),
      onComplete: () => this.#onComplete(),
      onCut: error => this.#onCut(error),
      onLost: error => this.#fail(error),
    };
  }

  *#requests(): Iterable<ReadRequest> {
    for (const { request } of this.#readers) if (request) yield request;
  }

  /** Ends the request before its body is through; where `at` is the end that was agreed on, that is no failure. */
  #stop(at?: number): void {
    this.#exchange.abort();
    if (at !== undefined && this.span && this.#readers.size > 0) {
      this.span = { start: this.span.start, end: at - 1 };
      this.#done();
    } else {
      this.stopped = true;
      this.#fail(new Error('stopped: nobody reads it any more'));
    }
  }

  /** Nothing more comes: what is kept of it gets its place. */
  async #close(): Promise<void> {
    this.#window?.close();
    if (this.#window) await this.#keeping?.end(this.#state === 'done', this.#window);
    this.#over = true;
    this.nudge();
    if (this.#readers.size === 0) this.#window?.clear();
    this.#options.onEnd(this);
  }

  #paced(window: Window): Paced {
    return { window, readers: this.#readers, filling: this.filling, tight: this.#options.store.pool.tight };
  }

  /** Lets go of what nobody needs soon. */
  shrink(): void {
    if (this.#window) this.#window.trim(keepFrom(this.#paced(this.#window)));
  }

  #shouldPause(): boolean {
    if (this.#keeping?.fill?.busy) return true;
    return this.#window !== undefined && isFarAhead(this.#paced(this.#window));
  }

  #pace(): void {
    if (!this.#paused || this.#state !== 'running' || this.#shouldPause()) return;
    this.#paused = false;
    this.#exchange.resume();
  }

  #hasWaiting(): boolean {
    for (const { waiting, eager, at } of this.#readers) if (waiting && !eager && at >= this.position) return true;
    return false;
  }

  /** Its readers look again at what to do. */
  nudge(): void {
    for (const reader of this.#readers) reader.wake();
  }
}

/** Whether an answer is of the version that was asked for, and begins where it should. */
function brings({ head, span }: Learnt, { head: asked, span: { start } }: { head: Head; span: Span }): boolean {
  return head.version === asked.version && span !== undefined && span.start <= start && span.end >= start;
}
