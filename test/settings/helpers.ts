import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { BucketSettings, defaultSettings, type ObjectSettings } from '../../proxy-core/settings/index.ts';

/** A cache folder and a clock for each test. */
export let folder: string;
export const clock = { time: 0 };
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cistern-bucket-'));
  clock.time = 0;
});
afterEach(() => rm(folder, { recursive: true, force: true }));

export const global = (cache = {}) => defaultSettings({ cache: { cache_dir: folder, ...cache } });
export const make = (cache = {}) => new BucketSettings(global(cache), { now: () => clock.time });

export async function write(bucket: string, content: unknown): Promise<void> {
  const at = join(folder, 'buckets', bucket);
  await mkdir(at, { recursive: true });
  await writeFile(join(at, 'new'), typeof content === 'string' ? content : JSON.stringify(content));
  await rename(join(at, 'new'), join(at, '_settings.json'));
}

/** Time goes on and the background look at the bucket's file is over. */
export async function later(settings: BucketSettings, bucket: string, ms = 11_000): Promise<void> {
  clock.time += ms;
  await settings.prepare(bucket);
}

export const latin1 = (key: string) => Buffer.from(key, 'utf8').toString('latin1');

export const GLOBAL: ObjectSettings = {
  get_ttl: 60_000,
  head_ttl: 60_000,
  put_ttl: 3_600_000,
  read_cache_enabled: true,
  write_cache_enabled: true,
  write_cache_max_object_size: 256 << 20,
  compression_enabled: true,
  compression_threshold: 1024,
  ram_cache_eligible: true,
  evaluate_conditions_from_cache: true,
  unknown: false,
};
