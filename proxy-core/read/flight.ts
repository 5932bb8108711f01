import type { RawHeaders, Span } from '../request/index.ts';
import { EXTENT, type Fill, type Head, type ObjectEntry, SMALL, type Store } from '../store/index.ts';
import type { Upstream, UpstreamExchange, UpstreamRequest } from '../upstream/index.ts';
import { mayCompress } from './compressible.ts';
import { type Learnt, learn, mergeHeads } from './learn.ts';
import type { ReadSettings } from './types.ts';

/** Bytes kept behind a flight's position, for readers that join or lag; and how far it may run ahead of its fastest reader. */
const WINDOW = 4 << 20;

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
  readonly onEnd: (flight: Flight) => void;
}

/**
 * One fetch from S3 that several readers share while it runs (design section 8). It keeps what arrives in a window of
 * a few MiB, from which readers stream, and fills the store beside. It is paced by its fastest reader: one that lags
 * behind the window reads from the store instead, and never slows the others.
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
  readonly #options: FlightOptions;
  readonly #readers = new Set<FlightReader>();
  readonly #exchange: UpstreamExchange;
  #settle!: { resolve: (answer: FlightAnswer) => void; reject: (error: Error) => void };
  #answered = false;
  #chunks: Buffer[] = [];
  #windowStart = 0;
  #windowBytes = 0;
  #position = 0;
  #state: 'running' | 'done' | 'failed' = 'running';
  #error: Error | undefined;
  #fill: Fill | undefined;
  #fillBlocked = false;
  #paused = false;
  #small: Buffer[] | undefined;
  #stopAt = Number.POSITIVE_INFINITY;
  /** What it fills is in the store, or never will be. */
  #over = false;

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
      onError: error => this.#onError(error),
    });
  }

  get answered(): boolean {
    return this.#answered;
  }

  get failed(): boolean {
    return this.#state === 'failed';
  }

  /** S3 answered with something else than bytes of a version that is kept. */
  get refused(): boolean {
    return this.#answered && this.span === undefined;
  }

  /** Whether a reader of this version can get the byte at `at` from this flight, now or a little later. */
  offers(version: string, at: number): boolean {
    if (this.#state === 'failed' || !this.span || at < this.span.start || at > this.span.end || at >= this.#stopAt)
      return false;
    const head = this.head ?? this.#options.expect?.head;
    return (
      head?.version === version &&
      (at >= this.#windowStart || this.#fill?.abandoned === false || this.#small !== undefined)
    );
  }

  /** A reader that wants the bytes from `at` on. It must `leave` in the end. */
  join(at: number): FlightReader {
    const reader = new FlightReader(this, at);
    this.#readers.add(reader);
    this.#stopAt = Number.POSITIVE_INFINITY;
    this.#pace();
    return reader;
  }

  /** For FlightReader. */
  leave(reader: FlightReader): void {
    this.#readers.delete(reader);
    if (this.#readers.size > 0 || this.#state !== 'running') {
      this.#pace();
      return;
    }
    // Nobody listens any more: the extent in hand is finished, where one is being filled; then it stops.
    if (this.#fill && !this.#fill.abandoned && this.span) {
      this.#stopAt = Math.min(this.span.end + 1, Math.floor(this.#position / EXTENT) * EXTENT + EXTENT);
      if (this.#position >= this.#stopAt) this.#stop();
      else this.#pace();
    } else if (this.#small === undefined) this.#stop();
  }

  /** For FlightReader: what there is from `at` on. */
  take(at: number): Taken {
    if (at >= this.#position) return this.#state === 'running' ? 'wait' : this.#state === 'done' ? 'end' : 'failed';
    if (at < this.#windowStart) return this.#fill?.abandoned === false && !this.#over ? 'behind' : 'failed';
    const chunks: Buffer[] = [];
    let start = this.#windowStart;
    let length = 0;
    for (const chunk of this.#chunks) {
      const end = start + chunk.length;
      if (end > at) {
        const piece = at > start ? chunk.subarray(at - start) : chunk;
        chunks.push(piece);
        length += piece.length;
        at = end;
      }
      start = end;
    }
    return { chunks, length };
  }

  get error(): Error | undefined {
    return this.#error;
  }

  /** For FlightReader: it moved on, so that more may be wanted. */
  moved(): void {
    if (this.#paused) this.#pace();
  }

  #onHeaders(status: number, statusText: string, headers: RawHeaders): void {
    const { expect, checksumMode, partNumber } = this.#options;
    let learnt =
      this.#options.request.method === 'GET' ? learn(status, headers, { checksumMode, partNumber }) : undefined;
    if (expect && learnt && learnt.head.version !== expect.head.version) learnt = undefined;
    if (learnt) this.#keep(learnt);
    else this.span = undefined;
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
    this.span = learnt.span;
    this.#position = this.#windowStart = learnt.span?.start ?? 0;
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
      this.#small = [];
      return;
    }
    if (!store.takesFills && !settings.ram_cache_eligible) return;
    if (known?.version !== head.version || known.headers.length !== head.headers.length)
      void store.keepHead(entry, head, stamp);
    else store.catalog.touch(entry, this.sentAt, epoch, Math.max(settings.get_ttl, settings.head_ttl));
    if (!learnt.span) return;
    this.#fill = store.fill(entry, head, learnt.span, {
      ram: settings.ram_cache_eligible,
      compression: mayCompress(settings, head, entry.address.key) ? 'try' : 'off',
      onDrain: () => {
        this.#fillBlocked = false;
        this.#pace();
      },
      onChange: () => {
        this.#wakeAll();
        this.#pace();
      },
    });
  }

  #onData(chunk: Buffer): boolean {
    this.#options.onBytes(chunk.length);
    this.#position += chunk.length;
    this.#chunks.push(chunk);
    this.#windowBytes += chunk.length;
    while (this.#windowBytes > WINDOW && this.#chunks.length > 1) {
      const gone = this.#chunks.shift()!.length;
      this.#windowBytes -= gone;
      this.#windowStart += gone;
    }
    if (this.#small) this.#small.push(chunk);
    if (this.#fill && !this.#fill.write(chunk)) this.#fillBlocked = true;
    this.#wakeAll();
    if (this.#position >= this.#stopAt) {
      this.#stop();
      return false;
    }
    this.#paused = this.#shouldPause();
    return !this.#paused;
  }

  #onComplete(): void {
    if (this.span && this.#position !== this.span.end + 1) {
      this.#onError(
        new Error(
          `S3 ended the body after ${this.#position - this.span.start} of ${this.span.end - this.span.start + 1} bytes`,
        ),
      );
      return;
    }
    this.#state = 'done';
    this.#wakeAll();
    const { entry, head, epoch } = this;
    if (this.#small && head) {
      const { store, settings } = this.#options;
      const body = Buffer.allocUnsafeSlow(head.length);
      let at = 0;
      for (const chunk of this.#small) at += chunk.copy(body, at);
      const compress = mayCompress(settings, head, entry.address.key);
      void store
        .keepSmall(entry, head, { validatedAt: this.sentAt, epoch }, body, {
          ram: settings.ram_cache_eligible,
          compress,
        })
        .finally(() => this.#finished());
    } else void this.#endFill();
  }

  #onError(error: Error): void {
    this.#state = 'failed';
    this.#error = error;
    if (!this.#answered) {
      this.#answered = true;
      this.#settle.reject(error);
    }
    void this.#endFill();
    this.#wakeAll();
  }

  /** Ends the request before its body is through. */
  #stop(): void {
    this.#exchange.abort();
    this.#onError(new Error('stopped: nobody reads it any more'));
  }

  async #endFill(): Promise<void> {
    await this.#fill?.end();
    this.#finished();
  }

  #finished(): void {
    this.#over = true;
    this.#wakeAll();
    this.#options.onEnd(this);
  }

  #shouldPause(): boolean {
    if (this.#fillBlocked) return true;
    let fastest = Number.NEGATIVE_INFINITY;
    for (const { at } of this.#readers) {
      // One that joined behind the window waits for the extent that it is in: so far it has to run, whoever reads.
      fastest = Math.max(fastest, at < this.#windowStart ? Math.floor(at / EXTENT) * EXTENT + EXTENT : at);
    }
    return this.#readers.size > 0 && this.#position - fastest > WINDOW / 2;
  }

  #pace(): void {
    if (!this.#paused || this.#state !== 'running' || this.#shouldPause()) return;
    this.#paused = false;
    this.#exchange.resume();
  }

  #wakeAll(): void {
    for (const reader of this.#readers) reader.wake();
  }
}

/** `wait`: nothing yet. `behind`: it has left the window, and will be in the store. `failed`: it won't come from here. */
export type Taken = { readonly chunks: Buffer[]; readonly length: number } | 'wait' | 'behind' | 'end' | 'failed';

/** One reader's place in a flight. */
export class FlightReader {
  at: number;
  readonly #flight: Flight;
  #wake: (() => void) | undefined;

  constructor(flight: Flight, at: number) {
    this.#flight = flight;
    this.at = at;
  }

  /** What the flight brings is not what a reader of a version wants. */
  get refused(): boolean {
    return this.#flight.refused;
  }

  /** What has arrived since the last call; moves on by that. */
  take(): Taken {
    const taken = this.#flight.take(this.at);
    if (typeof taken === 'object') {
      this.at += taken.length;
      this.#flight.moved();
    }
    return taken;
  }

  /** Resolves when there may be something to take. */
  wait(): Promise<void> {
    return new Promise(resolve => {
      this.#wake = resolve;
    });
  }

  wake(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  leave(): void {
    this.wake();
    this.#flight.leave(this);
  }
}
