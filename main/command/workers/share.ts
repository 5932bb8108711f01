import type { Settings } from '../../../proxy-core/settings/index.ts';

/**
 * The settings of one of `count` workers: of what a person has said for the whole server, its share. Shares add up to the whole, but
 * none is less than what the setting itself may be. What is on the disk is the same for all, and what a port shows is the
 * primary's to show.
 * @param index from 0
 */
export function shareOf(settings: Settings, index: number, count: number): Settings {
  const share = (whole: number, least: number) =>
    Math.max(least, Math.floor(whole / count) + (index < whole % count ? 1 : 0));
  const { server, cache, connection_pool: pool, health, metrics, dashboard } = settings;
  return {
    ...settings,
    server: {
      ...server,
      workers: 1,
      max_connections: share(server.max_connections, 1),
      max_concurrent_requests: share(server.max_concurrent_requests, 1),
    },
    cache: {
      ...cache,
      max_ram_cache_size: share(cache.max_ram_cache_size, 2 ** 20),
      memory_budget: share(cache.memory_budget, 16 * 2 ** 20),
      metadata_cache: { max_entries: share(cache.metadata_cache.max_entries, 100) },
    },
    connection_pool: {
      ...pool,
      connections_per_address: share(pool.connections_per_address, 1),
      max_idle_per_ip: share(pool.max_idle_per_ip, 1),
    },
    health: { ...health, enabled: false },
    metrics: { ...metrics, enabled: false },
    dashboard: { ...dashboard, enabled: false },
  };
}
