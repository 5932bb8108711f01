import { controlFolders, findProxies, type RunningProxy } from '../../proxy-core/admin/index.ts';
import type { LoadedSettings } from '../../proxy-core/settings/index.ts';
import type { Io } from './io.ts';

/** The running proxy that these settings mean, or undefined after it was said what is the matter and what to do. */
export async function runningProxy(loaded: LoadedSettings, io: Io): Promise<RunningProxy | undefined> {
  const folders = controlFolders(io);
  const { proxies, problems } = await findProxies(folders);
  const { chosen, others } = choose(proxies, loaded);
  if (chosen) return chosen;
  if (others.length === 0) {
    io.err('cistern: no proxy of yours runs on this machine.');
    for (const folder of folders) io.err(`  looked in ${folder}`);
    for (const problem of problems) io.err(`  ${problem}`);
    io.err('Start it with `cistern serve`. One that another account runs answers only that account.');
    return undefined;
  }
  io.err(`cistern: no running proxy is the one that is meant; ${others.length === 1 ? 'this one runs' : 'these run'}:`);
  for (const { proxy, cache_dir, pid } of others) io.err(`  http://${proxy}, cache ${cache_dir}, process ${pid}`);
  io.err('Say which one by --port, or by --config with the file it was started with.');
  return undefined;
}

/**
 * The proxy on the port of the settings, or with their cache folder where the port is any free one. Without either said, the
 * only one that runs. Several processes behind one port on one folder are one.
 */
export function choose(
  proxies: readonly RunningProxy[],
  { settings, sources }: Pick<LoadedSettings, 'settings' | 'sources'>,
): { readonly chosen?: RunningProxy; readonly others: readonly RunningProxy[] } {
  const { proxy_port } = settings.server;
  const { cache_dir } = settings.cache;
  const onPort = proxies.filter(({ proxy }) => proxy_port !== 0 && portOf(proxy) === proxy_port);
  const inFolder = (some: readonly RunningProxy[]) => some.filter(proxy => proxy.cache_dir === cache_dir);
  const saysFolder = sources.has('cache.cache_dir');
  const saysPort = sources.has('server.proxy_port') && proxy_port !== 0;
  const meant = saysPort
    ? saysFolder && onPort.length > 1
      ? inFolder(onPort)
      : onPort
    : saysFolder
      ? inFolder(proxies)
      : onPort.length > 0
        ? onPort
        : proxies;
  const [first, ...rest] = meant;
  const one = first && rest.every(({ proxy, cache_dir }) => proxy === first.proxy && cache_dir === first.cache_dir);
  return one ? { chosen: first, others: [] } : { others: proxies };
}

function portOf(proxy: string): number {
  return Number(proxy.slice(proxy.lastIndexOf(':') + 1));
}
