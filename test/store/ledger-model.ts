import { Accounts } from '../../proxy-core/store/disk/accounts.ts';
import { Count } from '../../proxy-core/store/disk/counting.ts';
import type { Account } from '../../proxy-core/store/disk/ledger.ts';
import type { Neighbour } from '../../proxy-core/store/disk/left-behind.ts';

/** As in instance.ts, ms. */
const [QUIET, LAPSE, RENEW, DEAD] = [3000, 30_000, 45_000, 60_000];

interface Published {
  readonly beat: number;
  readonly account: Account;
  readonly ended: boolean;
}

interface Kept {
  readonly bytes: number;
  readonly born: number;
}

/** A volume with two folders of content, and what the processes on it publish. */
export class ModelVolume {
  clock = 0;
  readonly instances = new Map<string, Published>();
  readonly ended = new Map<string, Published>();
  readonly folders: Kept[][] = [[], []];
  readonly processes: ModelProcess[] = [];
  #born = 0;

  /** Bytes on the disk, half-written ones included. */
  get bytes(): number {
    return this.content + this.processes.reduce((sum, { halfWritten }) => sum + halfWritten, 0);
  }

  get content(): number {
    return this.folders.flat().reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** A number that is greater than before at each call. */
  now(): number {
    return ++this.#born;
  }
}

/** A process as Instance and Capacity have it, whose every operation on the volume is a step of its own. */
export class ModelProcess {
  readonly accounts: Accounts;
  limit: number;
  wanted = { all: 20, first: 10 };
  alive = true;
  /** Bytes below `tmp/`, all that is reserved at once. */
  halfWritten = 0;
  readonly #volume: ModelVolume;
  readonly #stale: boolean;
  #life = 0;
  #name: string;
  #beat = 0;
  #reserved: number[] = [];
  #shownAt = Number.NEGATIVE_INFINITY;
  #known = new Map<string, { published: Published; movedAt: number }>();
  #listing: { names: string[]; ended: string[] | undefined; seen: Map<string, Published | undefined> } | undefined;
  #oldListing: string[] = [];
  #walk: { count: Count; began: number; folder: number; found: number; heard: Map<string, number> } | undefined;

  /** @param stale its listings of the folder are as old as the heartbeat before, but for the first */
  constructor(volume: ModelVolume, name: string, limit: number, stale: boolean) {
    this.#volume = volume;
    this.#name = name;
    this.#stale = stale;
    this.limit = limit;
    this.accounts = new Accounts({
      id: () => this.id,
      current: () => volume.clock - this.#shownAt < LAPSE,
      own: () => this.limit,
      limit: () => this.limit,
      reserved: () => this.#taken,
      copying: () => 0,
      wanted: () => this.wanted,
      unread: () => 0,
      evicting: () => false,
      counting: () => this.#walk !== undefined,
      now: () => volume.clock,
      forget: id => volume.ended.delete(id),
    });
    volume.processes.push(this);
  }

  get id(): string {
    return `${this.#name}.${this.#life}`;
  }

  get #taken(): number {
    return this.#reserved.reduce((sum, bytes) => sum + bytes, 0);
  }

