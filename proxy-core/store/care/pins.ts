import { LRUCache } from 'lru-cache';
import type { Volume } from '../disk/volume.ts';
import { Pace } from './pace.ts';
import { type BucketPins, readPins } from './pin-file.ts';
import { type Prefixes, prefixesOf, tally } from './pin-tally.ts';
import { PinnedObjects } from './pinned-objects.ts';
import { seeHead } from './seen-head.ts';
import { inUnits } from './units.ts';
import { Walk } from './walk.ts';

export interface PinsOptions {
  readonly volume: Volume;
  readonly cacheDir: string;
  /** Most that pinned objects may take, bytes; and the share of the cache that this is, percent. */
  readonly limit: () => number;
  readonly percent: () => number;
  /** Now on the volume's clock, ms. */
  readonly now: () => number;
  readonly onProblem: (message: string | undefined) => void;
}

interface Known {
  /** Undefined where nothing is pinned. */
  readonly pins: BucketPins | undefined;
  readonly prefixes: Prefixes | undefined;
  readonly lookedAt: number;
}

/** A change of another process is seen after so long, ms. */
const LOOK_EVERY = 3000;
const COUNT_EVERY = 3_600_000;
/** After a start there is other work to do first, ms. */
const FIRST_COUNT = 2000;
const MAX_BUCKETS = 10_000;

/**
 * What eviction has to leave alone, as long as it takes no more than its share. The pins are files in the cache folder, which all
 * processes on it follow; what is pinned is counted by going through these buckets in the background, and by what this process
 * adds and removes from then on.
 */
export class Pins {
  readonly walk: Walk;
  readonly #options: PinsOptions;
  readonly #known = new LRUCache<string, Known>({ max: MAX_BUCKETS });
  /** Of the buckets in which something is pinned. */
  readonly #prefixes = new Map<string, Prefixes>();
  #objects = new PinnedObjects();
  #bytes = 0;
  /** What came and went while it is being counted. */
  #growth = 0;
  /** Of the pins that were counted last. */
  #counted = -1;
  #counting: Promise<void> | undefined;
  /** Counts the changes of pins. */
  #revision = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #stopped = new AbortController();
  readonly #broken = new Map<string, string>();
  #shown: string | undefined;

  constructor(options: PinsOptions) {
    this.#options = options;
    this.walk = new Walk(options);
  }

  start(): void {
    this.#countAfter(FIRST_COUNT);
  }

