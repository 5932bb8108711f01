import type { Neighbourhood } from './instance.ts';
import {
  type Account,
  type Amounts,
  allowed,
  ceilingFor,
  heldElsewhere,
  isSeenByAll,
  isSettled,
  latest,
  marksOf,
  type Other,
  outOfReach,
  type Sum,
  total,
} from './ledger.ts';
import { accountIn, otherOf } from './published-account.ts';

export interface AccountsOptions {
  /** This process's id on the volume; another one after a while in which the others could not see it. */
  readonly id: () => string;
  /** The others know that this process lives. */
  readonly current: () => boolean;
  /** `max_cache_size`; and most that the cache may come to at the moment, for whatever reason, bytes. */
  readonly own: () => number;
  readonly limit: () => number;
  /** Room taken for files under way, bytes; what of it is for copies of uploads; and what is waited for. */
  readonly reserved: () => number;
  readonly copying: () => number;
  readonly wanted: () => { readonly all: number; readonly first: number };
  /** Uploads that nobody has read, as far as this process knows, bytes. */
  readonly unread: () => number;
  readonly evicting: () => boolean;
  readonly counting: () => boolean;
  /** Now on the volume's clock, ms. */
  readonly now: () => number;
  /** What one that has ended left behind is of no use any more. */
  readonly forget: (id: string) => void;
}

/** Room that a process has in hand beyond what it uses, so that nobody waits for the next heartbeat: a share of the limit. */
const IN_HAND = { alone: 1 / 16, together: 1 / 64 };
const IN_HAND_ALONE = { least: 64 << 20, most: 1 << 30 };
const IN_HAND_TOGETHER = 256 << 20;
/** One that has added nothing for so long has nothing in hand, where others may have use for it, ms. */
const IDLE_AFTER = 5000;
/** A sum that another process was making meanwhile is there by then, ms. */
const FORGET_AFTER = 10_000;

/** This process's account and those of the others, as last seen: how large the cache is, and what of the limit is this process's. */
export class Accounts {
  readonly #options: AccountsOptions;
  #bytes = 0;
  #staged = 0;
  #added = 0;
  /** The others look at this account. What is removed before is told then, unless one has counted meanwhile, who may have missed it. */
  #seen = false;
  #untold = 0;
  /** What of the uploads that nobody has read is not this process's doing: they were found. */
  #unreadFound = 0;
  /** As published last. */
  #ceiling = 0;
  #allowed = 0;
  #others: readonly Other[] = [];
  #sum: Sum | undefined;
  #looks = 0;
  #addedAt = Number.NEGATIVE_INFINITY;

  constructor(options: AccountsOptions) {
    this.#options = options;
  }

  add(bytes: number, staged: boolean): void {
    if (bytes < 0 && !this.#seen) {
      this.#untold += bytes;
      return;
    }
    this.#bytes += bytes;
    if (staged) this.#staged += bytes;
    if (bytes <= 0) return;
    this.#added += bytes;
    this.#addedAt = performance.now();
  }

  get id(): string {
    return this.#options.id();
  }

  /** Whether it is known how large the cache is. */
  get known(): boolean {
    return this.#sum !== undefined;
  }

  /** When the count that this rests on began, on the volume's clock, ms. */
  get countedAt(): number {
    return this.#sum?.at ?? 0;
  }

