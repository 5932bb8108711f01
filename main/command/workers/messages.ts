import type { Figures } from '../../../proxy-core/admin/index.ts';
import type { Listening } from '../../../proxy-core/listeners/index.ts';
import type { Settings } from '../../../proxy-core/settings/index.ts';

/** What a worker is started with. */
export interface WorkerOptions {
  /** Its name in logs: `worker-1`. */
  readonly name: string;
  readonly version: string;
  /** With its own share of what is for all. */
  readonly settings: Settings;
  /** Where the primary listens. */
  readonly address: Listening;
  /** For its control socket, by which the primary asks it about the cache. */
  readonly controlFolder: string;
}

/** From the primary to a worker. */
export type ToWorker =
  | { readonly type: 'start'; readonly options: WorkerOptions }
  /** Comes with a socket, unless its client has gone in the meantime. The next one comes when this one is taken. */
  | { readonly type: 'connection' }
  | { readonly type: 'tell'; readonly number: number }
  /** Its share of what is in force from now on. */
  | { readonly type: 'settings'; readonly settings: Settings }
  | { readonly type: 'stop' };

/** From a worker to the primary. */
export type FromWorker =
  | { readonly type: 'serving' }
  | { readonly type: 'failed'; readonly error: PlainError }
  | { readonly type: 'connections'; readonly taken: number; readonly open: number }
  /** The answer to the `tell` of this number; what was handed before it and is not among `taken` did not arrive. */
  | { readonly type: 'figures'; readonly number: number; readonly taken: number; readonly figures: Figures };

/** What of an error another process needs to say what a single one would say. */
export interface PlainError {
  readonly message: string;
  readonly code?: string;
  readonly syscall?: string;
}

export function plainError(error: NodeJS.ErrnoException): PlainError {
  const { message, code, syscall } = error;
  return { message, ...(code === undefined ? {} : { code }), ...(syscall === undefined ? {} : { syscall }) };
}
