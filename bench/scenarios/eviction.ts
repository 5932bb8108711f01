import { rm } from 'node:fs/promises';
import type { Evicted, EvictionPlan } from '../evict.ts';
import { Helper } from '../helper.ts';
import type { ManyObjects } from '../many-objects.ts';
import type { Run } from './types.ts';

export interface Full {
  readonly id: string;
  readonly title: string;
  readonly objects: number;
}

const BYTES_EACH = 64 << 10;
/** Share of the cache that goes, and the most of it, bytes. */
const SHARE = 0.2;
const MOST = 256e6;

/** What it costs to evict, by how much there is: small objects, of which a gigabyte is the most files. */
export const eviction =
  (caches: readonly Full[]): Run =>
  async stage => {
    const rows = [];
    for (const { id, title, objects } of caches) {
      const cacheDir = stage.path(id);
      const maker = new Helper<ManyObjects, { bytes: number }>('./many-objects.ts', undefined);
      const { bytes } = await maker.ask({ cacheDir, objects, bytesEach: BYTES_EACH });
      await maker.stop();
      const evictor = new Helper<EvictionPlan, Evicted>('./evict.ts', undefined);
      const plan = { cacheDir, algorithm: 'tinylfu', bytes, evict: Math.min(MOST, bytes * SHARE) } as const;
      const evicted = await evictor.ask(plan);
      await evictor.stop();
      await rm(cacheDir, { recursive: true, force: true });
      rows.push({
        id,
        title,
        figures: {
          gigabytes_per_second: evicted.bytes / evicted.seconds / 1e9,
          operations_per_file: evicted.operations / evicted.files,
          operations_per_gigabyte: (evicted.operations / evicted.bytes) * 1e9,
          cpu_s_per_gigabyte: (evicted.cpuSeconds / evicted.bytes) * 1e9,
        },
      });
    }
    return rows;
  };
