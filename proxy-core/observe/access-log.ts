import { hostname } from 'node:os';
import { join } from 'node:path';
import { type AccessEntry, formatLine } from './access-line.ts';
import type { Counters } from './counters.ts';
import { appendTo, dayOf, lastDayToRemove, removeOldDays, withinDeadline } from './log-files.ts';

export interface AccessLogOptions {
  readonly dir: string;
  /** `cached_only` leaves out what the cache had no part in (misses, bypasses). */
  readonly mode: 'all' | 'cached_only';
  /** ms */
  readonly flushInterval: number;
  /** ms */
  readonly rotationInterval: number;
  readonly retentionDays: number;
  readonly counters: Pick<Counters, 'access_log_dropped'>;
  /** Told once when writing begins to fail, and with undefined when it works again. */
  onProblem?(problem: string | undefined): void;
  readonly hostname?: string;
  /** ms since the epoch */
  readonly now?: () => number;
}

/** Entries waiting are counted by their strings and this much for the rest. */
const ENTRY_BYTES = 600;
const FLUSH_AT_BYTES = 2 * 1024 * 1024;
const DROP_AT_BYTES = 32 * 1024 * 1024;
/** Lines formatted in one go, so that formatting never holds up requests for long. */
const BATCH = 500;
const CLOSE_DEADLINE_MS = 5_000;
const FILE_NAME = /^(\d{4}-\d\d-\d\d)-\d\d-\d\d-\d\d-./;

interface Problems {
  readonly writing: string | undefined;
  readonly removing: string | undefined;
}

/**
 * The access log: `record` keeps the entry, formatting and writing happen on a timer. Files are
 * `{dir}/YYYY/MM/DD/{start of the interval}-{hostname}`, in UTC. A disk that fails or hangs costs lines (counted), never
 * a request: at most one file operation is under way, and what waits is bounded.
 */
export class AccessLog {
  readonly #options: AccessLogOptions;
  readonly #now: () => number;
  readonly #host: string;
  readonly #timer: NodeJS.Timeout;
  #waiting: AccessEntry[] = [];
  #writing: AccessEntry[] = [];
  #bytes = 0;
  #flushing: Promise<void> | undefined;
  #prunedOn = '';
  #problems: Problems = { writing: undefined, removing: undefined };
  /** A write that failed may have left half a line in this file. */
  #brokenFile: string | undefined;
  #closed = false;

  constructor(options: AccessLogOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#host = (options.hostname ?? hostname()).replace(/[^A-Za-z0-9._-]/g, '_');
    this.#timer = setInterval(() => void this.flush(), options.flushInterval).unref();
  }

  record(entry: AccessEntry): void {
    if (this.#options.mode === 'cached_only' && !isFromCache(entry)) return;
    if (this.#closed || this.#bytes > DROP_AT_BYTES) {
      this.#options.counters.access_log_dropped++;
      return;
    }
    this.#waiting.push(entry);
    this.#bytes += bytesOf(entry);
    if (this.#bytes > FLUSH_AT_BYTES) void this.flush();
  }

  /** Writes what waits; joins a flush that is under way. Never rejects. */
  flush(): Promise<void> {
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = undefined;
    });
    return this.#flushing;
  }

  /** Writes what waits, within a deadline; what can't be written by then is counted as dropped. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    // One that is under way has perhaps not seen the last entries.
    await withinDeadline(
      this.flush().then(() => this.flush()),
      CLOSE_DEADLINE_MS,
    );
    this.#drop(this.#writing.splice(0));
    this.#drop(this.#waiting.splice(0));
  }

  async #flush(): Promise<void> {
    await this.#prune();
    // Not what arrives meanwhile: that waits for the next flush, or many small writes would follow each other.
    let left = this.#waiting.length;
    while (left > 0 && this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, Math.min(BATCH, left));
      left -= batch.length;
      this.#writing = batch;
      await this.#write(batch);
      this.#writing = [];
      this.#bytes = this.#waiting.length === 0 ? 0 : this.#bytes - sizeOf(batch);
    }
  }

  async #write(batch: readonly AccessEntry[]): Promise<void> {
    const path = this.#path();
    const text = batch.map(formatLine).join('');
    try {
      await appendTo(path, this.#brokenFile === path ? `\n${text}` : text);
      this.#brokenFile = undefined;
      this.#report({ writing: undefined });
    } catch (error) {
      this.#brokenFile = path;
      // Empty where `close` gave the batch up already.
      this.#drop(this.#writing);
      this.#report({ writing: `The access log can't be written: ${(error as Error).message}.` });
    }
  }

  /** Once a day, and first of all at the start. */
  async #prune(): Promise<void> {
    const { dir, retentionDays } = this.#options;
    const now = this.#now();
    if (this.#prunedOn === dayOf(now)) return;
    this.#prunedOn = dayOf(now);
    try {
      await removeOldDays(dir, FILE_NAME, lastDayToRemove(now, retentionDays));
      this.#report({ removing: undefined });
    } catch (error) {
      this.#report({ removing: `Old access logs can't be removed: ${(error as Error).message}.` });
    }
  }

  #path(): string {
    const { dir, rotationInterval } = this.#options;
    const start = new Date(Math.floor(this.#now() / rotationInterval) * rotationInterval).toISOString();
    const [year, month, day] = start.slice(0, 10).split('-') as [string, string, string];
    return join(dir, year, month, day, `${start.slice(0, 19).replace(/[T:]/g, '-')}-${this.#host}`);
  }

  #drop(entries: readonly AccessEntry[]): void {
    this.#options.counters.access_log_dropped += entries.length;
  }

  #report(change: { writing: string | undefined } | { removing: string | undefined }): void {
    const before = shown(this.#problems);
    this.#problems = { ...this.#problems, ...change };
    const after = shown(this.#problems);
    if (after !== before) this.#options.onProblem?.(after);
  }
}

function shown({ writing, removing }: Problems): string | undefined {
  return [writing, removing].filter(problem => problem !== undefined).join(' ') || undefined;
}

function isFromCache({ outcome }: AccessEntry): boolean {
  return outcome === 'hit' || outcome === 'revalidated' || outcome === 'partial';
}

function sizeOf(entries: readonly AccessEntry[]): number {
  return entries.reduce((sum, entry) => sum + bytesOf(entry), 0);
}

function bytesOf({ target, userAgent, referer }: AccessEntry): number {
  return ENTRY_BYTES + target.length + (userAgent?.length ?? 0) + (referer?.length ?? 0);
}
