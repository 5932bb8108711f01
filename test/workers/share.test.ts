import { describe, expect, it } from 'vitest';
import { shareOf } from '../../main/command/workers/share.ts';
import { defaultSettings, type Settings } from '../../proxy-core/settings/index.ts';

const MIB = 2 ** 20;

function shares(settings: Settings, count: number): Settings[] {
  return Array.from({ length: count }, (_, i) => shareOf(settings, i, count));
}

const sum = (all: readonly Settings[], of: (one: Settings) => number) => all.reduce((total, one) => total + of(one), 0);

describe('what is set for the whole server', () => {
  it.each([2, 3, 7])('is what the shares of %i workers add up to', count => {
    const settings = defaultSettings({
      server: { max_connections: 1001, max_concurrent_requests: 998 },
      cache: { max_ram_cache_size: 8 * 2 ** 30 + 5, memory_budget: 1024 * MIB + 1 },
    });
    const all = shares(settings, count);
    for (const of of [
      (one: Settings) => one.server.max_connections,
      (one: Settings) => one.server.max_concurrent_requests,
      (one: Settings) => one.cache.max_ram_cache_size,
      (one: Settings) => one.cache.memory_budget,
      (one: Settings) => one.cache.metadata_cache.max_entries,
      (one: Settings) => one.connection_pool.connections_per_address,
    ])
      expect(sum(all, of)).toBe(of(settings));
  });

  it('is never less for one than the setting itself may be', () => {
    const settings = defaultSettings({
      server: { max_connections: 1, max_concurrent_requests: 1 },
      cache: { max_ram_cache_size: MIB, memory_budget: 16 * MIB, metadata_cache: { max_entries: 100 } },
      connection_pool: { connections_per_address: 1, max_idle_per_ip: 1 },
    });
    const { server, cache, connection_pool } = settings;
    expect(shares(settings, 64).at(-1)).toMatchObject({ server, cache, connection_pool });
  });

  it('leaves what concerns the folder as it is, and the side ports to the primary', () => {
    const settings = defaultSettings({ server: { workers: 4 } });
    const share = shareOf(settings, 0, 4);
    const { max_cache_size, min_free_space, cache_dir, get_ttl } = settings.cache;
    expect(share.cache).toMatchObject({ max_cache_size, min_free_space, cache_dir, get_ttl });
    expect(share.server.workers).toBe(1);
    expect([share.health, share.metrics, share.dashboard].map(({ enabled }) => enabled)).toEqual([false, false, false]);
  });
});
