import { isSigned, type Span, setHeader } from '../request/index.ts';
import type { Head, ObjectEntry, Store } from '../store/index.ts';
import type { ResponseHandler, Upstream, UpstreamExchange, UpstreamRequest } from '../upstream/index.ts';
import { type Asked, ask } from './asked.ts';
import { DiskPace } from './disk-pace.ts';
import type { Flight } from './flight.ts';
import type { FlightOptions } from './flight-options.ts';
import { Flights } from './flights.ts';
import type { ReadRequest } from './types.ts';
import { type Promised, wantedOf } from './wanted.ts';

export interface FetchesOptions {
  readonly store: Store;
  readonly upstream: Upstream;
  readonly onS3Request: () => void;
  readonly onS3Bytes: (count: number) => void;
  /** ms that an answer may wait for the disk, all in all, before it is asked whether S3 is faster. */
  readonly diskPatience: number;
  readonly onEvent: (key: string, message: string) => void;
}

/** Flights from which nobody should expect anything who can ask by himself. */
const LAGGARDS = { has: ({ lags }: Flight) => lags };

/** What goes out to S3 for reads: always the caller's own request, with no more added than its signature leaves free. */
export class Fetches {
  readonly flights = new Flights();
  readonly disk: DiskPace;
  readonly #options: FetchesOptions;
  readonly #store: Store;

  constructor(options: FetchesOptions) {
    this.#options = options;
    this.#store = options.store;
    this.disk = new DiskPace(options.diskPatience, () =>
      options.onEvent('disk', 'the disk gives out what is cached more slowly than S3; for some seconds reads go to S3'),
    );
  }

  /** The request as the caller sent it; whatever S3 answers is the answer. */
  plain(request: ReadRequest, entry: ObjectEntry, epoch: string): Flight {
    this.#options.onS3Request();
    return this.flights.start(this.#flight(request, request.upstream, entry, epoch, undefined));
  }

  /**
   * The bytes from `at` to `end` of a known version, by `Range` and `If-Match`; or, where Range is signed or a part is
   * asked for, the caller's whole range around them. Undefined when the signature has ended (design section 3, rule 9).
   */
  gap(promised: Promised, missing: Span): Flight | undefined {
    return this.#bytes(promised, this.#forGap(promised, missing));
  }

  /**
   * All that the caller asked for of a known version, by its request as it came. Undefined when its signature has ended,
   * or where that is what `gap` asks for.
   */
  own(promised: Promised, at: number): Flight | undefined {
    if (this.replaysRange(promised.request)) return undefined;
    return this.#bytes(promised, this.#forGap(promised, { start: at, end: at }, true));
  }

  /** S3 is asked with `asked`; what to do with a body is decided when its head is in. */
  question(asked: UpstreamRequest): Promise<Asked> {
    this.#options.onS3Request();
    return ask(this.#options.upstream, asked, this.#options.onS3Bytes);
  }

  /** The answer to a question turned out to be a body worth having: others may join it. */
  adopt(answer: Asked, request: ReadRequest, entry: ObjectEntry, epoch: string, sentAt: number): Flight {
    const options = this.#flight(request, request.upstream, entry, epoch, undefined);
    return this.flights.start({ ...options, upstream: answer.upstream, sentAt, onBytes: () => {} });
  }

  /** First byte of `span` that is in no tier and that no flight, or none that keeps up and is trusted, is bringing. */
  firstMissing(
    entry: ObjectEntry,
    head: Head,
    epoch: string,
    span: Span,
    trusted: (flight: Flight) => boolean = () => true,
  ): number | undefined {
    let at = span.start;
    while (at <= span.end) {
      const gap = this.#store.firstGap(entry, head, { start: at, end: span.end });
      if (gap === undefined) return undefined;
      const flight = this.flights.offering(entry, epoch, head.version, gap, LAGGARDS);
      if (!flight || !trusted(flight)) return gap;
      at = flight.last + 1;
    }
    return undefined;
  }

  /** Last byte of the gap that begins at `from`: up to what is kept, or what a flight is bringing. */
  gapEnd(entry: ObjectEntry, head: Head, epoch: string, { start, end }: Span): number {
    const held = this.#store.gapEnd(entry, head, start, end);
    return Math.max(start, Math.min(held, this.flights.nextStart(entry, epoch, start) - 1));
  }

  /** Whether a gap can only be had by the caller's own range: it is signed, or it is a part. */
  replaysRange({ kind, signature }: ReadRequest): boolean {
    return kind.partNumber !== undefined || isSigned(signature, 'range');
  }

  #bytes(
    { request, entry, head, epoch }: Promised,
    asked: { upstream: UpstreamRequest; span: Span } | undefined,
  ): Flight | undefined {
    if (!asked) return undefined;
    this.#options.onS3Request();
    return this.flights.start(this.#flight(request, asked.upstream, entry, epoch, { head, span: asked.span }));
  }

  #forGap(
    { request, entry, head, span: whole }: Promised,
    { start, end }: Span,
    asItCame = this.replaysRange(request),
  ): { upstream: UpstreamRequest; span: Span } | undefined {
    const { signature, upstream, facts, kind } = request;
    if (signature.expiresAt !== undefined && Date.now() > signature.expiresAt) return undefined;
    let { headers } = upstream;
    let span: Span = { start, end };
    if (asItCame) {
      // Of its own answer one knows it even where nothing is kept of that.
      const own = whole ?? wantedOf(request, head, entry.parts.get(kind.partNumber ?? 0))?.span;
      if (!own || own.start > start || own.end < start) return undefined;
      span = own;
    } else if (kind.range !== undefined || start > 0 || end < head.length - 1) {
      headers = setHeader(headers, 'Range', `bytes=${start}-${end}`);
    }
    if (facts.ifMatch === undefined && !isSigned(signature, 'if-match'))
      headers = setHeader(headers, 'If-Match', head.etag);
    return { upstream: { ...upstream, headers }, span };
  }

  /** For a flight that was cut: the rest of it, with the request of one of its readers. */
  #resume(promised: Promised, rest: Span, handler: ResponseHandler): UpstreamExchange | undefined {
    const asked = this.#forGap(promised, rest);
    if (!asked) return undefined;
    this.#options.onS3Request();
    return this.#options.upstream.fetch(asked.upstream, handler);
  }

  #flight(
    { facts, kind, settings }: ReadRequest,
    upstreamRequest: UpstreamRequest,
    entry: ObjectEntry,
    epoch: string,
    expect: FlightOptions['expect'],
  ): Omit<FlightOptions, 'onEnd' | 'onTight'> {
    return {
      store: this.#store,
      upstream: this.#options.upstream,
      request: upstreamRequest,
      entry,
      epoch,
      checksumMode: facts.checksumMode,
      partNumber: kind.partNumber,
      settings,
      expect,
      onBytes: this.#options.onS3Bytes,
      onRate: (bytes, ms) => this.disk.heard(bytes, ms),
      resume: (by, head, span, rest, handler) => {
        const isSamePart = kind.partNumber !== undefined && by.kind.partNumber === kind.partNumber;
        const promised = { request: by, entry, head, epoch, span: isSamePart ? span : undefined };
        return this.#resume(promised, rest, handler);
      },
    };
  }
}
