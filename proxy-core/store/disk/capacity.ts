import { join } from 'node:path';
import type { Pins } from '../care/pins.ts';
import type { EvictionAlgorithm } from '../memory/index.ts';
import { Unread, type UnreadUpload } from '../uploads/unread.ts';
import { UploadRoom } from '../uploads/upload-room.ts';
import { Accounts } from './accounts.ts';
import { Census, type Counted } from './census.ts';
import { Counting } from './counting.ts';
import { inWords } from './disk-error.ts';
import { Evicting } from './evicting.ts';
import { Eviction } from './eviction.ts';
import { NotAdmitted, type Room } from './extent-output.ts';
import { FreeSpace, type FreeSpaceFloor } from './free-space.ts';
import type { Sum } from './ledger.ts';
import { Pressure } from './pressure.ts';
import { SpaceProblems } from './space-problems.ts';
import { Stocktaking } from './stocktaking.ts';
import type { Uses } from './uses.ts';
import type { Volume } from './volume.ts';
import { WaitingRoom } from './waiting-room.ts';

/** What may change while it runs. */
export interface Limits {
  readonly maxBytes: number;
  readonly minFree: FreeSpaceFloor;
  /** Share of the cache, in percent, of uploads that nobody has read, or that still run. */
  readonly uploadPercent: number;
  /** Share of the cache, in percent, that may be pinned against eviction. */
  readonly pinPercent: number;
}

/** This process among the others on the volume. */
export interface Presence {
  readonly id: string;
  /** The others know that it lives. */
  readonly current: boolean;
  /** Publishes its account as it is now, then looks at the others. Never rejects. */
  beatAgain(): Promise<void>;
  /** What one that has ended left behind is of no use any more. */
  forget(id: string): Promise<void>;
}

export interface CapacityOptions extends Limits {
  readonly volume: Volume;
  readonly cacheDir: string;
  readonly instance: Presence;
  /** How long an upload may wait for its first reader, ms; by folder of the bucket and key. */
  readonly putTtl: (folder: string, key: string) => number;
  /** How long a fill may wait for room, ms. */
  readonly patience: number;
  /** Now on the volume's clock, ms. */
  readonly now: () => number;
  /** Removes a published file, or an empty folder, and tells `add`. */
  readonly remove: (path: string) => Promise<void>;
  readonly removeFolder: (path: string) => Promise<void>;
  readonly onProblem: (message: string | undefined) => void;
  /** What eviction has to leave alone. */
  readonly pins?: Pins | undefined;
  /** What goes first, and whether something new is worth it. */
  readonly algorithm?: EvictionAlgorithm | undefined;
  readonly uses?: Uses | undefined;
}

const LOOK_EVERY = 2000;
/** A count may be off by this share of the limit before another one is due soon. */
const TOLERANCE = 0.01;
/** Between two heartbeats for the sake of room in hand, ms. */
const ASK_EVERY = 100;
/** How long a write may wait for room for its record, ms. */
const SOON = 500;

/**
 * Keeps the cache's allocated bytes under `max_cache_size` and the volume's free space over its floor, together with all other
 * processes on the folder (ledger.ts). What is there is counted by a paced census in the background, and by what each adds and
 * removes from then on.
 */
