/**
 * How several processes hold one limit together, as arithmetic; nothing here touches the disk.
 *
 * Each process has an account, which only it writes: by how much it has made the cache larger or smaller since it came, and a
 * ceiling, which that and the room it has taken for files under way will not go over before it publishes another one. What was
 * there before is in a sum: a statement of how large the cache is when the accounts are as its marks say. So
 *
 *     bytes in the cache = sum + Σ (account − its mark)  ≤  sum + Σ (ceiling − its mark)
 *
 * A process publishes a higher ceiling first and looks at the accounts of all others then. Of two that raise theirs at the same
 * time, the one that published later sees both, and uses of its own only what keeps the right side within the limit. So that
 * side never exceeds the limit by a ceiling in use, in whatever order files are written and read, and however old what is read
 * of the others' bytes is.
 *
 * A sum is true by itself, whoever makes another one at the same time: nothing is ever added to a sum. What a process that has
 * ended leaves behind counts until a sum has been made of it, and then never again.
 */
export interface Amounts {
  /** Allocated bytes of `buckets/` and `uploads/`. */
  readonly bytes: number;
  /** Of that, below `uploads/`. */
  readonly staged: number;
  /** Of that, uploads that nobody has read. */
  readonly unread: number;
}

/** What a process publishes of itself: its part of each amount since it came, which may be negative, and more. */
export interface Account extends Amounts {
  /** All that it has ever added. */
  readonly added: number;
  /** Room taken for files that are not in their place yet, and what of it is for copies of uploads. */
  readonly reserved: number;
  readonly copying: number;
  /** Most that `bytes + reserved` comes to before another account is published. */
  readonly ceiling: number;
  /** Its `max_cache_size`. The smallest holds for all. */
  readonly limit: number;
  /** The others whose accounts it looks at before it uses more. */
  readonly sees: readonly string[];
  /** It is making room for all, or counting what is there, so that others need not. */
  readonly evicting: boolean;
  readonly counting: boolean;
  readonly sum: Sum | undefined;
}

/** An account as it is in a sum already. */
export interface Mark extends Amounts {
  /** All of it, its ceiling included, as long as its process has not published anything after this beat. */
  readonly settled?: number;
  /** Since when, on the volume's clock, ms. */
  readonly since?: number;
}

export interface Sum extends Amounts {
  /** When the count that it rests on began, on the volume's clock, ms; 0 for an empty cache that was never counted. */
  readonly at: number;
  readonly order: number;
  /** Id of the account whose process made it. */
  readonly by: string;
  readonly marks: Readonly<Record<string, Mark>>;
}

/** Another process, or what one has left. */
export interface Other {
  readonly id: string;
  readonly beat: number;
  readonly account: Account;
  /** `ended`: it has stopped, and its account is what it was in the end. `dead`: it was killed; it may have used its ceiling. */
  readonly state: 'living' | 'ended' | 'dead';
  /** It has published nothing for so long that it is certainly not about to use more without telling. */
  readonly quiet: boolean;
}

export interface Mine {
  readonly id: string;
  readonly bytes: number;
  readonly reserved: number;
}

const NOTHING: Amounts = { bytes: 0, staged: 0, unread: 0 };

/** The sum that counts: the one by the latest count; of those by one count the last. */
export function latest(sums: readonly (Sum | undefined)[]): Sum | undefined {
  let best: Sum | undefined;
  for (const sum of sums) if (sum && (!best || isAfter(sum, best))) best = sum;
  return best;
}

function isAfter(a: Sum, b: Sum): boolean {
  if (a.at !== b.at) return a.at > b.at;
  return a.order !== b.order ? a.order > b.order : a.by > b.by;
}

export function isSettled(sum: Sum | undefined, { id, beat }: Pick<Other, 'id' | 'beat'>): boolean {
  return sum?.marks[id]?.settled === beat;
}

/** An amount as far as told; `mine` is this process's part. */
export function total(sum: Sum, amount: keyof Amounts, id: string, mine: number, others: readonly Other[]): number {
  let all = sum[amount] + mine - markOf(sum, id)[amount];
  for (const other of others) if (!isSettled(sum, other)) all += other.account[amount] - markOf(sum, other.id)[amount];
  return all;
}

