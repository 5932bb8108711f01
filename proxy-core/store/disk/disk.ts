import { Pins } from '../care/pins.ts';
import type { ObjectEntry } from '../entry.ts';
import type { StoreLimits, StoreOptions } from '../options.ts';
import { CacheFolder } from './cache-folder.ts';
import { Capacity, type Limits } from './capacity.ts';
import { Instance } from './instance.ts';
import { LastUse } from './last-use.ts';
import type { Neighbour } from './left-behind.ts';
import { Neighbours } from './neighbours.ts';
import { OpenFiles } from './open-files.ts';
import { Probe } from './probe.ts';
import { type FileModes, Scratch } from './scratch.ts';
import { Trouble } from './trouble.ts';
import { UseMemory } from './use-memory.ts';
import { Uses } from './uses.ts';
import { Volume } from './volume.ts';

/** How long the start waits for the first heartbeat, ms. */
const BEAT_PATIENCE = 500;
/** What is known of uses is sized for files of this size to begin with, bytes, and for so many. */
const LIKELY_FILE = 1 << 20;
const LIKELY_FILES = { least: 256, most: 1 << 16 };
/** Between two looks for files to be closed or removed, ms. */
const PURGE_EVERY = 5000;

export interface DiskOptions extends StoreOptions {
  /** Another process has given these objects, by their store keys, new epochs. */
  readonly onMoved: (storeKeys: readonly string[]) => void;
  /** Another process was killed. */
  readonly onLost: () => void;
}

/** The cache folder and its volume, this process on it, and the room there is: from `open` to `close`. */
export class Disk {
  readonly volume: Volume;
  readonly capacity: Capacity;
  readonly scratch: Scratch;
  readonly files: OpenFiles;
  readonly trouble: Trouble;
  readonly neighbours: Neighbours;
  readonly pins: Pins;
  readonly uses: Uses;
  readonly lastUse: LastUse;
  readonly #useMemory: UseMemory;
  readonly #folder: CacheFolder;
  readonly #instance: Instance;
  readonly #probe: Probe;
  #clock: NodeJS.Timeout | undefined;

