import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, it, vi } from 'vitest';
import { Instance } from '../../proxy-core/store/disk/instance.ts';
import { Volume } from '../../proxy-core/store/disk/volume.ts';
import { Place, type Plan } from '../model/places.ts';
import { schedules } from '../model/schedules.ts';
import type { Schedule } from '../model/steps.ts';
import { Tally } from '../model/tally.ts';
import { CLOSED, OPEN } from '../model/world.ts';
import { Party } from '../soak/party.ts';
import { allocated } from '../soak/watch.ts';
import { afterTest, openStore } from '../store/helpers.ts';

const MIB = 2 ** 20;
const FOR = 12_000;
const KILLS = { least: 200, most: 1_500 };
const LIMIT = 64 * MIB;

const PLAN: Plan = {
  name: 'killed in a loop',
  proxies: 2,
  processes: true,
  // The origin lives in this process: on a busy machine it stands still for longer than a model's usual patience.
  upstreamIdleTimeout: 2_000,
  ttl: { [CLOSED]: 3_600_000, [OPEN]: 0 },
  cache: { max_ram_cache_size: 4 * MIB, max_cache_size: LIMIT, write_cache_percent: 50, incomplete_upload_ttl: 2_000 },
};

/** Reads, ranges, uploads, overwrites and evictions, at which processes are killed at random moments. */
async function killInALoop(place: Place, parties: readonly Party[], tally: Tally): Promise<number> {
  const until = performance.now() + FOR;
  const goesOn = () => performance.now() < until;
  const clients = parties.map(async (party, i) => {
    for (let seed = i * 1000; goesOn(); seed++) {
      const [schedule] = fc.sample(schedules({ kills: false, vias: 2 }), { seed, numRuns: 1 }) as [Schedule];
      await party.play(schedule, goesOn);
    }
  });
  let kills = 0;
  while (goesOn()) {
    await wait(KILLS.least + Math.random() * (KILLS.most - KILLS.least));
    await place.seats[kills++ % 2]!.killAndRestart();
  }
  await Promise.all(clients);
  tally.count('kills', kills);
  return kills;
}

/** Another process is there for a few minutes of its own clock: long enough to see that nobody else is. */
async function minutesLater(cacheDir: string): Promise<void> {
  const began = performance.now();
  let beats = 0;
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => began + beats * 1000);
  const modes = { file: 0o600, folder: 0o700 };
  const instance = new Instance({ volume: new Volume({ deadline: 60_000 }), cacheDir, modes, facts: () => ({}) });
  try {
    for (; beats < 200; beats++) await instance.beat();
  } finally {
    clock.mockRestore();
    await instance.stop();
  }
}

it('two processes on one folder, killed (kill -9) again and again in the middle of everything, leave every byte right and no space lost', async () => {
  const problems: string[] = [];
  const tally = new Tally();
  const place = await Place.start(PLAN);
  afterTest(() => place.clear());
  const about = { place, tally, isNoted: true, problem: (text: string) => problems.push(text) };
  const parties = Array.from({ length: 3 }, (_, i) => new Party({ ...about, name: `p${i}` }));
  try {
    expect(await killInALoop(place, parties, tally)).toBeGreaterThan(3);
    place.world.calm();
    let bytes = 0;
    for (const party of parties) for (const via of [0, 1] as const) bytes += await party.readAll(via);
    expect(bytes).toBeGreaterThan(0);
    expect(problems.join('\n'), String(tally)).toBe('');
    expect(tally.counts.get('complete'), String(tally)).toBeGreaterThan(100);
  } finally {
    await place.stop();
  }

  const { cacheDir } = place;
  const left = async () =>
    (await Promise.all(['tmp', 'instances'].map(name => readdir(join(cacheDir, name)).catch(() => [])))).flat();
  expect((await left()).length, 'what the killed have left').toBeGreaterThan(0);
  await minutesLater(cacheDir);
  expect(await left()).toEqual([]);
  const { store } = await openStore(cacheDir, { maxDiskBytes: LIMIT });
  await store.capacity.settled();
  await store.capacity.recount();
  const onDisk = (await allocated(join(cacheDir, 'buckets'))) + (await allocated(join(cacheDir, 'uploads')));
  expect(store.capacity.bytes).toBe(onDisk);
}, 120_000);
