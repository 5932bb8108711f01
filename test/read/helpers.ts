import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type Core, startCore } from '../../proxy-core/core.ts';
import { type DeepPartial, defaultSettings, type Settings } from '../../proxy-core/settings/index.ts';
import { startOrigin, type TestOrigin, type TestOriginOptions } from '../origin/index.ts';
import { type Answer, type Ask, Client } from './client.ts';

export { type Answer, type Ask, bytesOf, Client, collect } from './client.ts';

export const MIB = 2 ** 20;
/** A name whose subdomains are buckets, known to the proxy alone. */
export const BASE = 's3.cistern.test';
export interface Place {
  readonly origin: TestOrigin;
  readonly folder: string;
  readonly cacheDir: string;
  /** The first core and its client. */
  readonly core: Core;
  readonly client: Client;
  /** Straight to the origin. */
  readonly direct: Client;
  get(ask?: Ask): Promise<Answer>;
  /** Another proxy on the same cache folder. */
  another(settings?: DeepPartial<Settings>): Promise<{ core: Core; client: Client }>;
  /** How many bodies, and how many requests at all, the origin saw for a key while `act` ran. */
  count(act: () => Promise<unknown>, key?: string): Promise<{ bodies: number; requests: number; bytes: number }>;
}

export interface PlaceOptions {
  readonly cache?: DeepPartial<Settings['cache']>;
  readonly settings?: DeepPartial<Settings>;
  readonly origin?: TestOriginOptions;
}

/** An origin and a proxy before it, with a cache folder of their own; all gone when the test is over. */
export async function startPlace({ cache = {}, settings = {}, origin: about }: PlaceOptions = {}): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'cistern-read-'));
  const cacheDir = join(folder, 'cache');
  const origin = await startOrigin(about);
  const ends: (() => unknown)[] = [];
  onTestFinished(async () => {
    origin.faults.clear();
    await Promise.all(ends.map(end => end()));
    await origin.stop();
    await rm(folder, { recursive: true, force: true });
  });
  const another = async (changes: DeepPartial<Settings> = {}) => {
    const core = await startCore(
      settingsOf(origin, folder, { ...settings, ...changes }, { ...cache, ...changes.cache }),
    );
    const client = new Client(origin, Number(core.addresses.proxy.split(':').at(-1)));
    ends.push(() => {
      client.close();
      return core.stop();
    });
    return { core, client };
  };
  const { core, client } = await another();
  const direct = new Client(origin);
  ends.push(() => direct.close());
  return {
    origin,
    folder,
    cacheDir,
    core,
    client,
    direct,
    another,
    get: ask => client.send(ask),
    async count(act, key = 'k') {
      const before = { b: origin.bodiesServed(key), r: origin.requestsFor(key).length, n: origin.bytesServed(key) };
      await act();
      return {
        bodies: origin.bodiesServed(key) - before.b,
        requests: origin.requestsFor(key).length - before.r,
        bytes: origin.bytesServed(key) - before.n,
      };
    },
  };
}

export function settingsOf(
  origin: TestOrigin,
  folder: string,
  changes: DeepPartial<Settings> = {},
  cache: DeepPartial<Settings['cache']> = {},
): Settings {
  return defaultSettings({
    health: { enabled: false },
    metrics: { enabled: false },
    dashboard: { enabled: false },
    ...changes,
    server: { proxy_port: 0, shutdown_grace: 2000, ...changes.server },
    connection_pool: {
      upstream_overrides: {
        [origin.address]: { scheme: 'http', validate_tls: true },
        [`${BASE}:80`]: { scheme: 'http', address: origin.address, validate_tls: true },
      },
      ...changes.connection_pool,
    },
    logging: {
      access_log_enabled: false,
      access_log_dir: join(folder, 'access'),
      app_log_dir: join(folder, 'app'),
      log_level: 'error',
      ...changes.logging,
    },
    cache: { cache_dir: join(folder, 'cache'), min_free_space: { percent: 0 }, ...cache },
  });
}

/** Headers that differ between an answer of S3's and one from the cache, as documented, and those of the connection. */
const OF_ONE_ANSWER = new Set([
  'date',
  'x-amz-request-id',
  'x-amz-id-2',
  'x-cache',
  'cache-status',
  'connection',
  'keep-alive',
]);

/** What must be the same, with and without the proxy. */
export function comparable({ status, headers, body, complete }: Answer) {
  const kept: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (!OF_ONE_ANSWER.has(headers[i]!.toLowerCase())) kept.push(`${headers[i]}: ${headers[i + 1]}`);
  }
  return { status, complete, headers: kept.sort(), length: body.length, body: hash(body) };
}

export function hash(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Every file under a folder. */
export async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter(entry => !entry.isDirectory()).map(entry => join(entry.parentPath, entry.name));
}

/** Asks again until it holds, for what happens behind an answer (a file that is being written). */
export async function eventually(holds: () => unknown | Promise<unknown>, within = 5000): Promise<void> {
  const until = performance.now() + within;
  while (!(await holds())) {
    if (performance.now() > until) throw new Error(`did not come about within ${within} ms: ${holds}`);
    await new Promise(resolve => setTimeout(resolve, 10));
  }
}