  publish(): void {
    const volume = this.#volume;
    this.#listing = undefined;
    if (volume.clock - this.#shownAt > RENEW && this.#beat > 0) {
      this.#life++;
      this.#beat = 0;
      this.accounts.renew();
    }
    this.#beat++;
    volume.instances.set(this.id, { beat: this.#beat, account: this.accounts.publish(), ended: false });
    this.#shownAt = volume.clock;
    this.#listing = { names: [], ended: undefined, seen: new Map() };
    // It has itself just changed the folder by its first file, so that its system lists it anew.
    this.#listing.names = this.#stale && this.#beat > 1 ? this.#oldListing : [...volume.instances.keys()];
    this.#oldListing = [...volume.instances.keys()];
  }

  /** The next operation of a look at the others, if one has begun. */
  look(): void {
    const volume = this.#volume;
    const listing = this.#listing;
    if (!listing) return;
    if (!listing.ended) {
      listing.ended = [...volume.ended.keys()];
      return;
    }
    const next = [...new Set([...listing.names, ...this.#known.keys()])].find(
      id => id !== this.id && !listing.seen.has(id) && !listing.ended?.includes(id),
    );
    if (next !== undefined) {
      listing.seen.set(next, volume.instances.get(next) ?? volume.ended.get(next));
      return;
    }
    this.#listing = undefined;
    this.#finish(listing.seen, listing.ended);
  }

  #finish(seen: ReadonlyMap<string, Published | undefined>, ended: readonly string[]): void {
    const { clock } = this.#volume;
    const all: Neighbour[] = [];
    const left = new Set(ended);
    for (const [id, published] of seen) {
      if (!published || this.#volume.ended.has(id)) {
        this.#known.delete(id);
        if (published) left.add(id);
        continue;
      }
      const known = this.#known.get(id);
      if (known?.published.beat !== published.beat) this.#known.set(id, { published, movedAt: clock });
    }
    for (const id of left) {
      this.#known.delete(id);
      this.#volume.instances.delete(id);
      const published = this.#volume.ended.get(id);
      if (published) all.push(neighbour(id, published, published.ended ? 'ended' : 'dead', true));
    }
    for (const [id, { published, movedAt }] of this.#known) {
      const still = clock - movedAt;
      if (still > DEAD) this.#bury(id);
      all.push(neighbour(id, published, still > DEAD ? 'dead' : 'living', still > QUIET));
    }
    this.accounts.look({ all, unreadable: undefined, shown: true });
  }

  #bury(id: string): void {
    const volume = this.#volume;
    const file = volume.instances.get(id);
    if (!file) return;
    volume.instances.delete(id);
    volume.ended.set(id, file);
    const owner = volume.processes.find(process => process.#name === id.split('.')[0]);
    if (owner?.id === id) {
      owner.halfWritten = 0;
      owner.#reserved = [];
    }
  }

  /** A whole heartbeat. */
  beat(): void {
    this.publish();
    while (this.#listing) this.look();
  }

  reserve(bytes: number): void {
    if (!this.accounts.fits(bytes)) return;
    this.#reserved.push(bytes);
    this.halfWritten += bytes;
  }

  /** A file comes to its place, smaller than the room for it perhaps. */
  place(shrink: number): void {
    const room = this.#reserved.shift();
    if (room === undefined) return;
    const bytes = Math.max(1, room - shrink);
    this.halfWritten -= room;
    this.#volume.folders[bytes % 2]!.push({ bytes, born: this.#volume.now() });
    this.accounts.add(bytes, false);
  }

  evict(which: number): void {
    const folder = this.#volume.folders[which % 2]!;
    const [file] = folder.splice(which % Math.max(1, folder.length), 1);
    if (file) this.accounts.add(-file.bytes, false);
  }

  get isLooking(): boolean {
    return this.#listing !== undefined;
  }

  get isCounting(): boolean {
    return this.#walk !== undefined;
  }

  /** The next operation of a count. */
  count(): void {
    const volume = this.#volume;
    const walk = this.#walk;
    if (!walk) {
      if (this.#listing) return;
      this.beat();
      const began = volume.now();
      this.#walk = { count: new Count(this.accounts, began), began, folder: 0, found: 0, heard: new Map() };
    } else if (walk.folder < 2) {
      const old = volume.folders[walk.folder++]!.filter(({ born }) => born < walk.began);
      walk.found += old.reduce((sum, { bytes }) => sum + bytes, 0);
      if (walk.folder === 2) for (const { id, beat } of this.accounts.living) walk.heard.set(id, beat);
    } else {
      if (this.#listing) return;
      for (const other of this.accounts.living)
        if (!other.quiet && walk.heard.has(other.id) && other.beat <= walk.heard.get(other.id)! + 1) return;
      this.#walk = undefined;
      walk.count.end({ total: walk.found, staged: 0, removable: 0, records: 0, unread: 0 }, 0);
    }
  }

  kill(): void {
    this.alive = false;
    this.#walk = undefined;
  }

  stop(): void {
    this.alive = false;
    this.#reserved = [];
    this.halfWritten = 0;
    const account = this.accounts.last();
    if (account) this.#volume.ended.set(this.id, { beat: this.#beat + 1, account, ended: true });
    this.#volume.instances.delete(this.id);
  }
}

function neighbour(id: string, { beat, account }: Published, state: Neighbour['state'], quiet: boolean): Neighbour {
  return { id, beat, facts: { account }, state, quiet };
}
