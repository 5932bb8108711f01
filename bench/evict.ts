// Evicts from a cache folder as the proxy does, in a process of its own, so that what it uses can be told.
import { Eviction } from '../proxy-core/store/disk/eviction.ts';
import { Scratch } from '../proxy-core/store/disk/scratch.ts';
import { Uses } from '../proxy-core/store/disk/uses.ts';
import { Volume } from '../proxy-core/store/disk/volume.ts';
import type { EvictionAlgorithm } from '../proxy-core/store/memory/index.ts';
import { Unread } from '../proxy-core/store/uploads/unread.ts';

export interface EvictionPlan {
  readonly cacheDir: string;
  readonly algorithm: EvictionAlgorithm;
  /** What the cache holds. */
  readonly bytes: number;
  readonly evict: number;
}

export interface Evicted {
  readonly bytes: number;
  readonly files: number;
  /** Of the volume, of any kind. */
  readonly operations: number;
  readonly cpuSeconds: number;
  readonly seconds: number;
}

export async function answer({ cacheDir, algorithm, bytes, evict }: EvictionPlan): Promise<Evicted> {
  const volume = new CountingVolume({ deadline: 30_000 });
  const gone = { bytes: 0, files: 0 };
  const modes = { file: 0o600, folder: 0o700 };
  const scratch = new Scratch({
    volume,
    cacheDir,
    instance: () => 'bench',
    modes,
    onBytes: change => {
      gone.bytes -= change;
    },
  });
  const now = () => Date.now();
  const eviction = new Eviction({
    volume,
    cacheDir,
    algorithm,
    uses: new Uses({ seconds: () => Math.floor(now() / 1000), entries: 1024 }),
    unread: new Unread(),
    bytes: () => bytes - gone.bytes,
    putTtl: () => 3_600_000,
    now,
    remove: async (path, known) => {
      await scratch.remove(path, known);
      gone.files++;
    },
    removeFolder: path => scratch.removeFolder(path),
  });
  const [cpu, startedAt] = [process.cpuUsage(), performance.now()];
  while (gone.bytes < evict)
    if (!(await eviction.step(() => gone.bytes >= evict))) throw new Error('there is nothing to evict');
  const used = process.cpuUsage(cpu);
  return {
    ...gone,
    operations: volume.operations,
    cpuSeconds: (used.user + used.system) / 1e6,
    seconds: (performance.now() - startedAt) / 1000,
  };
}

class CountingVolume extends Volume {
  operations = 0;

  override run<T>(
    start: (done: (error: Error | null, value?: T) => void) => void,
    late?: (value: T | undefined) => void,
    path?: string,
  ): Promise<T> {
    this.operations++;
    return super.run(start, late, path);
  }
}
