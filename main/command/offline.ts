import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { controlRoutes } from '../../proxy-core/admin/index.ts';
import type { Settings } from '../../proxy-core/settings/index.ts';
import { Store } from '../../proxy-core/store/index.ts';
import type { CareSource } from './care-source.ts';
import { FAILED, type Io } from './io.ts';

/**
 * Works on a cache folder in this process, which for that time is one more process that shares the folder: others may run on it.
 * It evicts nothing.
 */
export async function withFolder(
  folder: string,
  settings: Settings,
  io: Io,
  act: (source: CareSource) => Promise<number>,
): Promise<number> {
  const cacheDir = resolve(io.cwd, folder);
  const problem = await whyNot(cacheDir, settings);
  if (problem !== undefined) {
    io.err(`cistern: ${problem}`);
    return FAILED;
  }
  const store = openStore(cacheDir, settings, io);
  // None of the store's own timers keeps a process: in one of its rests this one would end.
  const awake = setInterval(() => {}, 60_000);
  try {
    await store.open();
    return await act(sourceOf(store));
  } finally {
    io.show();
    // A thread that hangs on the volume would keep this process for ever.
    if (!(await store.close().finally(() => clearInterval(awake)))) process.kill(process.pid, 'SIGKILL');
  }
}

async function whyNot(cacheDir: string, settings: Settings): Promise<string | undefined> {
  const marker = await stat(join(cacheDir, 'cistern.json')).catch((error: NodeJS.ErrnoException) => error);
  if (marker instanceof Error)
    return marker.code === 'ENOENT'
      ? `${cacheDir} is no cache folder of Cistern: there is no cistern.json in it.`
      : `${cacheDir} can't be read: ${marker.message}`;
  // What this process would write there, the proxy could not read.
  if (process.getuid !== undefined && marker.uid !== process.getuid() && settings.cache.file_mode !== 'shared')
    return `${cacheDir} belongs to another account (${marker.uid}); run this as that account.`;
  return undefined;
}

function openStore(cacheDir: string, { cache }: Settings, io: Io): Store {
  return new Store({
    cacheDir,
    maxDiskBytes: Number.MAX_SAFE_INTEGER,
    minFreeSpace: { bytes: 0 },
    uploadPercent: 100,
    pinPercent: cache.pin_percent,
    incompleteUploadTtl: Number.MAX_SAFE_INTEGER,
    putTtl: () => Number.MAX_SAFE_INTEGER,
    ramEnabled: false,
    maxRamBytes: 0,
    // Nothing is pinned in this way.
    stores: new Set(),
    maxHeads: 1000,
    algorithm: 'lru',
    memoryBudget: 32 << 20,
    mergeGap: 0,
    diskTimeout: cache.disk_timeout,
    shared: cache.file_mode === 'shared',
    onProblem: (_, message) => {
      if (message !== undefined) io.err(`cistern: ${message}`);
    },
    onEvent: (_, message) => io.err(`cistern: ${message}`),
    onVolume: () => {},
    counters: { disk_errors: 0, disk_corrupt: 0, disk_skipped: 0, epochs_moved: 0 },
  });
}

/** Answered as the control interface of a proxy would. */
function sourceOf({ care }: Store): CareSource {
  const routes = controlRoutes({
    care,
    status: () => {
      throw new Error('there is no proxy');
    },
  });
  const call = (
    method: string,
    path: string,
    query: Readonly<Record<string, string | undefined>>,
    signal?: AbortSignal,
  ) => {
    const given = Object.entries(query).filter((pair): pair is [string, string] => pair[1] !== undefined);
    return routes[`${method} ${path}`]!(new URLSearchParams(given), signal ?? new AbortController().signal);
  };
  return {
    many: <T extends { readonly type: string }>(
      method: 'GET' | 'POST',
      path: string,
      query: Readonly<Record<string, string | undefined>> = {},
      signal?: AbortSignal,
    ) => call(method, path, query, signal) as AsyncIterable<T>,
    one: async <T extends object>(path: string, signal?: AbortSignal) => (await call('GET', path, {}, signal)) as T,
  };
}