export class Capacity implements Room {
  /** Room for copies of uploads, within their share. */
  readonly uploads: UploadRoom;
  readonly accounts: Accounts;
  readonly #options: CapacityOptions;
  #limits: Limits;
  readonly #unread = new Unread();
  readonly #space: FreeSpace;
  readonly #census: Census;
  readonly #stocktaking: Stocktaking;
  readonly #room: WaitingRoom;
  readonly #eviction: Eviction;
  readonly #evicting: Evicting;
  readonly #pressure: Pressure;
  readonly #problems: SpaceProblems;
  readonly #stage: string;
  #asking: Promise<void> | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  /** By which the volume was looked at. */
  #sum: Sum | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: CapacityOptions) {
    this.#options = options;
    this.#limits = options;
    this.#stage = join(options.cacheDir, 'uploads');
    const { instance, now } = options;
    const unread = this.#unread;
    this.#problems = new SpaceProblems(options.onProblem);
    this.#space = new FreeSpace(options, options.minFree);
    this.#census = new Census({ ...options, unread });
    this.#eviction = new Eviction({ ...options, unread, bytes: () => this.bytes });
    this.#room = new WaitingRoom({
      fits: bytes => this.accounts.fits(bytes),
      patience: options.patience,
      onWaiting: () => this.#ask(),
    });
    const accounts = new Accounts({
      id: () => instance.id,
      current: () => instance.current,
      own: () => this.#limits.maxBytes,
      limit: () => this.#pressure.limit,
      reserved: () => this.#room.reserved,
      copying: () => this.uploads.reserved,
      wanted: () => this.#room.wanted,
      unread: () => unread.bytes,
      evicting: () => this.#evicting.running !== undefined && this.#pressure.isAboveRest,
      counting: () => this.#stocktaking.running !== undefined,
      now,
      // What can't be removed now is found again by the next look at the others.
      forget: id => void instance.forget(id).catch(() => {}),
    });
    this.accounts = accounts;
    const beat = () => instance.beatAgain();
    this.#stocktaking = new Stocktaking({
      counting: new Counting({ census: this.#census, accounts, unread: () => unread.bytes, now, beat }),
      accounts,
      now,
      looked: () => this.#census.looked,
      tolerance: () => this.most * TOLERANCE,
      onCounted: ({ counted }, asked) => this.#counted(counted, asked),
    });
    this.#pressure = new Pressure({ accounts, room: this.#room, space: this.#space, stocktaking: this.#stocktaking });
    this.#evicting = new Evicting({
      step: enough => this.#eviction.step(enough),
      tooMuch: () => this.#pressure.isTooMuch,
      enough: () => this.#pressure.isEnough,
      onBarren: () => this.#stocktaking.ask(),
      onDone: () => this.#problems.room(undefined),
      onFailed: error => this.#failed(error),
    });
    this.uploads = new UploadRoom({
      room: this,
      unread,
      limit: () => (this.most * this.#limits.uploadPercent) / 100,
      isClosed: () => this.#pressure.isClosedToUploads,
      accounts,
      removeOne: () => this.#eviction.removeUnread(),
      onFailed: error => this.#failed(error),
    });
  }

  /** Allocated bytes of `buckets/` and `uploads/`, as far as all processes have told. */
  get bytes(): number {
    return this.accounts.bytes;
  }

  /** What it may grow to: where the free space bounds the cache, what that lets it. */
  get most(): number {
    return Math.max(0, this.#pressure.limit);
  }

  get limits(): Limits {
    return this.#limits;
  }

  /** False until what is there has been counted once, by this process or another one. */
  get counted(): boolean {
    return this.#stocktaking.counted;
  }

  /** Nothing new is stored at the moment. */
  get full(): boolean {
    return this.#pressure.isClosed || (this.#evicting.isInVain && this.#pressure.isOver);
  }

  start(): void {
    const look = () => {
      void this.#lookAtVolume();
      this.#stocktaking.look();
      this.#makeRoom();
    };
    look();
    this.#timer = setInterval(look, LOOK_EVERY).unref();
  }

  /** Resolves when it asks nothing of the volume any more, beside what somebody else began. */
  async stop(): Promise<void> {
    this.#census.stop();
    this.#stocktaking.stop();
    this.uploads.stop();
    this.#evicting.stop();
    clearInterval(this.#timer);
    this.#room.stop();
    await this.#space.looked;
  }

  /** Other limits hold from now on: what is over them goes. */
  setLimits(limits: Limits): void {
    this.#limits = limits;
    this.#space.floor = limits.minFree;
    this.accounts.relimit();
    this.#evicting.tryAgain();
    void this.#lookAtVolume();
    void this.#options.instance.beatAgain();
    void this.uploads.trim();
    this.#options.pins?.judge();
    this.#makeRoom();
  }

  /** The others have been looked at. */
  looked(): void {
    const { sum } = this.accounts;
    if (sum !== this.#sum) void this.#lookAtVolume();
    this.#sum = sum;
    this.#room.grant();
    this.uploads.looked();
    this.#makeRoom();
  }

  /** Tells what was added or (negative) removed, and where. */
  add(bytes: number, path: string): void {
    this.accounts.add(bytes, path.startsWith(this.#stage));
    this.#options.pins?.changed(bytes, path);
    if (bytes < 0) this.#room.grant();
    else this.#makeRoom();
  }

  /**
   * Counts what is there anew. By how many bytes the count had been off (negative: too much was counted), as far as that can be
   * told while files come and go; undefined when it could not be counted.
   */
  recount(): Promise<number | undefined> {
    return this.#stocktaking.recount();
  }

  /** An upload has its place, and a head that nobody has read yet. */
  addUnread(upload: Omit<UnreadUpload, 'at'>): void {
    this.#unread.add({ ...upload, at: this.#options.now() });
    // In a later turn: what was reserved for it may be given back in this one.
    setImmediate(() => void this.uploads.trim());
  }

  /** S3 has vouched for its head, or it is gone. Only for objects whose head was a write's. */
  removeUnread(hash: string): void {
    this.#unread.remove(hash);
  }

  /** Whether something new is worth its room: as long as there is some, and then if it is better known than what would go for it. */
  admits(bytes: number, use: number): boolean {
    return !this.#pressure.wouldNeedRoom(bytes) || this.#eviction.admits(use, bytes);
  }

  /** Room for a file that will be added; resolves with false when none can be made in time. To be released in the end. */
  async reserve(bytes: number, use?: number): Promise<boolean> {
    if (use !== undefined && !this.admits(bytes, use)) throw new NotAdmitted();
    return this.#reserve(bytes, this.#options.patience);
  }

  /** The same for somebody who can't wait for longer than it takes to ask the others. */
  reserveSoon(bytes: number): Promise<boolean> {
    return this.#reserve(bytes, SOON);
  }

  release(bytes: number): void {
    this.#room.release(bytes);
  }

  /** Resolves when nothing is being counted or evicted. For tests and the command line. */
  async settled(): Promise<void> {
    for (;;) {
      const running = this.#stocktaking.running ?? this.#evicting.running;
      if (!running) break;
      await running;
    }
    await this.uploads.trim();
  }

  /** Somebody waits for room: from what is left, or what others have in hand and can spare, or else from what is made. */
  #ask(): void {
    if (this.accounts.left >= this.#room.wanted.first || !this.#pressure.isOver) this.#askOthers();
    this.#makeRoom();
  }

  async #reserve(bytes: number, patience: number): Promise<boolean> {
    if (bytes > this.accounts.limit || !(await this.#room.reserve(bytes, patience))) return false;
    if (this.accounts.isShort && performance.now() - this.#askedAt > ASK_EVERY) this.#askOthers();
    return true;
  }

  #askOthers(): void {
    this.#askedAt = performance.now();
    this.#asking ??= this.#options.instance.beatAgain().finally(() => {
      this.#asking = undefined;
    });
  }

  #makeRoom(): void {
    if (this.#pressure.isTooMuch) this.#evicting.start();
  }

  /** @param asked to find out why nothing to remove was found */
  #counted(counted: Counted, asked: boolean): void {
    const isEmpty = asked && this.#evicting.judge(counted, this.most);
    // So that the others know, and this process has its share of what is left.
    void this.#options.instance.beatAgain();
    void this.uploads.trim();
    void this.#lookAtVolume();
    // Where it is for the volume's sake, that is shown already.
    if (isEmpty && this.#pressure.isNearMaximum) this.#problems.full(counted);
    else if (this.#pressure.isTooMuch) this.#evicting.start();
    else this.#problems.room(undefined);
  }

  async #lookAtVolume(): Promise<void> {
    try {
      await this.#space.look(() => this.bytes);
    } catch {
      // The volume's own breaker reports it.
      return;
    }
    this.#problems.space(this.#space.isBelow);
    this.accounts.relimit();
    this.#room.grant();
  }

  #failed(error: unknown): void {
    this.#problems.room(`room could not be made in the cache: ${inWords(error)}`);
  }
}