  constructor(options: DiskOptions) {
    const { cacheDir } = options;
    const modes: FileModes = options.shared ? { file: 0o660, folder: 0o2770 } : { file: 0o600, folder: 0o700 };
    this.#folder = new CacheFolder({
      cacheDir,
      modes,
      deadline: options.diskTimeout,
      onProblem: message => options.onProblem('cache_folder', message),
      onUsable: () => {
        void this.#instance.beat();
        void this.#useMemory.load();
        this.#probe.start();
      },
      // Nobody has told the counters what went.
      onReplaced: () => void this.capacity.recount(),
    });
    this.volume = new Volume({
      deadline: options.diskTimeout,
      gate: this.#folder,
      onState: reason => options.onProblem('volume', reason),
    });
    this.trouble = new Trouble(options);
    this.files = new OpenFiles(this.volume, options.maxOpenFiles);
    this.lastUse = new LastUse(this.volume, () => this.now());
    this.uses = new Uses({
      seconds: () => Math.floor(this.now() / 1000),
      entries: Math.min(LIKELY_FILES.most, Math.max(LIKELY_FILES.least, options.maxDiskBytes / LIKELY_FILE)),
      noted: options.algorithm !== 's3fifo',
    });
    this.pins = new Pins({
      volume: this.volume,
      cacheDir,
      limit: () => (this.capacity.most * this.capacity.limits.pinPercent) / 100,
      percent: () => this.capacity.limits.pinPercent,
      now: () => this.now(),
      onProblem: message => options.onProblem('pins', message),
    });
    this.neighbours = new Neighbours({
      onMoved: storeKeys => options.onMoved(storeKeys),
      onLost: () => options.onLost(),
      // A heartbeat that is under way may have looked around before the other one showed itself.
      onMet: () => void this.#instance.beat().then(() => this.#instance.beat()),
    });
    this.#instance = new Instance({
      volume: this.volume,
      cacheDir,
      modes,
      facts: () => ({ neighbour: this.neighbours.address, account: this.capacity.accounts.publish() }),
      lastFacts: () => {
        const account = this.capacity.accounts.last();
        return account && { account };
      },
      onBeat: error => this.trouble.beat(error),
      onOthers: others => {
        this.trouble.others(others.unreadable);
        this.neighbours.meet(others.all.flatMap(neighbourOf));
        this.capacity.accounts.look(others);
        this.capacity.looked();
      },
      onRenewed: () => this.capacity.accounts.renew(),
    });
    this.capacity = new Capacity({
      volume: this.volume,
      cacheDir,
      ...limitsOf(options),
      instance: this.#instance,
      putTtl: options.putTtl,
      patience: options.diskTimeout,
      now: () => this.now(),
      remove: (path: string, known?: number) => this.scratch.remove(path, known),
      removeFolder: path => this.scratch.removeFolder(path),
      onProblem: message => options.onProblem('capacity', message),
      pins: this.pins,
      algorithm: options.algorithm,
      uses: this.uses,
    });
    this.scratch = new Scratch({
      volume: this.volume,
      cacheDir,
      instance: () => this.#instance.id,
      modes,
      onBytes: (bytes, path) => {
        // A file that is open keeps its space when it is removed.
        if (bytes <= 0) this.files.forget(path);
        this.capacity.add(bytes, path);
      },
    });
    this.#useMemory = new UseMemory({
      uses: this.uses,
      scratch: this.scratch,
      cacheDir,
      instance: () => this.#instance.id,
    });
    this.#probe = new Probe({
      volume: this.volume,
      cacheDir,
      scratch: this.scratch,
      others: () => options.shared || this.#instance.hasOthers,
      onProblem: options.onProblem,
      onReport: options.onVolume,
    });
  }

  /**
   * Looks at the volume and shows this process on it, for a second or little more. A volume that can't be used now is a
   * problem, not the end; rejects where the folder can never be used.
   */
  async open(): Promise<void> {
    await this.neighbours.start(this.#instance.id);
    try {
      await this.#folder.open();
    } catch (error) {
      await this.neighbours.stop();
      throw error;
    }
    await Promise.race([this.#instance.start(), new Promise(resolve => setTimeout(resolve, BEAT_PATIENCE).unref())]);
    await this.neighbours.known();
    this.capacity.start();
    this.pins.start();
    this.#useMemory.start();
    this.#clock = setInterval(() => {
      void this.files.purge();
      this.scratch.purge();
    }, PURGE_EVERY).unref();
  }

  /** Whether the cache folder is there now, so that a file that is not in it does not exist. */
  isThere(): Promise<boolean> {
    return this.#folder.isThere();
  }

  /** Now on the volume's clock, ms. */
  now(): number {
    return Date.now() + this.#instance.clockOffset;
  }

  /** No other process uses the volume. */
  get alone(): boolean {
    return this.#instance.alone;
  }

  /** Eviction is to leave it alone, so that nothing of it has to be worth its room. */
  isPinned({ folder, address }: Pick<ObjectEntry, 'folder' | 'address'>): boolean {
    return this.pins.covers(folder, address.key);
  }

  /** Something new is worth a try: the volume answers and there is room. */
  get takes(): boolean {
    return this.volume.available && !this.trouble.readOnly && !this.capacity.full;
  }

  /** Returns false when a thread is stuck on the volume, so that the process can't end in the ordinary way. */
  async close(): Promise<boolean> {
    clearInterval(this.#clock);
    const looked = this.capacity.stop();
    this.pins.stop();
    this.lastUse.stop();
    this.files.close();
    await this.#useMemory.stop();
    await Promise.all([this.#instance.stop(), this.neighbours.stop(), this.#probe.stop(), looked]);
    const done = await Promise.all([this.volume.drained(), this.#folder.drained()]);
    const { closed } = this.#folder;
    // What is not done by now is not done any more: from here on the folder may be another's.
    this.#folder.stop();
    const clean = !done.includes(false) && (await this.volume.drained());
    if (clean && !closed) this.scratch.clear();
    return clean;
  }
}

export function limitsOf({ maxDiskBytes, minFreeSpace, uploadPercent, pinPercent }: StoreLimits): Limits {
  return { maxBytes: maxDiskBytes, minFree: minFreeSpace, uploadPercent, pinPercent };
}

/** Where a process that lives listens, by its instance file. */
function neighbourOf({ state, facts: { neighbour } }: Neighbour): string[] {
  return state === 'living' && typeof neighbour === 'string' ? [neighbour] : [];
}
