import type { ObjectAddress, RawHeaders } from '../request/index.ts';

/** What a write needs of the store: to replace objects' epochs. It has its own deadline, so it always settles. */
export interface EpochMover {
  moveOn(objects: readonly ObjectAddress[]): Promise<void>;
}

/** How a relayed request is watched. None of these throws or rejects. */
export interface RelayHooks {
  /** Sees each request body chunk as it passes. */
  onRequestBody?(chunk: Buffer): void;
  /** After S3's final status line and headers, before the client hears anything; the answer waits for the promise. */
  beforeHeaders?(status: number, headers: RawHeaders): Promise<void> | undefined;
  /** Sees each response body chunk as it passes. When `holdsEnd` is true the relay keeps the last one back for beforeEnd. */
  onResponseBody?(chunk: Buffer): void;
  readonly holdsEnd?: boolean;
  beforeEnd?(): Promise<void> | undefined;
  /** The upstream died after (part of) the request went out and before a complete answer. Awaited before the client hears. */
  onUnknownOutcome?(): Promise<void> | undefined;
}
