import type { Dirent, Stats } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

const PARTS = ['buckets', 'uploads', 'tmp'];

/** Allocated bytes of a cache folder's content and of what is half-written, each file once, as `du` would say it. */
export async function usage(cacheDir: string): Promise<number> {
  const seen = new Map<number, number>();
  for (const part of PARTS) await walk(join(cacheDir, part), seen);
  return [...seen.values()].reduce((sum, bytes) => sum + bytes, 0);
}

async function walk(folder: string, seen: Map<number, number>): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((): Dirent[] => []);
  await Promise.all(
    entries.map(async entry => {
      const path = join(folder, entry.name);
      const stats = await lstat(path).catch((): Stats | undefined => undefined);
      if (stats) seen.set(stats.ino, stats.blocks * 512);
      if (entry.isDirectory()) await walk(path, seen);
    }),
  );
}

/** Looks at the usage all the time, until `stop`. */
export function watchUsage(cacheDir: string) {
  let most = 0;
  let looks = 0;
  let going = true;
  let look: Promise<void>;
  const done = (async () => {
    while (going) {
      look = usage(cacheDir).then(bytes => {
        most = Math.max(most, bytes);
        looks++;
      });
      await look;
    }
  })();
  return {
    /** The most since the last time it was asked, bytes, and by how many looks that is known. */
    async take(): Promise<{ most: number; looks: number }> {
      // One that has begun before saw what was then.
      await look;
      const taken = { most, looks };
      most = 0;
      looks = 0;
      return taken;
    },
    async stop(): Promise<void> {
      going = false;
      await done;
    },
  };
}
