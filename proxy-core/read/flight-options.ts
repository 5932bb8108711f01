import type { RawHeaders, Span } from '../request/index.ts';
import type { Head, ObjectEntry, Store } from '../store/index.ts';
import type { ResponseHandler, Upstream, UpstreamExchange, UpstreamRequest } from '../upstream/index.ts';
import type { Flight } from './flight.ts';
import type { Learnt } from './learn.ts';
import type { ReadRequest, ReadSettings } from './types.ts';

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
  readonly resume: (
    by: ReadRequest,
    head: Head,
    span: Span,
    rest: Span,
    handler: ResponseHandler,
  ) => UpstreamExchange | undefined;
  /** Told in the end how many bytes came in how many ms, where nothing here held them up. */
  readonly onRate: (bytes: number, ms: number) => void;
  /** Memory is short: other flights should hold no more than they need. */
  readonly onTight: () => void;
  readonly onEnd: (flight: Flight) => void;
}
