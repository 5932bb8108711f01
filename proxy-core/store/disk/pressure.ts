import type { Accounts } from './accounts.ts';
import type { FreeSpace } from './free-space.ts';
import type { Stocktaking } from './stocktaking.ts';
import type { WaitingRoom } from './waiting-room.ts';

export interface PressureOptions {
  readonly accounts: Pick<
    Accounts,
    'bytes' | 'known' | 'limit' | 'outOfReach' | 'reservedElsewhere' | 'othersEvict' | 'yields'
  >;
  readonly room: Pick<WaitingRoom, 'reserved' | 'wanted'>;
  readonly space: Pick<FreeSpace, 'limit' | 'isBelow'>;
  readonly stocktaking: Pick<Stocktaking, 'isFirst' | 'isSlow' | 'takesLong'>;
}

/** Eviction begins above the one share of the limit, a little before fills have to wait, and goes on down to the other. */
const HIGH_WATER = 0.98;
const LOW_WATER = 0.95;

/** How near the cache is to its limits, and whether something has to go for what is to come. */
export class Pressure {
  readonly #options: PressureOptions;

  constructor(options: PressureOptions) {
    this.#options = options;
  }

  /** What the cache may come to: where the free space bounds it, what that lets it. Negative where the volume is too full. */
  get limit(): number {
    const { accounts, space } = this.#options;
    return Math.min(accounts.limit, space.limit);
  }

  /** Nothing new has a chance, whatever goes for it. */
  get isClosed(): boolean {
    const { space, stocktaking, accounts } = this.#options;
    if (this.limit <= 0 || space.isBelow) return true;
    // It takes a while to find out how large the cache is, but not so long that something should go unseen for what is new.
    return !accounts.known && stocktaking.isSlow && !stocktaking.takesLong;
  }

  /** Making room takes a while. Readers don't wait for a fill's room as those who upload do for a copy's. */
  get isClosedToUploads(): boolean {
    const { accounts, stocktaking } = this.#options;
    return accounts.known ? accounts.bytes > this.limit : stocktaking.isSlow;
  }

  /** More is there or wanted than there is room for. */
  get isOver(): boolean {
    return this.#exceeds(1);
  }

  /** Whoever makes room has not done enough yet. */
  get isAboveRest(): boolean {
    return this.#exceeds(LOW_WATER);
  }

  /** What is there comes near `max_cache_size`, whatever the volume has free. */
  get isNearMaximum(): boolean {
    const { accounts } = this.#options;
    return accounts.bytes > accounts.limit * LOW_WATER;
  }

  /** So much more would need room to be made. */
  wouldNeedRoom(bytes: number): boolean {
    return this.#exceeds(LOW_WATER, bytes);
  }

  /** Whether eviction has to begin: for what this process wants, or for all, which one of them does. */
  get isTooMuch(): boolean {
    const { accounts, stocktaking } = this.#options;
    if (this.#isShort) return true;
    // The first count comes upon the uploads that have to go before anything else.
    if (stocktaking.isFirst) return false;
    return accounts.bytes > 0 && this.#exceeds(HIGH_WATER) && !accounts.othersEvict;
  }

  /** Whether it may rest again. */
  get isEnough(): boolean {
    const { accounts } = this.#options;
    if (this.#isShort) return false;
    return accounts.bytes === 0 || !this.isAboveRest || accounts.yields;
  }

  /** Somebody waits for room that nobody has; or nobody knows, and won't for a while. */
  get #isShort(): boolean {
    const { accounts, room, stocktaking } = this.#options;
    if (room.wanted.all === 0) return false;
    return accounts.known ? accounts.bytes > 0 && this.isOver : stocktaking.takesLong;
  }

  /** @param more bytes that are about to be wanted, too */
  #exceeds(share: number, more = 0): boolean {
    const { accounts, room, space } = this.#options;
    const elsewhere = accounts.reservedElsewhere + accounts.outOfReach;
    const taken = accounts.bytes + room.reserved + elsewhere + room.wanted.all + more;
    return taken > Math.min(accounts.limit * share, space.limit);
  }
}
