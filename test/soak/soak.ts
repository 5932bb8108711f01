import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { Place, type Plan } from '../model/places.ts';
import { schedules } from '../model/schedules.ts';
import type { Schedule } from '../model/steps.ts';
import { Tally } from '../model/tally.ts';
import { CLOSED, OPEN } from '../model/world.ts';
import { type FaultyFolder, mountFaulty } from '../reliability/mount.ts';
import { Chaos } from './chaos.ts';
import { ending } from './ending.ts';
import { Party } from './party.ts';
import { type Extreme, type Limits, Watch } from './watch.ts';

const MIB = 2 ** 20;
const MINUTE = 60_000;
const SHOW_EVERY = 1000;

export interface SoakOptions {
  /** How long clients and chaos go on; the ending comes after it. */
  readonly ms: number;
  readonly seed: number;
  /** Groups of clients, each with three objects at a time. */
  readonly parties: number;
  /** Whether the cache lies on a volume that fails now and then. */
  readonly failingVolume: boolean;
  readonly say: (text: string) => void;
  /** How it goes at the moment, once a second. */
  readonly show: (text: string) => void;
}

export interface Soaked {
  readonly problems: readonly string[];
  readonly tally: Tally;
  readonly extremes: readonly Extreme[];
  readonly looks: number;
  /** Read in the end, when all was quiet. */
  readonly bytes: number;
}

/** After so many problems it ends: the first are what matters. */
const ENOUGH = 20;
/** How many sets of objects each party goes through in turn, so that what it comes back to was evicted meanwhile, or not. */
const SETS = 6;

const CACHE = {
  max_ram_cache_size: 16 * MIB,
  memory_budget: 64 * MIB,
  max_cache_size: 128 * MIB,
  write_cache_percent: 40,
  incomplete_upload_ttl: 5_000,
};

const LIMITS: Limits = {
  disk: CACHE.max_cache_size,
  perFill: 8 * MIB + 8192,
  memory: CACHE.max_ram_cache_size + CACHE.memory_budget + 300 * MIB,
  descriptors: 900,
  tidied: 150_000,
};

/** Two processes on one folder, many clients, and everything that can go wrong, with what must hold looked at all the while. */
export async function soak(options: SoakOptions): Promise<Soaked> {
  const { failingVolume, say } = options;
  const folder = await mkdtemp(join(tmpdir(), 'cistern-soak-'));
  const volume = failingVolume ? await mountFaulty(folder) : undefined;
  const plan: Plan = {
    name: failingVolume ? 'a volume that fails' : 'a local disk',
    proxies: 2,
    processes: true,
    versioned: true,
    upstreamIdleTimeout: 10_000,
    // Where a write can't always be noted on the volume, only asking S3 shows it at once.
    ttl: failingVolume ? { [CLOSED]: 0, [OPEN]: 2_000 } : { [CLOSED]: 3_600_000, [OPEN]: 0 },
    cache: { ...CACHE, ...(failingVolume ? { disk_timeout: 1_000 } : {}) },
  };
  const place = await Place.start(plan, volume?.path);
  try {
    return await new Soak(place, volume, options).run();
  } finally {
    await volume?.set();
    await place.stop().catch(error => say(`the end: ${(error as Error).message}`));
    await volume?.[Symbol.asyncDispose]();
    await place.clear();
    await rm(folder, { recursive: true, force: true });
  }
}

class Soak {
  readonly #place: Place;
  readonly #volume: FaultyFolder | undefined;
  readonly #options: SoakOptions;
  readonly #problems: string[] = [];
  readonly #tally = new Tally();
  readonly #until: number;

  constructor(place: Place, volume: FaultyFolder | undefined, options: SoakOptions) {
    this.#place = place;
    this.#volume = volume;
    this.#options = options;
    this.#until = performance.now() + options.ms;
  }

  async run(): Promise<Soaked> {
    const { parties: count, seed, say, show } = this.#options;
    const problem = (text: string) => {
      this.#problems.push(text);
      if (this.#problems.length <= ENOUGH) say(`PROBLEM ${text}`);
    };
    const about = { place: this.#place, tally: this.#tally, isNoted: this.#volume === undefined, problem };
    const parties = Array.from({ length: count }, (_, i) =>
      Array.from({ length: SETS }, (_, j) => new Party({ ...about, name: `p${i}-${j}` })),
    );
    const all = parties.flat();
    const writes = () => all.reduce((sum, party) => sum + party.writes, 0);
    const watch = new Watch(this.#place, LIMITS, writes, problem);
    const chaos = new Chaos({ ...about, random: randomOf(seed), volume: this.#volume });
    watch.start();
    chaos.start();
    const telling = setInterval(() => show(this.#progress(watch)), SHOW_EVERY);
    await Promise.all(parties.map((sets, i) => this.#clients(sets, seed + i * 100_000)));
    clearInterval(telling);
    await chaos.stop();
    this.#place.world.calm();
    const { problems, bytes } = await ending(this.#place, all, say);
    await watch.stop();
    for (const text of problems) problem(text);
    return { problems: this.#problems, tally: this.#tally, extremes: watch.extremes, looks: watch.looks, bytes };
  }

  async #clients(sets: readonly Party[], seed: number): Promise<void> {
    const arbitrary = schedules({ kills: false, vias: 2 });
    const goesOn = () => performance.now() < this.#until && this.#problems.length < ENOUGH;
    for (let i = 0; goesOn(); i++) {
      const [schedule] = fc.sample(arbitrary, { seed: seed + i, numRuns: 1 }) as [Schedule];
      this.#tally.schedules++;
      await sets[i % sets.length]!.play(schedule, goesOn);
    }
  }

  #progress(watch: Watch): string {
    const left = Math.max(0, (this.#until - performance.now()) / MINUTE);
    const seen = watch.extremes.map(({ what, seen: most, unit }) => `${what} ${most.toFixed(1)} ${unit}`.trim());
    return `${left.toFixed(1)} min to go: ${this.#tally.steps} steps, ${this.#problems.length} problems; ${seen.join(', ')}`;
  }
}

/** A xorshift generator, so that a run is much the same run another time. */
function randomOf(seed: number): () => number {
  let x = (seed ^ 0x9e3779b9) >>> 0 || 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 2 ** 32;
  };
}
