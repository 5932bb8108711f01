import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { openFiles } from '../model/open-files.ts';
import type { Place } from '../model/places.ts';

const MIB = 2 ** 20;
const LOOK_EVERY = 1000;

export interface Limits {
  /** Bytes on the disk, folders included: `max_cache_size`. */
  readonly disk: number;
  /** Above it, for each fill under way: an extent and its index. */
  readonly perFill: number;
  /** Resident memory of a process, bytes. */
  readonly memory: number;
  /** Files and sockets of a process. */
  readonly descriptors: number;
  /** How long half-written files of a process that was killed may stay, ms. */
  readonly tidied: number;
}

/** The most that was seen of something, of how much there may be. */
export interface Extreme {
  readonly what: string;
  readonly seen: number;
  readonly limit: number;
  readonly unit: 'MiB' | '' | 's';
}

/** Looks at the cache folder and the processes once a second, tells of each limit the first time it is exceeded, and keeps the extremes. */
export class Watch {
  readonly #place: Place;
  readonly #limits: Limits;
  readonly #writes: () => number;
  readonly #problem: (text: string) => void;
  readonly #most = new Map<string, number>();
  readonly #told = new Set<string>();
  /** Folders in tmp/ whose processes are gone, since when. */
  readonly #left = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();
  /** Fills under way at the last look. */
  #fills = 0;
  looks = 0;

  /** @param writes how many are under way */
  constructor(place: Place, limits: Limits, writes: () => number, problem: (text: string) => void) {
    this.#place = place;
    this.#writes = writes;
    this.#limits = limits;
    this.#problem = problem;
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.#looking = this.#look()
        .catch(error => this.#problem(`the watch failed: ${(error as Error).stack}`))
        .finally(() => this.#timer && this.start());
    }, LOOK_EVERY);
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#looking;
  }

  get extremes(): Extreme[] {
    const { disk, memory, descriptors, tidied } = this.#limits;
    const most = (name: string) => this.#most.get(name) ?? 0;
    return [
      { what: 'cache on disk', seen: most('disk') / MIB, limit: disk / MIB, unit: 'MiB' },
      { what: 'over that, of an extent for each fill', seen: most('over'), limit: 1, unit: '' },
      { what: 'memory of a process', seen: most('memory') / MIB, limit: memory / MIB, unit: 'MiB' },
      { what: 'descriptors of a process', seen: most('descriptors'), limit: descriptors, unit: '' },
      { what: 'half-written files of the dead stayed', seen: most('left') / 1000, limit: tidied / 1000, unit: 's' },
      { what: 'half-written files at a time', seen: most('tmp') / MIB, limit: Number.POSITIVE_INFINITY, unit: 'MiB' },
    ];
  }

  async #look(): Promise<void> {
    this.looks++;
    const { cacheDir, seats } = this.#place;
    const { disk, perFill, memory, descriptors } = this.#limits;
    const fills = await this.#countFills();
    const [buckets, uploads, tmp] = await Promise.all(
      ['buckets', 'uploads', 'tmp'].map(name => allocated(join(cacheDir, name))),
    );
    const size = buckets! + uploads!;
    const may = Math.max(fills, this.#fills, 1) * perFill;
    this.#fills = fills;
    this.#holds('disk', size, disk + may, bytes => `${mib(bytes)} MiB on disk`);
    this.#note('over', (size - disk) / may);
    this.#note('tmp', tmp!);
    for (const [i, { proxy, downs }] of seats.entries()) {
      const { pid } = proxy;
      if (downs.at(-1)?.until === Number.POSITIVE_INFINITY || pid === undefined) continue;
      this.#holds('memory', await residentBytes(pid), memory, size => `proxy ${i} has ${mib(size)} MiB of memory`);
      const open = await openFiles(pid);
      this.#holds('descriptors', open.length, descriptors, count => `proxy ${i} has ${count} files and sockets open`);
    }
    await this.#lookAtTheDead();
  }

  async #countFills(): Promise<number> {
    const flights = this.#place.seats.map(({ proxy }) => proxy.gauge('cistern_flights').catch(() => 0));
    return (await Promise.all(flights)).reduce((sum, count) => sum + count, this.#writes());
  }

  /**
   * What processes that are gone have left half-written: others sweep it up when they take them for dead, for which one of them
   * has to live long enough.
   */
  async #lookAtTheDead(): Promise<void> {
    const now = performance.now();
    const alive = new Set(this.#place.seats.map(({ proxy }) => String(proxy.pid)));
    const witness = Math.min(...this.#place.seats.map(({ downs }) => downs.at(-1)?.until ?? 0));
    const folders = await readdir(join(this.#place.cacheDir, 'tmp')).catch(() => []);
    const dead = folders.filter(name => !alive.has(name.split('-')[0]!));
    for (const name of this.#left.keys()) if (!dead.includes(name)) this.#left.delete(name);
    for (const name of dead) {
      const since = this.#left.get(name) ?? now;
      this.#left.set(name, since);
      this.#holds(
        'left',
        now - Math.max(since, witness),
        this.#limits.tidied,
        age => `tmp/${name} is there ${Math.round(age / 1000)} s after its process`,
      );
    }
  }

  #holds(what: string, seen: number, limit: number, words: (seen: number) => string): void {
    this.#note(what, seen);
    if (seen <= limit || this.#told.has(what)) return;
    this.#told.add(what);
    this.#problem(`over a limit: ${words(seen)}, where ${words(limit)} is the most`);
  }

  #note(what: string, seen: number): void {
    this.#most.set(what, Math.max(seen, this.#most.get(what) ?? 0));
  }
}

/** Bytes that a folder and all below it take on the volume. */
export async function allocated(folder: string): Promise<number> {
  // Not by `recursive`: with it Node asks of each file synchronously, and stands still for as long as a volume hangs.
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => undefined);
  if (!entries) return 0;
  let bytes = await bytesOf(folder);
  for (const entry of entries) {
    const path = join(folder, entry.name);
    bytes += await (entry.isDirectory() ? allocated(path) : bytesOf(path));
  }
  return bytes;
}

async function bytesOf(path: string): Promise<number> {
  return stat(path).then(
    ({ blocks }) => blocks * 512,
    () => 0,
  );
}

async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(1);
}