/** What all but this process's own bytes and room come to at most: the limit less this is what it has. */
export function heldElsewhere(sum: Sum, id: string, others: readonly Other[]): number {
  let held = sum.bytes - markOf(sum, id).bytes;
  for (const other of others) {
    if (isSettled(sum, other)) continue;
    const { state, account } = other;
    held += (state === 'ended' ? account.bytes : account.ceiling) - markOf(sum, other.id).bytes;
  }
  return held;
}

/** What others may have used of their ceilings that can't be asked of them at the moment: they were killed, or show no sign of life. */
export function outOfReach(sum: Sum, others: readonly Other[]): number {
  let bytes = 0;
  for (const other of others) {
    const { state, quiet, account } = other;
    if (isSettled(sum, other) || state === 'ended' || !(state === 'dead' || quiet)) continue;
    bytes += account.ceiling - account.bytes - (state === 'living' ? account.reserved : 0);
  }
  return bytes;
}

export interface Wish {
  readonly limit: number;
  readonly mine: Mine;
  /** See `heldElsewhere`. */
  readonly elsewhere: number;
  /** How many share what is left, this one included. */
  readonly sharers: number;
  /** Bytes that somebody waits for, those of the first of them, and what is good to have in hand. */
  readonly wanted: number;
  readonly first: number;
  readonly inHand: number;
}

/** The ceiling to publish: its share of what is left, as far as it has use for it; enough for one who waits, if there is so much. */
export function ceilingFor({ limit, mine, elsewhere, sharers, wanted, first, inHand }: Wish): number {
  const used = mine.bytes + mine.reserved;
  const left = Math.max(0, limit - elsewhere - used);
  const share = Math.floor(left / sharers);
  return used + Math.min(Math.max(wanted, inHand), first <= left ? Math.max(first, share) : share);
}

/** What its bytes and room may come to, once it has published `ceiling` and then looked at the others. */
export function allowed(limit: number, elsewhere: number, ceiling: number): number {
  return Math.min(ceiling, limit - elsewhere);
}

/**
 * Whether every other process will look at this one's account before it uses more. A directory's listing may be old, so that one
 * knows of a newcomer only when it says so; until then nobody is certain of what the other may take.
 */
export function isSeenByAll(id: string, others: readonly Other[]): boolean {
  return others.every(({ state, quiet, account }) => state !== 'living' || quiet || account.sees.includes(id));
}

/** Marks for all accounts as they are now: those of processes that have ended are settled by them. */
export function marksOf(
  sum: Sum | undefined,
  mine: Amounts & { readonly id: string },
  others: readonly Other[],
  settle: (other: Other) => boolean,
  now: number,
): Record<string, Mark> {
  const marks: Record<string, Mark> = { [mine.id]: amountsOf(mine) };
  for (const other of others) {
    const before = isSettled(sum, other) ? sum?.marks[other.id]?.since : undefined;
    const isDone = other.state !== 'living' && (before !== undefined || settle(other));
    marks[other.id] = { ...amountsOf(other.account), ...(isDone ? { settled: other.beat, since: before ?? now } : {}) };
  }
  return marks;
}

export interface Walked {
  /** What was found there of what is older than the beginning. */
  readonly found: number;
  /** What has been added since, at most, and what all came to grow, at least. */
  readonly added: number;
  readonly grown: number;
}

/**
 * How large the cache is after a walk through it, in which files came and went. What the counters say stays, if that can be; else
 * it is the most that there can be, as it is where the counters can't be relied on.
 * @param told undefined where they can't
 */
export function putRight({ found, added, grown }: Walked, told: number | undefined): number {
  const most = found + added;
  return told !== undefined && told >= Math.min(most, found + grown) && told <= most ? told : most;
}

export function amountsOf({ bytes, staged, unread }: Amounts): Amounts {
  return { bytes, staged, unread };
}

function markOf(sum: Sum, id: string): Amounts {
  return sum.marks[id] ?? NOTHING;
}
