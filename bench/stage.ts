import { join } from 'node:path';
import { Helper } from './helper.ts';
import type { LoadPlan, LoadResult } from './load.ts';
import { type Account, accountOf, machineCpuSeconds, type Pinning } from './machine.ts';
import { type Ask, hashOf } from './objects.ts';
import { ProxyProcess } from './proxy.ts';

/** A cache that is not warm after this has a fault, or the disk is too slow to measure anything. */
const WARM_MS = 20_000;

export interface StageOptions {
  readonly folder: string;
  readonly ramMiB: number;
  readonly pinning: Pinning;
  /** Where the CPU profile of the proxy goes. */
  readonly profile?: string | undefined;
}

/** An origin, a proxy with an empty cache and a load generator: a process each. */
export class Stage {
  readonly #options: StageOptions;
  readonly #origin: Helper<'port' | 'requests', number>;
  readonly #load: Helper<LoadPlan, LoadResult>;
  readonly #originPort: number;
  #proxy: ProxyProcess | undefined;

  private constructor(options: StageOptions, origin: Helper<'port' | 'requests', number>, originPort: number) {
    this.#options = options;
    this.#origin = origin;
    this.#originPort = originPort;
    this.#load = new Helper('./load.ts', options.pinning.load);
  }

  static async open(options: StageOptions): Promise<Stage> {
    const origin = new Helper<'port' | 'requests', number>('./origin.ts', options.pinning.load);
    return new Stage(options, origin, await origin.ask('port'));
  }

  /** A new process on the cache that an earlier one has left in the folder, or on none. */
  async startProxy(cache = 'proxy'): Promise<ProxyProcess> {
    const { folder, ramMiB, pinning, profile } = this.#options;
    this.#proxy = await ProxyProcess.start({
      folder: join(folder, cache),
      originPort: this.#originPort,
      ramMiB,
      core: pinning.proxy,
      profile,
    });
    return this.#proxy;
  }

  async stopProxy(): Promise<void> {
    const proxy = this.#proxy;
    this.#proxy = undefined;
    await proxy?.stop();
  }

  /** Reads everything until two whole rounds in a row have not reached the origin. */
  async warm(asks: readonly Ask[], connections = 4): Promise<void> {
    const startedAt = performance.now();
    for (let clean = 0; clean < 2; ) {
      const asked = await this.#requestsDuring(() => this.#run({ asks, connections }));
      clean = asked === 0 ? clean + 1 : 0;
      if (clean === 0 && performance.now() - startedAt > WARM_MS) {
        throw new Error(
          `not warm after ${WARM_MS / 1_000} s: a round of ${asks.length} reads reaches the origin ${asked} times`,
        );
      }
    }
  }

  /** The proxy's bytes are the origin's. */
  async verify(asks: readonly Ask[]): Promise<void> {
    const { sha1 } = await this.#run({ asks, connections: 1, hash: true });
    if (sha1 !== hashOf(asks)) throw new Error(`wrong bytes in what the proxy sent for ${asks[0]!.path}`);
  }

  /** From a warm cache, so no request may reach the origin. */
  async measureWarm(asks: readonly Ask[], connections: number, seconds: number): Promise<Measured> {
    let measured: Measured | undefined;
    const asked = await this.#requestsDuring(async () => {
      measured = await this.#measure({ asks, connections, seconds });
    });
    if (asked !== 0) throw new Error(`${asked} requests reached the origin though all is cached`);
    return measured!;
  }

  /** Each once, for the first time. */
  measureCold(asks: readonly Ask[], connections: number): Promise<Measured> {
    return this.#measure({ asks, connections });
  }

  async close(): Promise<void> {
    await this.#load.stop();
    try {
      await this.stopProxy();
    } finally {
      await this.#origin.stop();
    }
  }

  #run(plan: Omit<LoadPlan, 'port' | 'host'>): Promise<LoadResult> {
    return this.#load.ask({ ...plan, port: this.#proxy!.port, host: `127.0.0.1:${this.#originPort}` });
  }

  async #requestsDuring(act: () => Promise<unknown>): Promise<number> {
    const before = await this.#origin.ask('requests');
    await act();
    return (await this.#origin.ask('requests')) - before;
  }

  async #measure(plan: Omit<LoadPlan, 'port' | 'host'>): Promise<Measured> {
    const before = this.#accounts();
    const result = await this.#run(plan);
    const after = this.#accounts();
    return { ...result, used: used(before, after) };
  }

  #accounts(): Accounts {
    return {
      machine: machineCpuSeconds(),
      proxy: accountOf(this.#proxy!.pid),
      load: accountOf(this.#load.pid),
      origin: accountOf(this.#origin.pid),
      own: process.cpuUsage(),
    };
  }
}

/** The load's result, and what the processes used for it where the kernel says so. */
export type Measured = LoadResult & { readonly used: Used | undefined };

export interface Used {
  /** CPU seconds of the proxy. */
  readonly proxyCpu: number;
  /** By the proxy, from files and sockets. */
  readonly proxyBytesRead: number;
  /** Most memory of the proxy so far. */
  readonly proxyPeakMiB: number;
  /** CPU seconds of the load generator. */
  readonly loadCpu: number;
  /** CPU seconds of everything else on this machine. */
  readonly otherCpu: number;
}

interface Accounts {
  readonly machine: number | undefined;
  readonly proxy: Account | undefined;
  readonly load: Account | undefined;
  readonly origin: Account | undefined;
  readonly own: NodeJS.CpuUsage;
}

function used(before: Accounts, after: Accounts): Used | undefined {
  if (!before.proxy || !after.proxy || !before.load || !after.load || !before.origin || !after.origin) return undefined;
  if (before.machine === undefined || after.machine === undefined) return undefined;
  const proxyCpu = after.proxy.cpuSeconds - before.proxy.cpuSeconds;
  const loadCpu = after.load.cpuSeconds - before.load.cpuSeconds;
  const originCpu = after.origin.cpuSeconds - before.origin.cpuSeconds;
  const ownCpu = (after.own.user + after.own.system - before.own.user - before.own.system) / 1e6;
  return {
    proxyCpu,
    proxyBytesRead: after.proxy.bytesRead - before.proxy.bytesRead,
    proxyPeakMiB: after.proxy.peakMiB,
    loadCpu,
    otherCpu: Math.max(0, after.machine - before.machine - proxyCpu - loadCpu - originCpu - ownCpu),
  };
}
