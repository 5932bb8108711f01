import type { RawHeaders, Span } from '../request/index.ts';
import { EXTENT, type Fill, type Head, type ObjectEntry, PIECE, SMALL, type Store } from '../store/index.ts';
import type { ResponseHandler, Upstream, UpstreamExchange, UpstreamRequest } from '../upstream/index.ts';
import { mayCompress } from './compressible.ts';
import { FlightReader, type Found } from './flight-reader.ts';
import { type Learnt, learn, mergeHeads } from './learn.ts';
import { LAST_MINUTE, type ReadRequest, type ReadSettings } from './types.ts';
import { Window } from './window.ts';

/** How far a flight may run ahead of its fastest reader, and how much it keeps behind its position, bytes. */
interface Reach {
  readonly ahead: number;
  readonly behind: number;
}
/** As a rule: the extent in hand and a little more, so that whoever joins finds everything in the window or in the store. */
const ROOMY: Reach = { ahead: 2 << 20, behind: EXTENT + PIECE };
/** Half of the memory budget is in use. */
const TIGHT: Reach = { ahead: 1 << 20, behind: 2 << 20 };
/** The budget is spent, or nobody keeps the body. */
const LOOSE: Reach = { ahead: 128 << 10, behind: 256 << 10 };

/** A reader that wants what is still to come joins if that should be no farther off than this, bytes or ms. */
const NEAR = { bytes: EXTENT, ms: 1000 };
/** Rate assumed of a flight that has hardly begun, bytes a ms. */
const LIKELY_RATE = 50_000;

/** How often in a row, without a byte between, a cut flight is sent for again, and how long before each time, ms. */
const RESUMES = [0, 200, 800];

export interface FlightAnswer {
  readonly status: number;
  readonly statusText: string;
  /** End-to-end headers as S3 sent them. */
  readonly headers: RawHeaders;
  /** What a storable answer says; undefined for every other. */
  readonly learnt: Learnt | undefined;
}

