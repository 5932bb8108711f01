import { type Figures, fromFiles, perByte, perRequest, type Row } from './figures.ts';
import { accountOf } from './machine.ts';
import type { Ask } from './objects.ts';
import type { ProxyProcess } from './proxy.ts';
import type { Stage } from './stage.ts';

export interface Scenario {
  readonly name: string;
  /** Proxy on one core, load and origin on another. Otherwise the kernel places them. */
  readonly pinned: boolean;
  readonly ramMiB: number;
  run(stage: Stage, seconds: number): Promise<Row[]>;
}

const MIB = 2 ** 20;
/** What memory there is for content by default, and where the disk is measured. */
const [RAM, LITTLE_RAM] = [512, 64];
const COLD_OBJECTS = 12;
const RANGES = 5_000;
const STARTS = 5;

export const SCENARIOS: readonly Scenario[] = [
  { name: 'warm-1k', pinned: true, ramMiB: RAM, run: small('warm-1k', '1 KiB', objects('1k', 1_000)) },
  { name: 'warm-100k', pinned: true, ramMiB: RAM, run: small('warm-100k', '100 KiB', objects('100k', 200)) },
  { name: 'ram', pinned: true, ramMiB: RAM, run: large('ram', '64 MiB, memory', objects('64m', 1), [1, 8]) },
  { name: 'disk', pinned: true, ramMiB: LITTLE_RAM, run: large('disk', '256 MiB, disk', objects('256m', 1), [1, 4]) },
  { name: 'ranges', pinned: true, ramMiB: RAM, run: ranges('ranges', 'memory') },
  { name: 'ranges-disk', pinned: true, ramMiB: LITTLE_RAM, run: ranges('ranges-disk', 'disk') },
  { name: 'cold', pinned: false, ramMiB: RAM, run: cold },
  { name: 'start', pinned: true, ramMiB: RAM, run: start },
];

function objects(size: string, count: number, id = 'x'): Ask[] {
  return Array.from({ length: count }, (_, i) => ({ path: `/bench/${size}/${id}${i}` }));
}

function small(id: string, size: string, asks: readonly Ask[]): Scenario['run'] {
  return async (stage, seconds) => {
    await stage.startProxy();
    await stage.warm(asks);
    await stage.verify(asks);
    const measured = await stage.measureWarm(asks, 32, seconds);
    return [
      { id, title: `warm ${size}, 32 connections`, figures: { ...perRequest(measured), ...fromFiles(measured) } },
    ];
  };
}

function large(id: string, what: string, asks: readonly Ask[], connections: readonly number[]): Scenario['run'] {
  return async (stage, seconds) => {
    await stage.startProxy();
    await stage.warm(asks, 1);
    await stage.verify(asks);
    const rows: Row[] = [];
    for (const many of connections) {
      const measured = await stage.measureWarm(asks, many, seconds);
      rows.push({
        id: `${id}-${many}`,
        title: `warm ${what}, ${many === 1 ? '1 connection' : `${many} connections`}`,
        figures: { ...perByte(measured), ...fromFiles(measured) },
      });
    }
    return rows;
  };
}

/** The object comes by one whole GET; what is read of it then are ranges that lie anywhere in it. */
function ranges(id: string, from: string): Scenario['run'] {
  return async (stage, seconds) => {
    const [object] = objects('256m', 1) as [Ask];
    const asks = Array.from({ length: RANGES }, (_, i): Ask => {
      const first = scattered(i) % (256 * MIB - 65_536);
      return { path: object.path, range: [first, first + 65_535] };
    });
    await stage.startProxy();
    await stage.warm([object], 1);
    await stage.verify(asks.slice(0, 100));
    const measured = await stage.measureWarm(asks, 16, seconds);
    const figures = { ...perRequest(measured), ...fromFiles(measured) };
    return [{ id, title: `warm random 64 KiB of 256 MiB, ${from}, 16 connections`, figures }];
  };
}

/** As much as the objects hold, however long it takes; their first reading, stored on disk. */
async function cold(stage: Stage): Promise<Row[]> {
  await stage.startProxy();
  await stage.verify(objects('64m', 1, 'verified'));
  const one = await stage.measureCold(objects('64m', COLD_OBJECTS, 'one'), 1);
  const four = await stage.measureCold(objects('64m', COLD_OBJECTS, 'four'), 4);
  return [
    { id: 'cold-1', title: 'cold 64 MiB, one at a time', figures: perByte(one) },
    { id: 'cold-4', title: 'cold 64 MiB, four at a time', figures: perByte(four) },
  ];
}

async function start(stage: Stage): Promise<Row[]> {
  const empty: Figures[] = [];
  for (let i = 0; i < STARTS; i++) {
    empty.push(startFigures(await stage.startProxy(`empty-${i}`)));
    await stage.stopProxy();
  }
  const asks = objects('1k', 1_000);
  await stage.startProxy();
  await stage.warm(asks);
  await stage.stopProxy();
  const full: Figures[] = [];
  for (let i = 0; i < STARTS; i++) {
    full.push(startFigures(await stage.startProxy()));
    if (i === 0) await stage.verify(asks);
    await stage.stopProxy();
  }
  return [
    { id: 'start-empty', title: 'start to ready, empty cache', figures: median(empty) },
    { id: 'start-1000', title: 'start to ready, 1,000 objects on disk', figures: median(full) },
  ];
}

function startFigures(proxy: ProxyProcess): Figures {
  const account = accountOf(proxy.pid);
  return {
    ready_ms: proxy.readyMs,
    ...(account ? { cpu_ms: account.cpuSeconds * 1_000, peak_memory_mib: account.peakMiB } : {}),
  };
}

/** The run in the middle, by time. */
function median(runs: Figures[]): Figures {
  return runs.sort((a, b) => a.ready_ms! - b.ready_ms!)[Math.floor(runs.length / 2)]!;
}

/** The same numbers in each run, spread over 32 bits (the finaliser of MurmurHash3). */
function scattered(index: number): number {
  let hash = index + 1;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
