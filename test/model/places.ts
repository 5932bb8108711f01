import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bucketFolder } from '../../proxy-core/store/index.ts';
import type { TestOrigin } from '../origin/index.ts';
import { Client } from '../read/client.ts';
import { type Changes, type Cistern, startInProcess, startProcess } from './proxies.ts';
import { CLOSED, OPEN, World } from './world.ts';
import { md5Header, request } from './write-requests.ts';
import { Writer } from './writer.ts';

const MIB = 2 ** 20;

/** A way in which proxies are set up; every one is a place of its own for schedules to run in. */
export interface Plan {
  readonly name: string;
  readonly proxies: 1 | 2;
  /** `cistern` processes, which are killed now and then, instead of cores in this process. */
  readonly processes: boolean;
  /** ms, by bucket. */
  readonly ttl: { readonly [CLOSED]: number; readonly [OPEN]: number };
  readonly cache: Changes['cache'];
  /** `upstream_idle_timeout`, ms, where many clients in this process may keep it from answering as the origin. */
  readonly upstreamIdleTimeout?: number;
  /** Whether the bucket that is open to all keeps old versions. */
  readonly versioned?: boolean;
  /** So much was deleted just before that there is no room for an epoch of each object. */
  readonly flooded?: boolean;
}

const HOUR = 3_600_000;

export const PLANS: readonly Plan[] = [
  {
    name: 'two cores, little memory and disk',
    proxies: 2,
    processes: false,
    ttl: { [CLOSED]: 0, [OPEN]: HOUR },
    cache: {
      max_ram_cache_size: 4 * MIB,
      max_cache_size: 48 * MIB,
      write_cache_percent: 60,
      incomplete_upload_ttl: 2000,
      parallel_fill: { connections: 3, min_object_size: 16 * MIB },
    },
  },
  {
    name: 'two cores, no memory tier',
    proxies: 2,
    processes: false,
    ttl: { [CLOSED]: HOUR, [OPEN]: 100 },
    versioned: true,
    flooded: true,
    cache: {
      ram_cache_enabled: false,
      max_cache_size: 64 * MIB,
      memory_budget: 16 * MIB,
      write_cache_percent: 50,
      incomplete_upload_ttl: 2000,
      write_cache_max_object_size: 6 * MIB,
    },
  },
  {
    name: 'one core with room',
    proxies: 1,
    processes: false,
    ttl: { [CLOSED]: 100, [OPEN]: 0 },
    cache: {
      max_ram_cache_size: 32 * MIB,
      max_cache_size: 1024 * MIB,
      incomplete_upload_ttl: 2000,
      parallel_fill: { connections: 4, min_object_size: 16 * MIB },
    },
  },
  {
    name: 'two processes, killed now and then',
    proxies: 2,
    processes: true,
    ttl: { [CLOSED]: HOUR, [OPEN]: 0 },
    flooded: true,
    cache: {
      max_ram_cache_size: 4 * MIB,
      max_cache_size: 64 * MIB,
      write_cache_percent: 50,
      incomplete_upload_ttl: 2000,
    },
  },
];

/** One of the proxies of a place, with what a client needs. */
export class Seat {
  proxy: Cistern;
  client: Client;
  writer: Writer;
  /** When it was down, ms: from just before it was killed until it was up again. */
  readonly downs: { readonly from: number; until: number }[] = [];
  readonly #origin: World['origin'];
  readonly #start: () => Promise<Cistern>;
  #restarting: Promise<void> | undefined;

  constructor(origin: World['origin'], proxy: Cistern, start: () => Promise<Cistern>) {
    this.#origin = origin;
    this.#start = start;
    this.proxy = proxy;
    this.client = this.#newClient();
    this.writer = this.#newWriter();
  }

  /** @param how as by `kill -9`, or by SIGTERM, which lets answers finish */
  killAndRestart(how: 'kill' | 'stop' = 'kill'): Promise<void> {
    this.#restarting ??= this.#killAndRestart(how).finally(() => {
      this.#restarting = undefined;
    });
    return this.#restarting;
  }

  wasDown(from: number, until: number): boolean {
    return this.downs.some(down => down.from <= until && down.until >= from);
  }

  /** Starts it, where it was stopped. */
  async startAgain(): Promise<void> {
    this.close();
    this.proxy = await this.#start();
    this.client = this.#newClient();
    this.writer = this.#newWriter();
  }

  /** Resolves when it is up, if it is being restarted. */
  get up(): Promise<void> {
    return this.#restarting ?? Promise.resolve();
  }

  async #killAndRestart(how: 'kill' | 'stop'): Promise<void> {
    const down = { from: performance.now(), until: Number.POSITIVE_INFINITY };
    this.downs.push(down);
    await this.proxy[how]();
    await this.startAgain();
    down.until = performance.now();
  }

  close(): void {
    this.client.close();
    this.writer.close();
  }

  #newClient(): Client {
    return new Client(this.#origin as TestOrigin, this.proxy.port);
  }

  #newWriter(): Writer {
    return new Writer(this.proxy.port, this.#origin.address);
  }
}

/** An origin and proxies on one cache folder, used by one schedule after the other, each with objects of its own. */
export class Place {
  readonly plan: Plan;
  readonly world: World;
  readonly folder: string;
  readonly cacheDir: string;
  readonly seats: readonly Seat[];

