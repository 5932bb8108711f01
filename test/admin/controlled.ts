import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { ask, askMany, findProxies } from '../../proxy-core/admin/index.ts';
import { type Core, startCore } from '../../proxy-core/core.ts';
import type { DeepPartial, Settings } from '../../proxy-core/settings/index.ts';
import { startOrigin, type TestOrigin, type TestOriginOptions } from '../origin/index.ts';
import { Client, settingsOf } from '../read/helpers.ts';

/** A proxy that runs before an origin, and its control interface. */
export interface Controlled {
  readonly core: Core;
  readonly client: Client;
  readonly run: string;
  /** All lines of an answer. */
  lines<T extends { type: string }>(method: string, target: string, signal?: AbortSignal): Promise<T[]>;
  many<T extends { type: string }>(method: string, target: string, signal?: AbortSignal): AsyncGenerator<T>;
  one<T>(method: string, target: string): Promise<T>;
  stop(): Promise<void>;
}

export interface ControlledPlace extends Controlled {
  readonly origin: TestOrigin;
  readonly folder: string;
  readonly cacheDir: string;
  /** Another one on the same cache folder, or the next one. */
  start(settings?: DeepPartial<Settings>): Promise<Controlled>;
}

export async function startControlled(
  settings: DeepPartial<Settings> = {},
  about?: TestOriginOptions,
): Promise<ControlledPlace> {
  const folder = await mkdtemp(join(tmpdir(), 'cistern-care-'));
  const origin = await startOrigin(about);
  const ends: (() => Promise<unknown>)[] = [];
  onTestFinished(async () => {
    await Promise.all(ends.map(end => end()));
    await origin.stop();
    await rm(folder, { recursive: true, force: true });
  });
  let number = 0;
  const start = async (changes: DeepPartial<Settings> = {}): Promise<Controlled> => {
    const run = join(folder, `run-${number++}`);
    const core = await startCore(
      settingsOf(origin, folder, { ...settings, ...changes }, { ...settings.cache, ...changes.cache }),
      { controlFolders: [run] },
    );
    const client = new Client(origin, Number(core.addresses.proxy.split(':').at(-1)));
    let stopped: Promise<void> | undefined;
    const stop = () => {
      client.close();
      stopped ??= core.stop();
      return stopped;
    };
    ends.push(stop);
    const { proxies } = await findProxies([run]);
    const address = proxies[0]!.address;
    return {
      core,
      client,
      run,
      stop,
      many: (method, target, signal) => askMany(address, method, target, signal),
      one: (method, target) => ask(address, method, target),
      async lines<T extends { type: string }>(method: string, target: string, signal?: AbortSignal) {
        const lines: T[] = [];
        for await (const line of askMany<T>(address, method, target, signal)) lines.push(line);
        return lines;
      },
    };
  };
  return { ...(await start()), origin, folder, cacheDir: join(folder, 'cache'), start };
}