  /** As far as told; less what this process has removed and the others can't know yet. */
  get bytes(): number {
    return Math.max(0, this.#total('bytes') + this.#untold);
  }

  get staged(): number {
    return this.#total('staged');
  }

  get unread(): number {
    return this.#total('unread');
  }

  /** Room that the others have taken for files under way, bytes. */
  get reservedElsewhere(): number {
    return this.#living.reduce((sum, { account }) => sum + account.reserved, 0);
  }

  /** What may be there, or come, of which nothing can be learned at the moment, bytes. */
  get outOfReach(): number {
    return this.#sum ? outOfReach(this.#sum, this.#others) : 0;
  }

  get copyingElsewhere(): number {
    return this.#living.reduce((sum, { account }) => sum + account.copying, 0);
  }

  /** The smallest `max_cache_size` of all, which holds for all. */
  get limit(): number {
    return this.#living.reduce((least, { account }) => Math.min(least, account.limit), this.#options.own());
  }

  /** How many processes use the folder, this one included. */
  get sharers(): number {
    return this.#living.length + 1;
  }

  /** Another process makes room for all. */
  get othersEvict(): boolean {
    return this.#evictors.length > 0;
  }

  /** One is to go on, should this one do so, too. */
  get yields(): boolean {
    return this.#evictors.some(({ id }) => id < this.id);
  }

  get othersCount(): boolean {
    return this.#living.some(({ account, quiet }) => account.counting && !quiet);
  }

  /** Others that were killed, and nobody has counted since what they have left. */
  get dead(): readonly Other[] {
    return this.#others.filter(other => other.state === 'dead' && !isSettled(this.#sum, other));
  }

  get living(): readonly Other[] {
    return this.#living;
  }

  get all(): readonly Other[] {
    return this.#others;
  }

  get sum(): Sum | undefined {
    return this.#sum;
  }

  get mine(): Amounts & { readonly added: number } {
    const { unread } = this.#options;
    return { bytes: this.#bytes, staged: this.#staged, unread: unread() - this.#unreadFound, added: this.#added };
  }

  /** Whether so much more room may be taken. */
  fits(bytes: number): boolean {
    return this.#used + bytes <= this.#most && this.#options.current();
  }

  /** How much more it could be after another heartbeat, as far as one can tell. */
  get left(): number {
    return this.#sum
      ? this.#options.limit() - heldElsewhere(this.#sum, this.#options.id(), this.#others) - this.#used
      : 0;
  }

  /** It is time for another heartbeat: what is in hand goes to its end, and there is more. */
  get isShort(): boolean {
    return this.#allowed - this.#used < this.#inHand / 4 && this.left > this.#inHand / 4;
  }

  /** The limit has changed. */
  relimit(): void {
    if (this.#sum) this.#allowed = Math.min(this.#allowed, this.#options.limit() - this.#elsewhere);
  }

  /** How often all that the others tell has been seen. */
  get looks(): number {
    return this.#looks;
  }

  /** What it leaves behind when it stops; undefined where that says nothing. */
  last(): Account | undefined {
    return this.#sum || this.#bytes !== 0 ? this.publish() : undefined;
  }

  /** What this process publishes now. */
  publish(): Account {
    const { id, own, limit, wanted, reserved, copying, evicting, counting } = this.#options;
    const { all, first } = wanted();
    const mine = { id: id(), bytes: this.#bytes, reserved: reserved() };
    this.#ceiling = this.#sum
      ? ceilingFor({
          limit: limit(),
          mine,
          elsewhere: this.#elsewhere,
          sharers: this.sharers,
          wanted: all,
          first,
          inHand: this.#inHand,
        })
      : Math.max(this.#used, -this.#untold) + all;
    // It may be lower than before: what others find from now on must hold from now on.
    this.#allowed = Math.min(this.#allowed, this.#ceiling);
    return {
      ...this.mine,
      reserved: mine.reserved,
      copying: copying(),
      ceiling: this.#ceiling,
      limit: own(),
      sees: this.#living.map(other => other.id),
      evicting: evicting(),
      counting: counting(),
      sum: this.#sum,
    };
  }

  /** The others as they were found after that. */
  look({ all, unreadable, shown }: Neighbourhood): void {
    this.#others = all.flatMap(otherOf);
    for (const { id, state, facts } of all) if (state !== 'living' && !accountIn(facts)) this.#options.forget(id);
    const sum = latest([this.#sum, ...this.#others.map(({ account }) => account.sum)]);
    if (sum?.at !== this.#sum?.at) this.#untold = 0;
    this.#sum = sum;
    if (unreadable !== undefined) return;
    this.#looks++;
    if (!shown) return;
    const isSeen = isSeenByAll(this.#options.id(), this.#others);
    // Who counts has perhaps walked past it already, and heard from this process last before it tells.
    if (isSeen && !this.othersCount) this.#show();
    if (!this.#sum) return;
    this.#close(this.#sum);
    if (isSeen) this.#allowed = allowed(this.#options.limit(), this.#elsewhere, this.#ceiling);
  }

  /** How large the cache is has been found out. @param settle which of those that were killed are counted as they are now */
  state(amounts: Amounts, at: number, settle: (other: Other) => boolean): void {
    const id = this.#options.id();
    const marks = marksOf(this.#sum, { id, ...this.mine }, this.#others, settle, this.#options.now());
    if (at !== this.#sum?.at) this.#untold = 0;
    this.#sum = { ...amounts, at, order: (this.#sum?.order ?? 0) + 1, by: id, marks };
    this.relimit();
  }

  /** What of the uploads that nobody has read was found just now, and not published by this process: (negative) fewer. */
  foundUnread(bytes: number): void {
    this.#unreadFound += bytes;
  }

  /** What this process has told so far stands, as another one's: it has a new account. */
  renew(): void {
    this.#bytes = 0;
    this.#staged = 0;
    this.#added = 0;
    this.#unreadFound = this.#options.unread();
    this.#seen = false;
    this.#untold = 0;
    this.#ceiling = 0;
    this.#allowed = Number.NEGATIVE_INFINITY;
  }

  #show(): void {
    this.#seen = true;
    // A sum that is still to come will not have it.
    if (!this.#sum) return;
    this.#bytes += this.#untold;
    this.#untold = 0;
  }

  /** Makes a sum of what has ended in order, and lets go of it. */
  #close(sum: Sum): void {
    const now = this.#options.now();
    // Who counts will want to know what it did meanwhile.
    const mayForget = !this.othersCount && !this.#options.counting();
    for (const other of this.#others) {
      if (!mayForget || other.state === 'living' || !isSettled(sum, other)) continue;
      const since = sum.marks[other.id]?.since ?? now;
      if (Math.abs(now - since) > FORGET_AFTER) this.#options.forget(other.id);
    }
    if (!this.#others.some(other => other.state === 'ended' && !isSettled(sum, other))) return;
    const amounts = { bytes: this.#total('bytes'), staged: this.staged, unread: this.unread };
    this.state(amounts, sum.at, ({ state }) => state === 'ended');
  }

  get #living(): readonly Other[] {
    return this.#others.filter(({ state }) => state === 'living');
  }

  get #evictors(): readonly Other[] {
    return this.#living.filter(({ account, quiet }) => account.evicting && !quiet);
  }

  get #used(): number {
    return this.#bytes + this.#options.reserved();
  }

  /** While nobody knows how large the cache is, what was removed may be added, by whoever removed it. */
  get #most(): number {
    if (this.#sum) return this.#allowed;
    return this.#seen ? Math.min(this.#ceiling, -this.#untold) : 0;
  }

  get #elsewhere(): number {
    return this.#sum ? heldElsewhere(this.#sum, this.#options.id(), this.#others) : 0;
  }

  get #inHand(): number {
    const limit = this.#options.limit();
    if (this.sharers === 1) return Math.min(Math.max(limit * IN_HAND.alone, IN_HAND_ALONE.least), IN_HAND_ALONE.most);
    const isIdle = performance.now() - this.#addedAt > IDLE_AFTER;
    return isIdle ? 0 : Math.min(limit * IN_HAND.together, IN_HAND_TOGETHER);
  }

  #total(amount: keyof Amounts): number {
    const mine = this.mine[amount];
    return Math.max(0, this.#sum ? total(this.#sum, amount, this.#options.id(), mine, this.#others) : mine);
  }
}
