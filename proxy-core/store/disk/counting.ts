import type { Accounts } from './accounts.ts';
import type { Census, Counted } from './census.ts';
import { type Account, type Other, putRight } from './ledger.ts';

export interface CountingOptions {
  readonly census: Pick<Census, 'take'>;
  readonly accounts: Accounts;
  /** Uploads that nobody has read, as far as this process knows, bytes. */
  readonly unread: () => number;
  /** Now on the volume's clock, ms. */
  readonly now: () => number;
  /** Publishes this process's account, as it is now, and looks at the others'. Never rejects. */
  readonly beat: () => Promise<void>;
}

export interface Correction {
  readonly counted: Counted;
  /** By how many bytes the counters had been off (negative: too much was told); undefined where nothing had been told. */
  readonly bytes: number | undefined;
  /** So much came and went meanwhile that it may still be off by this many. */
  readonly doubt: number;
}

/** How long to wait for another process to tell what it did while this one counted, ms. */
const PATIENCE = 5000;
const LOOK_EVERY = 100;

/**
 * Counts what is there and puts the counters of all right by it. Others add and remove at the same time: what they had added
 * before they told it may be counted twice, never not at all. What they have removed is certain to be told when all have published
 * something after the walk; only then there is a sum.
 */
export class Counting {
  readonly #options: CountingOptions;
  #stopped = false;

  constructor(options: CountingOptions) {
    this.#options = options;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Undefined when it was stopped, or could not see what the others tell. Rejects with the volume's error. */
  async count(): Promise<Correction | undefined> {
    const { census, accounts, beat, now, unread } = this.#options;
    const { looks } = accounts;
    await beat();
    // What one that isn't known has told is found by the walk, too, and would be counted twice once that one is seen.
    if (accounts.looks === looks) return undefined;
    const began = now();
    const count = new Count(accounts, began);
    const counted = await census.take(began);
    if (!counted) return undefined;
    accounts.foundUnread(counted.unread);
    await this.#hearAll();
    return this.#stopped ? undefined : count.end(counted, unread());
  }

  /** Resolves when every other process has told of itself since, or shows no sign of life. */
  async #hearAll(): Promise<void> {
    const { accounts, beat } = this.#options;
    const until = performance.now() + PATIENCE;
    const waiting = new Map(accounts.living.map(({ id, beat }) => [id, beat]));
    while (waiting.size > 0 && !this.#stopped) {
      for (const [id, last] of waiting) {
        const other = accounts.living.find(living => living.id === id);
        if (!other || other.quiet || other.beat > last + 1) waiting.delete(id);
      }
      if (waiting.size === 0 || performance.now() > until) return;
      await new Promise(resolve => setTimeout(resolve, LOOK_EVERY));
      await beat();
    }
  }
}

/** What had been told when the walk began, and what follows from that and the walk in the end. */
export class Count {
  readonly #accounts: Accounts;
  readonly #began: number;
  readonly #id: string;
  readonly #before: Picture;
  readonly #dead: ReadonlySet<string>;

  /** @param began on the volume's clock, ms: what is younger is not counted */
  constructor(accounts: Accounts, began: number) {
    this.#accounts = accounts;
    this.#began = began;
    this.#id = accounts.id;
    this.#before = pictureOf(accounts);
    this.#dead = new Set(accounts.dead.map(({ id }) => id));
  }

  /** Undefined where nothing follows. @param unread see CountingOptions */
  end(counted: Counted, unread: number): Correction | undefined {
    const accounts = this.#accounts;
    // As another one it has no part in what was before.
    if (accounts.id !== this.#id) return undefined;
    const settles = (other: Other) => other.state === 'ended' || this.#dead.has(other.id);
    const { known, bytes: told } = accounts;
    const isReliable = known && !accounts.dead.some(settles);
    const since = growth(this.#before, pictureOf(accounts));
    const walked = { found: counted.total, added: since.added, grown: since.bytes - since.removedElsewhere };
    const bytes = putRight(walked, isReliable ? told : undefined);
    const staged = Math.max(0, counted.staged + since.staged);
    accounts.state({ bytes, staged, unread: unread + since.unreadElsewhere }, this.#began, settles);
    const doubt = isReliable ? 0 : walked.added - walked.grown;
    return { counted, bytes: known ? bytes - told : undefined, doubt };
  }
}

interface Picture {
  readonly mine: Pick<Account, 'bytes' | 'staged' | 'added'>;
  readonly others: ReadonlyMap<string, Account>;
}

function pictureOf({ mine, all }: Accounts): Picture {
  return { mine, others: new Map(all.map(({ id, account }) => [id, account])) };
}

/** What came and went from one picture to another, as told. */
function growth(from: Picture, to: Picture) {
  let added = to.mine.added - from.mine.added;
  let staged = to.mine.staged - from.mine.staged;
  let [removedElsewhere, unreadElsewhere] = [0, 0];
  const nothing = { bytes: 0, staged: 0, unread: 0, added: 0 };
  for (const [id, account] of to.others) {
    const was = from.others.get(id) ?? nothing;
    added += account.added - was.added;
    staged += account.staged - was.staged;
    removedElsewhere += account.added - was.added - (account.bytes - was.bytes);
    unreadElsewhere += account.unread - was.unread;
  }
  return { added, staged, bytes: to.mine.bytes - from.mine.bytes, removedElsewhere, unreadElsewhere };
}
