import type { ObjectAddress, RawHeaders } from '../request/index.ts';

/** What a write needs of the store to say which objects it changed. */
export interface ChangedObjects {
  /** Replaces the objects' epochs. It has its own deadline, so it always settles. */
  moveOn(objects: readonly ObjectAddress[]): Promise<void>;
  /** The object was deleted: what is kept of it may go. */
  forget(object: ObjectAddress): void;
}

/** How a relayed request is watched. None of these throws or rejects. */
export interface RelayHooks {
  /** Sees each request body chunk as it passes. After `hold` the next ones wait for `resume`, which is called soon. */
  onRequestBody?(chunk: Buffer, resume: () => void): 'hold' | undefined;
  /** The request's body was whole. */
  onRequestEnd?(): void;
  /** After S3's final status line and headers, before the client hears anything; the answer waits for the promise. */
  beforeHeaders?(status: number, headers: RawHeaders): Promise<void> | undefined;
  /** Sees each response body chunk as it passes. When `holdsEnd` is true the relay keeps the last one back for beforeEnd. */
  onResponseBody?(chunk: Buffer): void;
  readonly holdsEnd?: boolean;
  beforeEnd?(): Promise<void> | undefined;
  /** The upstream died after (part of) the request went out and before a complete answer. Awaited before the client hears. */
  onUnknownOutcome?(): Promise<void> | undefined;
  /** S3 can't have acted: the request did not reach it. */
  onNotDone?(): void;
}

/** What is kept of one write; told once how it ended. None of these throws or rejects. */
export interface Keeping {
  onRequestBody?(chunk: Buffer, resume: () => void): 'hold' | undefined;
  onRequestEnd?(): void;
  /** S3 has begun to answer, where only the whole answer tells whether it did it. */
  onHeaders?(): void;
  /** S3 did it. `answer` is the body where it tells the outcome, undefined where it is too large. The client waits. */
  accepted(headers: RawHeaders, answer: Buffer | undefined): Promise<void>;
  /** S3 did not do it, or may not have. */
  abandoned(): void;
}