  stop(): void {
    this.#stopped.abort();
    clearTimeout(this.#timer);
  }

  /** Whether a file below `buckets/` has to stay. */
  async protects(path: string): Promise<boolean> {
    const place = placeOf(path);
    if (!place || this.#bytes > this.#options.limit()) return false;
    const prefixes = await this.of(place.folder);
    if (!prefixes) return false;
    if (prefixes.whole || this.#objects.has(place.hash)) return true;
    const head = await seeHead(this.#options.volume, place.head, place.hash, place.folder);
    if (head === undefined || head === 'damaged' || !prefixes.has(head.address.key)) return false;
    this.#objects.add(place.hash);
    return true;
  }

  /** What is pinned in a bucket, as it was within the last seconds. @param folder its name below `buckets/` */
  async of(folder: string): Promise<Prefixes | undefined> {
    const known = this.#known.get(folder);
    if (known && performance.now() - known.lookedAt < LOOK_EVERY) return known.prefixes;
    return (await this.#look(folder)).prefixes;
  }

  /** Told what was added or (negative) removed, and where. */
  changed(bytes: number, path: string): void {
    if (this.#prefixes.size === 0) return;
    const place = placeOf(path);
    const prefixes = place && this.#prefixes.get(place.folder);
    if (!prefixes || !(prefixes.whole || this.#objects.has(place.hash))) return;
    this.#growth += bytes;
    this.#bytes = Math.max(0, this.#bytes + bytes);
    this.judge();
  }

  /** Told of the objects that this process has to do with. @param key its bytes as latin1 */
  met(folder: string, key: string, hash: string): void {
    const prefixes = this.#prefixes.get(folder);
    if (prefixes && !prefixes.whole && prefixes.has(key)) this.#objects.add(hash);
  }

  /** The files of all buckets, read now. */
  async all(pace: Pace): Promise<Map<string, BucketPins>> {
    const all = new Map<string, BucketPins>();
    for (const folder of await this.walk.folders(pace)) {
      const { pins } = await pace.step(() => this.#look(folder));
      if (pins) all.set(folder, pins);
    }
    return all;
  }

  /** Most bytes that may be pinned. */
  get limit(): number {
    return this.#options.limit();
  }

  /** Allocated bytes of what is pinned, counted first where that was not done yet. */
  async bytes(): Promise<number> {
    await this.#counting;
    if (this.#counted !== this.#revision) await this.#count();
    return this.#bytes;
  }

  /** Where a file can't be read what was known stays in force. */
  async #look(folder: string): Promise<Known> {
    const before = this.#known.get(folder);
    const lookedAt = performance.now();
    let known: Known;
    try {
      const pins = await readPins(this.#options.volume, this.walk.bucket(folder));
      known = { pins, prefixes: pins && prefixesOf(pins), lookedAt };
      this.#broken.delete(folder);
    } catch (error) {
      known = { pins: before?.pins, prefixes: before?.prefixes, lookedAt };
      this.#broken.set(folder, (error as Error).message);
    }
    this.#known.set(folder, known);
    if (JSON.stringify(known.pins?.prefixes) !== JSON.stringify(before?.pins?.prefixes)) this.#adopt(folder, known);
    this.judge();
    return known;
  }

  /** Which objects these pins are of is not known before they are counted; until then their heads tell. */
  #adopt(folder: string, { prefixes }: Known): void {
    if (prefixes) this.#prefixes.set(folder, prefixes);
    else this.#prefixes.delete(folder);
    this.#revision++;
    this.#objects = new PinnedObjects();
    this.#countAfter(0);
  }

  #countAfter(ms: number): void {
    clearTimeout(this.#timer);
    if (!this.#stopped.signal.aborted) this.#timer = setTimeout(() => void this.#count(), ms).unref();
  }

  /** Never rejects: the volume's own breaker reports what is wrong with it. */
  #count(): Promise<void> {
    this.#counting ??= this.#countAll()
      .then(
        isRight => (isRight ? COUNT_EVERY : 0),
        () => COUNT_EVERY,
      )
      .then(next => {
        this.#counting = undefined;
        this.#countAfter(next);
      });
    return this.#counting;
  }

  /** What comes meanwhile is told by `changed`, and so not counted here. False where something was pinned or unpinned meanwhile. */
  async #countAll(): Promise<boolean> {
    const pace = new Pace(this.#stopped.signal);
    await this.all(pace);
    const revision = this.#revision;
    const objects = new PinnedObjects();
    this.#objects = objects;
    this.#growth = 0;
    const { volume, now } = this.#options;
    const steps = tally({ volume, walk: this.walk }, pace, { prefixes: this.#prefixes, objects, before: now() });
    let step = await steps.next();
    while (!step.done) step = await steps.next();
    if (this.#revision !== revision) return false;
    this.#bytes = Math.max(0, step.value + this.#growth);
    this.#counted = revision;
    this.judge();
    return true;
  }

  /** Whether it is more than its share, which may be another one now. */
  judge(): void {
    const { limit, percent, onProblem } = this.#options;
    const [broken] = this.#broken.values();
    const isOver = this.#bytes > limit();
    const state = broken ?? (isOver ? 'over' : undefined);
    if (state === this.#shown) return;
    this.#shown = state;
    if (broken !== undefined) onProblem(`what is pinned in a bucket can't be read: ${broken}`);
    else
      onProblem(
        isOver
          ? `what is pinned takes more than the ${inUnits(limit())} that cache.pin_percent (${percent()} %) allows; until it is less, it may be evicted like anything else. Unpin something, or raise cache.pin_percent or cache.max_cache_size.`
          : undefined,
      );
  }
}

interface Place {
  readonly folder: string;
  readonly hash: string;
  readonly head: string;
}

/** The object that a file belongs to; undefined for an epoch, which is no content, and for anything else. */
function placeOf(path: string): Place | undefined {
  const match = /[/\\]([^/\\]+)[/\\][0-9a-f]{2}[/\\][0-9a-f]{3}[/\\]([0-9a-f]{64})\.(?!epoch$)/.exec(path);
  if (!match?.[1] || !match[2]) return undefined;
  return { folder: match[1], hash: match[2], head: `${path.slice(0, match.index + match[0].length)}head` };
}
