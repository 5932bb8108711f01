import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { startAccounts, type Used } from './accounts.ts';
import { Helper } from './helper.ts';
import { highestDuring } from './highest.ts';
import type { LoadPlan, LoadResult } from './load.ts';
import type { Pinning } from './machine.ts';
import { type Ask, objects } from './objects.ts';
import type { OriginQuestion, OriginState } from './origin.ts';
import { type ProxyOptions, ProxyProcess } from './proxy.ts';
import type { Shape } from './shape.ts';

/** A cache that is not warm after this has a fault, or the disk is too slow to measure anything. */
const WARM_MS = 20_000;

export interface StageOptions {
  readonly folder: string;
  readonly ramMiB: number;
  readonly pinning: Pinning;
  /** Where the CPU profile of the proxy goes. */
  readonly profile?: string | undefined;
}

/** What a client asks for, of the proxy or straight of the origin. */
export type Plan = Omit<LoadPlan, 'port' | 'host'>;

/** Clients that read at the same time as those of a plan, for as long. */
export type SlowPlan = Omit<Plan, 'seconds'> & { readonly bytesPerSecond: number };

export interface Also {
  readonly slow?: SlowPlan | undefined;
  /** Looks at the proxy's memory budget meanwhile, which costs it a little. */
  readonly watchBudget?: boolean;
}

/** The load's result, what the origin sent for it, and what the proxy used where it was asked and the kernel tells. */
export interface Measured extends LoadResult {
  readonly originRequests: number;
  readonly originBytes: number;
  readonly used?: Used | undefined;
  /** Of `cache.memory_budget`, at the times it was looked at. */
  readonly mostBudgetBytes?: number | undefined;
  readonly slow?: LoadResult | undefined;
}

/** An origin, a proxy with an empty cache and a load generator: a process each. */
export class Stage {
  readonly #options: StageOptions;
  readonly #origin: Helper<OriginQuestion, OriginState>;
  readonly #load: Helper<LoadPlan, LoadResult>;
  readonly #originPort: number;
  #slowLoad: Helper<LoadPlan, LoadResult> | undefined;
  #proxy: ProxyProcess | undefined;

  private constructor(options: StageOptions, origin: Helper<OriginQuestion, OriginState>, originPort: number) {
    this.#options = options;
    this.#origin = origin;
    this.#originPort = originPort;
    this.#load = new Helper('./load.ts', options.pinning.load);
  }

  static async open(options: StageOptions): Promise<Stage> {
    const origin = new Helper<OriginQuestion, OriginState>('./origin.ts', options.pinning.load);
    return new Stage(options, origin, (await origin.ask('state')).port);
  }

  /** How far away the origin is from now on. */
  async shape(shape: Shape): Promise<void> {
    await this.#origin.ask({ shape });
  }

  /** A new process on the cache that an earlier one has left in the folder, or on none. */
  async startProxy(folder = 'proxy', cache: ProxyOptions['cache'] = {}): Promise<ProxyProcess> {
    const { ramMiB, pinning, profile } = this.#options;
    this.#proxy = await ProxyProcess.start({
      folder: join(this.#options.folder, folder),
      originPort: this.#originPort,
      ramMiB,
      core: pinning.proxy,
      profile,
      cache,
    });
    return this.#proxy;
  }

  async stopProxy(): Promise<void> {
    const proxy = this.#proxy;
    this.#proxy = undefined;
    await proxy?.stop();
  }

  /** A folder of this scenario's, which goes with it. */
  path(folder: string): string {
    return join(this.#options.folder, folder);
  }

  /** What a proxy that has stopped has left in the folder. */
  async clear(folder = 'proxy'): Promise<void> {
    await rm(join(this.#options.folder, folder), { recursive: true, force: true });
  }

  /** Reads everything until two whole rounds in a row have not reached the origin. */
  async warm(asks: readonly Ask[], connections = 4): Promise<void> {
    const startedAt = performance.now();
    for (let clean = 0; clean < 2; ) {
      const { originRequests } = await this.measure({ asks, connections });
      clean = originRequests === 0 ? clean + 1 : 0;
      if (clean === 0 && performance.now() - startedAt > WARM_MS) {
        throw new Error(
          `not warm after ${WARM_MS / 1_000} s: a round of ${asks.length} reads reaches the origin ${originRequests} times`,
        );
      }
    }
  }

  /** The proxy's bytes are the origin's. */
  async verify(asks: readonly Ask[], connections = 1): Promise<void> {
    await this.#run(this.#load, { asks, connections, check: true }, 'proxy');
  }

  /** From a warm cache, so no request may reach the origin. */
  async measureWarm(asks: readonly Ask[], connections: number, seconds: number): Promise<Measured> {
    const measured = await this.measure({ asks, connections, seconds });
    if (measured.originRequests !== 0)
      throw new Error(`${measured.originRequests} requests reached the origin though all is cached`);
    return measured;
  }

  async measure(plan: Plan, { slow, watchBudget = false }: Also = {}): Promise<Measured> {
    const proxy = this.#proxy!;
    const loads = [this.#load, ...(slow ? [await this.#openSlowLoad()] : [])];
    const used = startAccounts({ proxy: proxy.pid, loads: loads.map(({ pid }) => pid), origin: this.#origin.pid });
    const measuring = this.#measure(plan, 'proxy', slow);
    const mostBudgetBytes = watchBudget ? await highestDuring(() => proxy.budgetBytes(), measuring) : undefined;
    return { ...(await measuring), used: used(), mostBudgetBytes };
  }

  /** The same without any proxy. */
  async measureDirect(plan: Plan, { slow }: Also = {}): Promise<Measured> {
    if (slow) await this.#openSlowLoad();
    return this.#measure(plan, 'direct', slow);
  }

  async close(): Promise<void> {
    await this.#load.stop();
    await this.#slowLoad?.stop();
    try {
      await this.stopProxy();
    } finally {
      await this.#origin.stop();
    }
  }

  /** Its process is there once it has answered. */
  async #openSlowLoad(): Promise<Helper<LoadPlan, LoadResult>> {
    if (!this.#slowLoad) {
      this.#slowLoad = new Helper('./load.ts', this.#options.pinning.load);
      await this.#run(this.#slowLoad, { asks: objects('1k', 1, 'hello'), connections: 1 }, 'direct');
    }
    return this.#slowLoad;
  }

  async #measure(plan: Plan, whom: 'proxy' | 'direct', slowPlan?: SlowPlan): Promise<Measured> {
    const before = await this.#origin.ask('state');
    const { seconds } = plan;
    const [result, slow] = await Promise.all([
      this.#run(this.#load, plan, whom),
      slowPlan && this.#run(this.#slowLoad!, { ...slowPlan, ...(seconds === undefined ? {} : { seconds }) }, whom),
    ]);
    const after = await this.#origin.ask('state');
    return {
      ...result,
      slow,
      originRequests: after.requests - before.requests,
      originBytes: after.bytes - before.bytes,
    };
  }

  #run(load: Helper<LoadPlan, LoadResult>, plan: Plan, whom: 'proxy' | 'direct'): Promise<LoadResult> {
    const port = whom === 'proxy' ? this.#proxy!.port : this.#originPort;
    return load.ask({ ...plan, port, host: `127.0.0.1:${this.#originPort}` });
  }
}
