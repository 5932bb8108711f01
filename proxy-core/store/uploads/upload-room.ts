import type { Accounts } from '../disk/accounts.ts';
import type { Room } from '../disk/extent-output.ts';
import type { Unread } from './unread.ts';

export interface UploadRoomOptions {
  /** Room in the cache as a whole. */
  readonly room: Room;
  readonly unread: Pick<Unread, 'size'>;
  /** Most that uploads may take together, bytes. */
  readonly limit: () => number;
  /**
   * What all processes have told: bytes of kept parts of multipart uploads that are neither completed nor aborted, of uploads
   * that nobody has read, and of the others' copies under way.
   */
  readonly accounts: Pick<Accounts, 'staged' | 'unread' | 'copyingElsewhere' | 'sharers'>;
  /** There is no room, and won't be soon. */
  readonly isClosed: () => boolean;
  /** Removes an upload that nobody has read: one that has waited for too long, else the oldest. */
  readonly removeOne: () => Promise<void>;
  readonly onFailed: (error: unknown) => void;
}

/** What a head, and the folder that it may need, take at least. */
const HEAD = 8192;

/**
 * Room for copies of uploads, within their share of the cache (`write_cache_percent`). It counts the uploads that nobody
 * has read, the parts of those that still run, and what is reserved for copies, here and by the other processes on the folder;
 * between two looks at those it takes its part of what is left. To make room unread uploads go.
 */
export class UploadRoom implements Room {
  readonly #options: UploadRoomOptions;
  #reserved = 0;
  /** Most that may be reserved before the others have been looked at again. */
  #most = Number.POSITIVE_INFINITY;
  #trimming: Promise<void> | undefined;
  #stopped = false;

  constructor(options: UploadRoomOptions) {
    this.#options = options;
  }

  get reserved(): number {
    return this.#reserved;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** The others have been looked at. */
  looked(): void {
    const { accounts, limit } = this.#options;
    const left = Math.max(0, limit() - this.#running);
    this.#most = accounts.sharers === 1 ? Number.POSITIVE_INFINITY : this.#reserved + left / accounts.sharers;
    void this.trim();
  }

  /** Whether a copy is worth beginning: what can't go leaves room for it. `length` is its content's, if known. */
  takes(length: number | undefined): boolean {
    const { isClosed, limit } = this.#options;
    return !this.#stopped && !isClosed() && this.#running + (length ?? 0) + HEAD <= limit();
  }

  /** Room for a file of an upload's copy; false when there is none. To be released when it has its place, or is gone. */
  async reserve(bytes: number): Promise<boolean> {
    const { room, limit } = this.#options;
    if (this.#stopped || this.#running + bytes > limit() || this.#reserved + bytes > this.#most) return false;
    this.#reserved += bytes;
    await this.trim();
    if (await room.reserve(bytes)) return true;
    this.#reserved -= bytes;
    return false;
  }

  release(bytes: number): void {
    this.#reserved -= bytes;
    this.#options.room.release(bytes);
  }

  /** Makes unread uploads go until the rest keeps to its share, or the volume fails. */
  async trim(): Promise<void> {
    if (this.#exceeded)
      this.#trimming ??= this.#trim().finally(() => {
        this.#trimming = undefined;
      });
    await this.#trimming;
  }

  /** Bytes of what can't go. */
  get #running(): number {
    const { staged, copyingElsewhere } = this.#options.accounts;
    return staged + copyingElsewhere + this.#reserved;
  }

  get #exceeded(): boolean {
    const { unread, limit, accounts } = this.#options;
    return !this.#stopped && unread.size > 0 && accounts.unread + this.#running > limit();
  }

  async #trim(): Promise<void> {
    const { removeOne, onFailed } = this.#options;
    try {
      while (this.#exceeded) await removeOne();
    } catch (error) {
      onFailed(error);
    }
  }
}
