import type { ServerResponse } from 'node:http';
import type { Caller } from '../freshness/index.ts';
import type { HeaderFacts, RequestKind, SignatureFacts } from '../request/index.ts';
import type { UpstreamRequest } from '../upstream/index.ts';

export type ReadKind = Extract<RequestKind, { kind: 'read' }>;

/** So long before a signature ends, what may still be wanted of S3 with it is asked for, ms. */
export const LAST_MINUTE = 60_000;

/** How an answer came about, for `X-Cache`, the counters and the access log. */
export type Outcome = 'HIT' | 'REVALIDATED' | 'PARTIAL' | 'MISS' | 'BYPASS';

/** What settings say about one object, resolved once for a request. Times in ms. */
export interface ReadSettings {
  readonly get_ttl: number;
  readonly head_ttl: number;
  readonly compression_enabled: boolean;
  /** Smallest object that is compressed, bytes. */
  readonly compression_threshold: number;
  readonly ram_cache_eligible: boolean;
  readonly evaluate_conditions_from_cache: boolean;
}

/** What is noted about a request while it runs, for counters and the access log. */
export interface Note {
  outcome: Outcome;
  /** RFC 9211 parameters after `cistern;`. */
  detail: string;
  status: number;
  /** Body bytes given to the client's connection. */
  bytesSent: number;
  bytesFromCache: number;
  /** Bytes of the whole object, when known. */
  objectSize: number | undefined;
  /** Monotonic ms when the first byte of the answer was written. */
  firstByteAt: number;
  /** Why the answer was cut or never given, if it was. */
  error: string | undefined;
  /** S3's x-amz-request-id and x-amz-id-2, where S3 was asked. */
  requestId: string | undefined;
  hostId: string | undefined;
}

/** One GET or HEAD of an object, understood. */
export interface ReadQuestion {
  readonly kind: ReadKind;
  readonly facts: HeaderFacts;
  readonly signature: SignatureFacts;
  readonly caller: Caller;
  readonly settings: ReadSettings;
  /** S3 has to be asked whatever the cache holds (no-cache, browsers, expected owner, requester pays). */
  readonly mustAsk: boolean;
  readonly note: Note;
}

/** The same with its answer yet to be given, by asking S3 where need be. */
export interface ReadRequest extends ReadQuestion {
  readonly res: ServerResponse;
  /** The caller's request as S3 is to see it. */
  readonly upstream: UpstreamRequest;
  /** Called once, when the answer has been given or the client is gone. */
  onDone(note: Note): void;
}

/** A client's connection that takes one whole answer. */
export interface Wire {
  /**
   * Writes an answer: status line and headers (latin1), with a small body behind them, and the pieces of a larger one.
   * False when something reads from the pieces still.
   */
  send(head: string, pieces: readonly Buffer[]): boolean;
  /** Told once, after a `send` that was false, when nothing reads from the pieces any more. */
  onSent(release: () => void): void;
}
