import { EVICTION_ALGORITHMS } from '../../proxy-core/store/memory/index.ts';
import type { Row } from '../figures.ts';
import { play } from '../simulated/two-tiers.ts';
import type { Workload } from '../simulated/workloads.ts';
import type { Run } from './types.ts';

/** How often each algorithm finds in the cache what is asked for: simulated, in this process, from what it would decide. */
export const hitRatios =
  (workloads: readonly Workload[]): Run =>
  async () => {
    const rows: Row[] = [];
    for (const workload of workloads) {
      for (const algorithm of EVICTION_ALGORITHMS) {
        const { requests, hits, bytes, hitBytes, writtenBytes } = play(workload, algorithm);
        const figures = {
          hit_percent: (hits / requests) * 100,
          byte_hit_percent: (hitBytes / bytes) * 100,
          written_gigabytes: writtenBytes / 1e9,
        };
        rows.push({
          id: `hits-${workload.name}-${algorithm}`,
          title: `synthetic: ${workload.title}; ${algorithm}`,
          figures,
        });
      }
    }
    return rows;
  };
