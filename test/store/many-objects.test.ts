import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { startProcess } from '../model/proxies.ts';
import { afterTest, diskUsage, tempFolder, until } from './helpers.ts';
import { growTree } from './many-objects.ts';

/** `OBJECTS=1000000 npx vitest run test/store/many-objects.test.ts` takes some minutes and 7 GB. */
const OBJECTS = Number(process.env.OBJECTS ?? 5_000);
const MIB = 2 ** 20;

function onDisk(cacheDir: string): number {
  const folders = ['buckets', 'uploads'].map(name => join(cacheDir, name));
  return folders.filter(folder => existsSync(folder)).reduce((sum, folder) => sum + diskUsage(folder), 0);
}

/** Starts a process on a folder; how long that took, ms, and what memory it has when it has counted what is there. */
async function started(
  cacheDir: string,
  own: string,
  minutes: number,
): Promise<{ ms: number; memory: number; counted: number }> {
  await mkdir(own, { recursive: true });
  const began = performance.now();
  const proxy = await startProcess(own, {
    server: { proxy_port: 0 },
    health: { enabled: false },
    metrics: { port: 0 },
    dashboard: { enabled: false },
    logging: { access_log_enabled: false, app_log_dir: join(own, 'app'), access_log_dir: join(own, 'access') },
    cache: { cache_dir: cacheDir, min_free_space: { percent: 0 }, max_cache_size: 2 ** 40 },
  });
  afterTest(() => proxy.stop());
  const ms = performance.now() - began;
  const due = onDisk(cacheDir);
  const bytes = () => proxy.gauge('cistern_disk_cache_bytes');
  await until(async () => (await bytes()) >= due, minutes * 60_000);
  const status = await readFile(`/proc/${proxy.pid}/status`, 'utf8');
  return { ms, memory: Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) * 1024, counted: await bytes() };
}

it(
  `a start with ${OBJECTS.toLocaleString('en')} objects on the disk takes no longer than one with none, and no more memory, also while they are counted`,
  async () => {
    const folder = tempFolder();
    const [empty, full] = [join(folder, 'empty'), join(folder, 'full')];
    growTree(full, 'data', OBJECTS);
    const minutes = 1 + OBJECTS / 100_000;
    const without = await started(empty, join(folder, '1'), minutes);
    const with_ = await started(full, join(folder, '2'), minutes);
    // Under a second on a machine that does nothing else (docs/performance.md); here it may be busy.
    expect(with_.ms).toBeLessThan(without.ms * 2 + 1000);
    expect(with_.memory - without.memory).toBeLessThan(64 * MIB);
    expect(with_.counted).toBe(onDisk(full));
    console.log(
      `${OBJECTS} objects: ready in ${Math.round(with_.ms)} ms (none: ${Math.round(without.ms)} ms), at most ${Math.round(with_.memory / MIB)} MiB of memory (none: ${Math.round(without.memory / MIB)} MiB)`,
    );
  },
  180_000 + OBJECTS * 2,
);
