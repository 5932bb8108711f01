import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from 'vitest';
import { ALICE, startOrigin, type TestOrigin } from '../origin/index.ts';
import { type RunningCistern, startCistern } from './cistern.ts';

/** How a client reaches the origin: with nothing between (which judges the origin), or through a running Cistern. */
export type Reach = 'directly' | 'through Cistern' | 'through Cistern at TTL 0';

export interface Way {
  readonly reach: Reach;
  readonly style: 'path' | 'virtual';
  readonly title: string;
}

export const DIRECT: Way = { reach: 'directly', style: 'path', title: 'directly' };
export const BY_PATH: Way = { reach: 'through Cistern', style: 'path', title: 'through Cistern, path-style' };
export const BY_NAME: Way = { reach: 'through Cistern', style: 'virtual', title: 'through Cistern, virtual-hosted' };
export const BY_PATH_TTL_0: Way = {
  reach: 'through Cistern at TTL 0',
  style: 'path',
  title: 'through Cistern at TTL 0',
};
export const BY_NAME_TTL_0: Way = {
  reach: 'through Cistern at TTL 0',
  style: 'virtual',
  title: 'through Cistern at TTL 0, virtual-hosted',
};
export const WAYS: readonly Way[] = [DIRECT, BY_PATH, BY_NAME, BY_PATH_TTL_0];

/** What a client test works with. Names under cistern.test are known to the proxy alone, by its upstream_overrides. */
export interface Place {
  readonly way: Way;
  readonly origin: TestOrigin;
  /** A folder of its own, removed at the end */
  readonly folder: string;
  /** What the client is told S3's address is */
  readonly endpoint: string;
  /** Where the client finds its proxy, in both spellings that programs read; empty without one */
  readonly proxyVariables: Readonly<Record<string, string>>;
  readonly proxyUrl: string | undefined;
  /** Empties the origin's count, runs `act`, and answers how many bodies of objects the origin sent meanwhile. */
  bodies(act: () => Promise<unknown>): Promise<number>;
  /** The same, in bytes. */
  bytes(act: () => Promise<unknown>): Promise<number>;
  /** Another Cistern process, with the same settings, on the same cache directory; stopped at the end. */
  another(): Promise<RunningCistern>;
}

export const BUCKET = 'client-data';
export const NAME = 's3.cistern.test';

/** The tests of `define` once for each way, each with an origin, and where the way has one a Cistern process, of its own. */
export function describeWays(ways: readonly Way[], define: (place: Place) => void): void {
  describe.each(ways)('$title', way => {
    let origin: TestOrigin;
    let cistern: RunningCistern | undefined;
    let folder: string;
    const others: RunningCistern[] = [];
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'cistern-client-'));
      origin = await startOrigin({ buckets: [BUCKET], principals: [ALICE] });
      if (way.reach !== 'directly') cistern = await startCistern(folder, settingsFor(origin, way));
    });
    afterAll(async () => {
      const codes = await Promise.all([cistern, ...others].map(running => running?.stop()));
      await origin.stop();
      await rm(folder, { recursive: true, force: true });
      for (const code of codes)
        if (code !== undefined && code !== 0) throw new Error(`cistern serve ended with ${code} after SIGTERM`);
    });
    const contentSent = async (act: () => Promise<unknown>) => {
      origin.reset();
      await act();
      return origin.requests.filter(
        ({ method, status, key }) => method === 'GET' && key !== '' && (status === 200 || status === 206),
      );
    };
    define({
      way,
      get origin() {
        return origin;
      },
      get folder() {
        return folder;
      },
      get endpoint() {
        return way.style === 'virtual' ? `http://${NAME}` : origin.url;
      },
      get proxyUrl() {
        return cistern?.url;
      },
      get proxyVariables() {
        const none = { NO_PROXY: '', no_proxy: '' };
        return cistern ? { ...none, HTTP_PROXY: cistern.url, http_proxy: cistern.url } : none;
      },
      bodies: async act => (await contentSent(act)).length,
      bytes: async act => (await contentSent(act)).reduce((sum, { bytesSent }) => sum + bytesSent, 0),
      async another() {
        const own = join(folder, `another-${others.length + 1}`);
        await mkdir(own);
        const settings = settingsFor(origin, way);
        const running = await startCistern(own, {
          ...settings,
          cache: { ...settings.cache, cache_dir: join(folder, 'cache') },
        });
        others.push(running);
        return running;
      },
    });
  });
}

function settingsFor(origin: TestOrigin, way: Way): Record<string, object> {
  const override = { scheme: 'http', address: origin.address };
  return {
    cache:
      way.reach === 'through Cistern at TTL 0'
        ? { get_ttl: '0s', head_ttl: '0s' }
        : { get_ttl: '10m', head_ttl: '10m' },
    connection_pool: { upstream_overrides: { [origin.address]: override, [`${NAME}:80`]: override } },
  };
}