export interface FlightOptions {
  readonly store: Store;
  readonly upstream: Upstream;
  readonly request: UpstreamRequest;
  readonly entry: ObjectEntry;
  /** The object's epoch before the request is sent: what the flight learns belongs to it. */
  readonly epoch: string;
  readonly checksumMode: boolean;
  readonly partNumber: number | undefined;
  readonly settings: ReadSettings;
  /** A gap of a known version: anything but those bytes of it is not kept. Undefined for a request as the caller sent it. */
  readonly expect: { readonly head: Head; readonly span: Span } | undefined;
  /** When the request was sent, where that was before now; on the volume's clock, ms. */
  readonly sentAt?: number;
  /** Bytes of bodies received from S3. */
  readonly onBytes: (count: number) => void;
  /** Sends for the rest of a version with a reader's own request. Undefined when that may not be sent any more. */
  readonly resume: (by: ReadRequest, head: Head, rest: Span, handler: ResponseHandler) => UpstreamExchange | undefined;
  /** Told in the end how many bytes came in how many ms, where nothing here held them up. */
  readonly onRate: (bytes: number, ms: number) => void;
  /** Memory is short: other flights should hold no more than they need. */
  readonly onTight: () => void;
  readonly onEnd: (flight: Flight) => void;
}

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
  readonly #options: FlightOptions;
  readonly #readers = new Set<FlightReader>();
  #exchange: UpstreamExchange;
  #settle!: { resolve: (answer: FlightAnswer) => void; reject: (error: Error) => void };
  #answered = false;
  #status = 0;
  #window: Window | undefined;
  #state: 'running' | 'done' | 'failed' = 'running';
  #fill: Fill | undefined;
  #small = false;
  #paused = false;
  #heldUp = false;
  /** Where it ends when nobody listens any more. */
  #stopAt = Number.POSITIVE_INFINITY;
  /** Where its span ends, for an answer that goes on after it. */
  #limit = Number.POSITIVE_INFINITY;
  #handOver: { readonly at: number; readonly covered: () => boolean } | undefined;
  #resumes = 0;
  #resumeTimer: NodeJS.Timeout | undefined;
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

  get running(): boolean {
    return this.#state === 'running';
  }

  /** S3 answered with something else than bytes of a version that is kept. */
  get refused(): boolean {
    return this.#answered && this.span === undefined;
  }

  /** S3's status; 0 before its answer. */
  get status(): number {
    return this.#status;
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

  /** ms since its answer came. */
  get age(): number {
    return this.#window ? performance.now() - this.#startedAt : 0;
  }

  /** What arrives is going to be in the store. */
  get filling(): boolean {
    return this.#fill?.healthy === true;
  }

  /** The last byte it is going to bring. */
  get last(): number {
    if (this.#state === 'failed') return this.position - 1;
    return Math.min(this.span?.end ?? -1, (this.#handOver?.at ?? Number.POSITIVE_INFINITY) - 1);
  }

  /** Whether a reader of this version can get the byte at `at` from this flight, now or a little later. */
  offers(version: string, at: number): boolean {
    if (!this.span || at < this.span.start || at > this.last || (this.running && at >= this.#stopAt)) return false;
    const head = this.head ?? this.#options.expect?.head;
    if (head?.version !== version) return false;
    // Who can't ask any more must not be outrun where nothing is kept of what they have yet to read.
    if (!this.filling && this.#isLifeline()) return false;
    const { position } = this;
    if (at >= position && this.#state !== 'running') return false;
    if (at >= position) return at - position < NEAR.bytes || (at - position) / this.#likelyRate() < NEAR.ms;
    return at >= (this.#window?.start ?? 0) || this.#fill?.keeps(at) === true;
  }

  /** Whether every byte that it brings can still be had when a reader comes to it: by the store, or because it is the only one. */
  get faithful(): boolean {
    return this.filling || this.#readers.size <= 1;
  }

  /** A reader that wants the bytes from `at` on; it must `leave` in the end. `eager`: as fast as the store takes them. */
  join(at: number, request?: ReadRequest, eager = false): FlightReader {
    const reader = new FlightReader(this, at, request, eager);
    this.#readers.add(reader);
    this.#stopAt = Number.POSITIVE_INFINITY;
    this.#pace();
    return reader;
  }

  /** Others bring what comes from `at` on, an extent's boundary: there it ends, unless they turn out not to. */
  handOver(at: number, covered: () => boolean): void {
    if (at > this.position) this.#handOver = { at, covered };
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
      this.#stopAt = Math.min(span.end + 1, Math.floor(position / EXTENT) * EXTENT + EXTENT);
      if (position >= this.#stopAt) this.#stop();
      else this.#pace();
    } else if (!this.#small) this.#stop();
  }

  /** For FlightReader: what there is from `at` on. */
  take(at: number, max: number): Found {
    const { position } = this;
    if (at >= position) return this.#state === 'running' ? 'wait' : this.#state === 'done' ? 'end' : 'failed';
    return this.#window?.take(at, max) ?? (this.#fill?.keeps(at) && !this.#over ? 'behind' : 'failed');
  }

  /** For FlightReader: it moved on, so that more may be wanted. */
  moved(): void {
    if (this.#paused) this.#pace();
  }

  /** Lets go of what nobody needs soon. */
  shrink(): void {
    this.#trim();
  }

  #isLifeline(): boolean {
    for (const { request, eager } of this.#readers)
      if (request && !eager && endOf(request) < Date.now() + LAST_MINUTE) return true;
    return false;
  }

  #likelyRate(): number {
    const { rate } = this;
    return rate === 0 || performance.now() - this.#startedAt < 100 ? Math.max(LIKELY_RATE, rate) : rate;
  }

  #onHeaders(status: number, statusText: string, headers: RawHeaders): void {
    const { expect, checksumMode, partNumber, store, request } = this.#options;
    let learnt = request.method === 'GET' ? learn(status, headers, { checksumMode, partNumber }) : undefined;
    if (expect && learnt && !isWhat(expect, learnt)) learnt = undefined;
    this.#status = status;
    this.span = learnt?.span;
    this.#startedAt = performance.now();
    // Who joined before could not know where it begins.
    for (const reader of this.#readers) reader.at = Math.max(reader.at, this.span?.start ?? 0);
    this.#window = new Window({
      start: this.span?.start ?? 0,
      end: this.span?.end ?? Number.POSITIVE_INFINITY,
      pool: this.span && store.pool,
      onPiece: (piece, start, length) => this.#fill?.write(piece, start, length),
    });
    if (learnt) this.#keep(learnt);
    this.#answered = true;
    this.#settle.resolve({ status, statusText, headers, learnt });
    this.#wakeAll();
  }

  /** The answer is a body that is kept: adopts its head and starts to fill the store. */
  #keep(learnt: Learnt): void {
    const { store, settings } = this.#options;
    const { entry, epoch } = this;
    const head = mergeHeads(entry.head, learnt.head);
    const stamp = { validatedAt: this.sentAt, epoch };
    this.head = head;
    const known = entry.head;
    // A write has come between, and somebody has learnt of its version already: what this flight brings is of the past.
    if (epoch !== entry.epoch && known && entry.headEpoch === entry.epoch) return;
    store.adopt(entry, head, stamp);
    if (learnt.part) {
      const { part } = learnt;
      const number = this.#options.partNumber ?? 0;
      void store.catalog.publishPart(entry, head, number, part).catch(() => {});
    }
    const whole = !learnt.span || learnt.span.end - learnt.span.start + 1 === head.length;
    if (whole && head.length <= SMALL) {
      this.#small = true;
      return;
    }
    if (!store.takesFills && !settings.ram_cache_eligible) return;
    if (known?.version !== head.version || known.headers.length !== head.headers.length)
      void store.keepHead(entry, head, stamp);
    else store.catalog.touch(entry, this.sentAt, epoch, Math.max(settings.get_ttl, settings.head_ttl));
    if (!learnt.span) return;
    this.#fill = store.fill(entry, head, learnt.span, {
      // A large object read once is best left to the disk; what of it is read again enters RAM from there.
      ram: settings.ram_cache_eligible && (head.length <= EXTENT || !store.takesFills),
      compression: mayCompress(settings, head, entry.address.key) ? 'try' : 'off',
      urgent: () => this.#hasWaiting(),
      onChange: () => {
        this.#wakeAll();
        this.#pace();
      },
    });
  }

  #onData(chunk: Buffer): boolean {
    this.#options.onBytes(chunk.length);
    this.#resumes = 0;
    const end = Math.min(this.#stopAt, this.#limit, this.#endHere(chunk.length));
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
    this.#trim();
    this.#wakeAll();
  }

  /** Where others take over, when the next `count` bytes reach that place and they are there to do so. */
  #endHere(count: number): number {
    if (!this.#handOver || this.position + count < this.#handOver.at) return Number.POSITIVE_INFINITY;
    if (this.#handOver.covered()) return this.#handOver.at;
    this.#handOver = undefined;
    return Number.POSITIVE_INFINITY;
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
    this.#wakeAll();
    const { entry, head, epoch } = this;
    if (!this.#small || !head) {
      void this.#endFill();
      return;
    }
    const { store, settings } = this.#options;
    const body = Buffer.allocUnsafeSlow(head.length);
    const taken = this.#window?.take(0, head.length);
    let at = 0;
    for (const piece of taken?.pieces ?? []) at += piece.copy(body, at);
    taken?.release();
    const compress = mayCompress(settings, head, entry.address.key);
    const stamp = { validatedAt: this.sentAt, epoch };
    void store
      .keepSmall(entry, head, stamp, body, { ram: settings.ram_cache_eligible, compress })
      .finally(() => this.#finished());
  }

  /** The body ended early, or never began. */
  #onCut(error: Error): void {
    if (this.#state !== 'running' || this.#resume()) return;
    this.#fail(error);
  }

  #fail(error: Error): void {
    clearTimeout(this.#resumeTimer);
    this.#state = 'failed';
    this.error = error;
    if (!this.#answered) {
      this.#answered = true;
      this.#settle.reject(error);
    }
    void this.#endFill();
    this.#wakeAll();
  }

  /** Sends for what is missing with a request of the reader whose signature holds longest. False when that is no use. */
  #resume(): boolean {
    const { head, span } = this;
    const wait = RESUMES[this.#resumes];
    if (!head || !span || wait === undefined || !this.#heir()) return false;
    this.#resumes++;
    this.#resumeTimer = setTimeout(() => this.#sendForRest(head, span), wait);
    return true;
  }

  #sendForRest(head: Head, span: Span): void {
    const heir = this.#heir();
    const rest = { start: this.position, end: span.end };
    const exchange = heir && this.#options.resume(heir, head, rest, this.#continuation(head, span));
    if (exchange) this.#exchange = exchange;
    else this.#fail(new Error('S3 cut the body, and no signature is left to ask for the rest with'));
  }

  /** What S3 answers to a request for the rest: the same version, from the next byte on or from before it. */
  #continuation(head: Head, span: Span): ResponseHandler {
    const { checksumMode, partNumber, store } = this.#options;
    let skip = 0;
    let over = false;
    const giveUp = (error: Error, final: boolean) => {
      over = true;
      // By the next turn: the handler may be called before `fetch` has returned what there is to abort.
      queueMicrotask(() => this.#exchange.abort());
      if (final) this.#fail(error);
      else this.#onCut(error);
    };
    return {
      onHeaders: (status, _statusText, headers) => {
        const learnt = learn(status, headers, { checksumMode, partNumber });
        const same = learnt?.head.version === head.version;
        if (!same && (status === 412 || status < 300) && this.entry.head?.version === head.version)
          store.catalog.distrust(this.entry);
        const got = same ? learnt?.span : undefined;
        if (!got || got.start > this.position || got.end < this.position) {
          giveUp(new Error(`S3 cut the body, and answered ${status} when asked for the rest`), status < 500);
          return;
        }
        skip = this.position - got.start;
        this.span = { start: span.start, end: Math.min(span.end, got.end) };
        if (got.end > span.end) this.#limit = span.end + 1;
      },
      onData: chunk => {
        if (over) return false;
        if (skip === 0) return this.#onData(chunk);
        const rest = chunk.subarray(Math.min(skip, chunk.length));
        skip -= chunk.length - rest.length;
        return rest.length === 0 || this.#onData(rest);
      },
      onComplete: () => over || this.#onComplete(),
      onError: error => over || this.#onCut(error),
    };
  }

  /** The reader whose request can carry the flight on for longest. */
  #heir(): ReadRequest | undefined {
    let heir: ReadRequest | undefined;
    for (const { request } of this.#readers) if (request && (!heir || endOf(request) > endOf(heir))) heir = request;
    return heir;
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

  async #endFill(): Promise<void> {
    this.#window?.close();
    await this.#fill?.end();
    this.#finished();
  }

  #finished(): void {
    this.#over = true;
    this.#wakeAll();
    if (this.#readers.size === 0) this.#window?.clear();
    this.#options.onEnd(this);
  }

  #reach(): Reach {
    if (!this.#window || this.#window.loose) return LOOSE;
    return this.#options.store.pool.tight ? TIGHT : ROOMY;
  }

  #trim(): void {
    const window = this.#window;
    if (!window) return;
    // Its fastest reader never loses what it has not read yet.
    window.trim(Math.min(window.end - this.#reach().behind, this.#fastest() ?? Number.POSITIVE_INFINITY));
  }

  /** Where the reader is that is farthest; undefined where nobody's place matters. */
  #fastest(): number | undefined {
    let fastest: number | undefined;
    const start = this.#window?.start ?? 0;
    for (const { at, eager } of this.#readers) {
      if (eager && this.filling) continue;
      // One that joined behind the window waits for the extent that it is in: so far it has to run, whoever reads.
      const place = at < start ? Math.floor(at / EXTENT) * EXTENT + EXTENT : at;
      if (fastest === undefined || place > fastest) fastest = place;
    }
    return fastest;
  }

  #shouldPause(): boolean {
    if (this.#fill?.busy) return true;
    const fastest = this.#fastest();
    return fastest !== undefined && this.position - fastest > this.#reach().ahead;
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

  #wakeAll(): void {
    for (const reader of this.#readers) reader.wake();
  }
}

/** Whether an answer is of the version that was asked for, and begins where it should. */
function isWhat({ head, span }: { head: Head; span: Span }, { head: got, span: bytes }: Learnt): boolean {
  return got.version === head.version && bytes !== undefined && bytes.start <= span.start && bytes.end >= span.start;
}

function endOf({ signature }: ReadRequest): number {
  return signature.expiresAt ?? Number.POSITIVE_INFINITY;
}
