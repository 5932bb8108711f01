import type { EpochRoom } from '../dirty-epochs.ts';
import type { Capacity } from './capacity.ts';
import { EPOCH_KEPT } from './leaves.ts';

/** What an epoch may take: its file and the two folders above it, bytes. */
const EPOCH_BYTES = 3 * 4096;
/** Share of the cache that epochs may take which are too young to go, of all processes together. */
const SHARE = 1 / 16;
/** How finely their age is known, ms. */
const SPAN = 60_000;

type Room = Pick<Capacity, 'most' | 'full' | 'reserveSoon' | 'release' | 'accounts'>;

interface Span {
  readonly began: number;
  count: number;
}

/**
 * Room for epochs, which eviction has to leave alone for 15 minutes: within the limit like all else, and within a share of it, so that
 * a flood of deletes doesn't take the place of what is read.
 */
export class RecordRoom implements EpochRoom {
  readonly #capacity: Room;
  /** How many were written in each span of time that is not over for all of them, the latest last. */
  #spans: Span[] = [];

  constructor(capacity: Room) {
    this.#capacity = capacity;
  }

  async reserve(): Promise<boolean> {
    const { most, full, accounts } = this.#capacity;
    if (full) return false;
    const now = performance.now();
    this.#spans = this.#spans.filter(({ began }) => began > now - EPOCH_KEPT - SPAN);
    const young = this.#spans.reduce((sum, { count }) => sum + count, 0);
    if ((young + 1) * EPOCH_BYTES > (most * SHARE) / accounts.sharers) return false;
    const span = this.#span(now);
    span.count++;
    if (await this.#capacity.reserveSoon(EPOCH_BYTES)) return true;
    span.count--;
    return false;
  }

  release(): void {
    this.#capacity.release(EPOCH_BYTES);
  }

  #span(now: number): Span {
    const latest = this.#spans.at(-1);
    if (latest && latest.began > now - SPAN) return latest;
    const span = { began: now, count: 0 };
    this.#spans.push(span);
    return span;
  }
}