  private constructor(plan: Plan, world: World, folder: string, cacheDir: string, seats: readonly Seat[]) {
    this.plan = plan;
    this.world = world;
    this.folder = folder;
    this.cacheDir = cacheDir;
    this.seats = seats;
  }

  /** @param volume the folder that the cache is to be in, where that is not one of the place's own */
  static async start(plan: Plan, volume?: string): Promise<Place> {
    const world = await World.start(plan.versioned === true);
    const folder = await mkdtemp(join(tmpdir(), 'cistern-model-'));
    const cacheDir = join(volume ?? folder, 'cache');
    await writeBucketSettings(cacheDir, world, plan);
    const seats: Seat[] = [];
    for (let i = 0; i < plan.proxies; i++) {
      const own = join(folder, String(i));
      const changes = settingsOf(plan, world, cacheDir, own);
      const start = () => (plan.processes ? startProcess(own, changes) : startInProcess(changes));
      seats.push(new Seat(world.origin, await start(), start));
    }
    await acquainted(cacheDir, plan.proxies);
    if (plan.flooded) await flood(seats, world, cacheDir);
    return new Place(plan, world, folder, cacheDir, seats);
  }

  /** When a read is signed, and how long its answer may take, ms: S3 may stand still more than once in its way. */
  get readTimes(): { readonly at: number; readonly patience: number } {
    return { at: this.world.now(), patience: 20_000 + 3 * (this.plan.upstreamIdleTimeout ?? 0) };
  }

  async stop(): Promise<void> {
    this.world.calm();
    await Promise.all(
      this.seats.map(seat => {
        seat.close();
        return seat.proxy.stop();
      }),
    );
    await this.world.stop();
  }

  async clear(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

function settingsOf(plan: Plan, { origin }: World, cacheDir: string, own: string): Changes {
  return {
    server: { proxy_port: 0, shutdown_grace: 2000 },
    health: { enabled: false },
    metrics: { port: 0 },
    dashboard: { enabled: false },
    logging: {
      access_log_enabled: false,
      access_log_dir: join(own, 'access'),
      app_log_dir: join(own, 'app'),
      log_level: 'error',
    },
    connection_pool: {
      upstream_overrides: { [origin.address]: { scheme: 'http', validate_tls: true } },
      upstream_idle_timeout: plan.upstreamIdleTimeout ?? 300,
      upstream_first_byte_timeout: Math.max(5000, (plan.upstreamIdleTimeout ?? 0) * 1.5),
    },
    cache: {
      cache_dir: cacheDir,
      min_free_space: { percent: 0 },
      // What becomes of a disk that is too slow is tested elsewhere; here it is so only because the machine is busy.
      disk_timeout: 20_000,
      get_ttl: plan.ttl[CLOSED],
      head_ttl: plan.ttl[CLOSED],
      ...plan.cache,
    },
  };
}

/** The bucket that is open to all has a ttl of its own. */
async function writeBucketSettings(cacheDir: string, { origin }: World, { ttl }: Plan): Promise<void> {
  const folder = join(cacheDir, 'buckets', bucketFolder(origin.address, OPEN));
  await mkdir(folder, { recursive: true });
  const text = `${ttl[OPEN]}ms`;
  await writeFile(join(folder, '_settings.json'), JSON.stringify({ get_ttl: text, head_ttl: text }));
}

/** Deletes, through each proxy, as many objects as one request may name. */
async function flood(seats: readonly Seat[], world: World, cacheDir: string): Promise<void> {
  for (const [i, { writer }] of seats.entries()) {
    const objects = Array.from({ length: 1000 }, (_, n) => `<Object><Key>flood/${i}/${n}</Key></Object>`);
    const body = Buffer.from(`<Delete><Quiet>true</Quiet>${objects.join('')}</Delete>`);
    const where = { method: 'POST', host: writer.host, target: `/${CLOSED}?delete=`, at: world.now() };
    const { status } = await writer.send(request(where, md5Header(body, true), body));
    if (status !== 200) throw new Error(`DeleteObjects: ${status}`);
  }
  if ((await readdir(join(cacheDir, 'epochs'))).length < 200) throw new Error('there was room for each epoch');
}

/**
 * A process that believes itself alone on the volume looks at nothing again. Each looks around at every heartbeat: when
 * every one of them has beaten twice since all were there, all know of each other.
 */
async function acquainted(cacheDir: string, count: number): Promise<void> {
  if (count === 1) return;
  const beats = async () => {
    // Beside them are those that are just being written.
    const names = (await readdir(join(cacheDir, 'instances'))).filter(name => name.endsWith('.json'));
    // One may be replaced while it is read: on a network file system what was opened is gone then.
    const texts = await Promise.all(
      names.map(name => readFile(join(cacheDir, 'instances', name), 'utf8').catch(() => '')),
    );
    return texts.map(text => (JSON.parse(text || '{"beat":0}') as { beat: number }).beat);
  };
  const first = await beats();
  for (;;) {
    const now = await beats();
    if (now.length === count && now.every((beat, i) => beat >= (first[i] ?? 0) + 2)) return;
    await new Promise(resolve => setTimeout(resolve, 50));
  }
}
