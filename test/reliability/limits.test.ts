import { readdirSync } from 'node:fs';
import { copyFile, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { StatusSnapshot } from '../../proxy-core/admin/index.ts';
import { type Home, newHome } from '../command/served.ts';
import { generatedBody } from '../origin/index.ts';
import type { Client } from '../read/client.ts';
import { eventually, MIB } from '../read/helpers.ts';
import { usage, watchUsage } from './usage.ts';

const LIMIT = 64 * MIB;
const EXTENT = 8 * MIB;
const SIZES = [10_000, 200_000, 3 * MIB, 20 * MIB];

/** Objects of all sizes, this much in all; their keys. */
function fillOrigin({ origin }: Home, bytes: number): string[] {
  const keys: string[] = [];
  for (let i = 0, all = 0; all < bytes; i++) {
    const size = SIZES[i % SIZES.length]!;
    const key = `k${i}`;
    origin.put('data', key, generatedBody(size, i));
    keys.push(key);
    all += size;
  }
  return keys;
}

/** Reads all keys once, by so many at a time, each from any of the proxies. One that has been killed fails. */
async function readAll(keys: readonly string[], clients: readonly Client[], atOnce: number): Promise<void> {
  const left = [...keys];
  await Promise.all(
    Array.from({ length: atOnce }, async (_, reader) => {
      for (let key = left.shift(); key !== undefined; key = left.shift())
        await clients[reader % clients.length]!.send({ key }).catch(() => undefined);
    }),
  );
}

function watched(home: Home): ReturnType<typeof watchUsage> {
  const watch = watchUsage(home.cacheDir);
  onTestFinished(() => watch.stop());
  return watch;
}

const CACHE = `max_cache_size: ${LIMIT}, ram_cache_enabled: false`;

describe('max_cache_size', () => {
  it('holds for several processes on one folder while ten times as much is read through them, one of them being killed', async () => {
    const home = await newHome(CACHE);
    const keys = fillOrigin(home, 10 * LIMIT);
    const served = await Promise.all([home.serve(), home.serve(), home.serve()]);
    const watch = watched(home);
    const half = Math.floor(keys.length / 2);
    const clients = served.map(({ client }) => client);
    await readAll(keys.slice(0, half), clients, 12);
    const reading = readAll(keys.slice(half), clients, 12);
    await eventually(async () => readdirSync(join(home.cacheDir, 'tmp')).length === 3, 20_000);
    served[0]!.running.process.kill('SIGKILL');
    const fourth = await home.serve();
    await reading;
    await readAll(keys.slice(0, half), [fourth.client, clients[1]!], 8);
    const { most, looks } = await watch.take();
    expect(looks).toBeGreaterThan(5);
    // A file that comes while another one goes is seen beside it by a look that takes its time.
    expect(most).toBeLessThanOrEqual(LIMIT + EXTENT);
    // And it is made use of.
    expect(await usage(home.cacheDir)).toBeGreaterThan(LIMIT / 2);
  }, 120_000);

  it('that is smaller after a restart lets nothing be added before there is room', async () => {
    const home = await newHome(CACHE);
    const keys = fillOrigin(home, 2 * LIMIT);
    const first = await home.serve();
    await readAll(keys, [first.client], 6);
    first.running.process.kill('SIGTERM');
    await first.running.exit;
    const before = await usage(home.cacheDir);
    expect(before).toBeGreaterThan(LIMIT * 0.6);
    const watch = watched(home);
    const smaller = 24 * MIB;
    const second = await home.serve('--set', `cache.max_cache_size=${smaller}`);
    const reading = readAll(keys, [second.client], 6);
    await eventually(async () => (await usage(home.cacheDir)) <= smaller, 20_000);
    expect((await watch.take()).most).toBeLessThanOrEqual(before + MIB);
    await reading;
    for (let looks = 0; looks <= 3; ) {
      await readAll(keys, [second.client], 6);
      const taken = await watch.take();
      expect(taken.most).toBeLessThanOrEqual(smaller + EXTENT);
      looks += taken.looks;
    }
    expect(await usage(home.cacheDir)).toBeGreaterThan(smaller / 2);
  }, 60_000);
});

describe('a limit that is changed in the settings file of a running proxy', () => {
  /** Puts another file in the place of the settings, as editors do. */
  async function edit({ home }: Home, change: (text: string) => string): Promise<void> {
    const file = join(home, 'c.yaml');
    await writeFile(`${file}~`, change(await readFile(file, 'utf8')));
    await rename(`${file}~`, file);
  }
  /** By a copy of the settings as they were at the start: the command that asks takes no bad ones either. */
  const status = async (home: Home): Promise<StatusSnapshot> => {
    const { out, err } = await home.run('status', '--json', '-c', 'first.yaml');
    expect(err).toBe('');
    return JSON.parse(out) as StatusSnapshot;
  };
  const problems = async (home: Home) => (await status(home)).problems.join('\n');

  it('acts at once, on disk and in memory; what needs a restart and what makes no sense is named', async () => {
    const home = await newHome(`max_cache_size: ${LIMIT}, max_ram_cache_size: ${32 * MIB}`);
    const keys = fillOrigin(home, LIMIT + 16 * MIB);
    const { client, running } = await home.serve();
    await copyFile(join(home.home, 'c.yaml'), join(home.home, 'first.yaml'));
    await readAll(keys, [client], 6);
    await readAll(keys, [client], 6);
    expect(await usage(home.cacheDir)).toBeGreaterThan(LIMIT / 2);
    const smaller = 16 * MIB;
    await edit(home, text =>
      text
        .replace(`max_cache_size: ${LIMIT}`, `max_cache_size: ${smaller}`)
        .replace(`max_ram_cache_size: ${32 * MIB}`, `max_ram_cache_size: ${4 * MIB}`)
        .replace('proxy_port: 0', 'proxy_port: 0, max_connections: 500'),
    );
    await running.says(/settings changed: cache\.max_cache_size, cache\.max_ram_cache_size/);
    await eventually(async () => (await usage(home.cacheDir)) <= smaller, 20_000);
    const { cache } = await status(home);
    expect([cache.disk_limit, cache.ram_limit]).toEqual([smaller, 4 * MIB]);
    expect(cache.ram_bytes).toBeLessThanOrEqual(4 * MIB);
    expect(await problems(home)).toMatch(/a restart is needed .* server\.max_connections$/);

    const watch = watched(home);
    await readAll(keys, [client], 6);
    expect((await watch.take()).most).toBeLessThanOrEqual(smaller + EXTENT);

    await edit(home, text => text.replace(`max_cache_size: ${smaller}`, 'max_cache_size: plenty'));
    await running.says(/stay in force: .*c\.yaml:2:\d+: cache\.max_cache_size: "plenty" is not allowed; allowed: /);
    expect(await problems(home)).toMatch(/the last good settings stay in force: .*"plenty"/);
    await readAll(keys, [client], 6);
    expect((await watch.take()).most).toBeLessThanOrEqual(smaller + EXTENT);

    await edit(home, text => text.replace('plenty', `${LIMIT}`).replace(', max_connections: 500', ''));
    await eventually(async () => !/a restart is needed|stay in force/.test(await problems(home)), 10_000);
    await readAll(keys, [client], 6);
    expect(await usage(home.cacheDir)).toBeGreaterThan(smaller + EXTENT);
  }, 90_000);
});
