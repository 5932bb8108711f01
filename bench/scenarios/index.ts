import { objects } from '../objects.ts';
import type { Shape } from '../shape.ts';
import { WORKLOADS } from '../simulated/workloads.ts';
import { cold } from './cold.ts';
import { coldSmall } from './cold-small.ts';
import { eviction } from './eviction.ts';
import { firstByte } from './first-byte.ts';
import { herd } from './herd.ts';
import { hitRatios } from './hit-ratios.ts';
import { huge } from './huge.ts';
import { parallel } from './parallel.ts';
import { put } from './put.ts';
import { slowReaders } from './slow-readers.ts';
import { start } from './start.ts';
import { startMany } from './start-many.ts';
import type { Scenario } from './types.ts';
import { wan } from './wan.ts';
import { large, ranges, small } from './warm.ts';

export type { Scenario } from './types.ts';

/** What memory there is for content by default, and where the disk is measured. */
const [RAM, LITTLE_RAM] = [512, 64];

const FAR: Shape = { latencyMs: 40, perConnection: 50e6 };
const FAR_AND_SLOW: Shape = { latencyMs: 40, perConnection: 20e6 };
/** A line that one connection can fill. */
const NARROW: Shape = { latencyMs: 40, total: 60e6 };

export const SCENARIOS: readonly Scenario[] = [
  { name: 'warm-1k', pinned: true, ramMiB: RAM, run: small('warm-1k', '1 KiB', objects('1k', 1_000)) },
  { name: 'warm-100k', pinned: true, ramMiB: RAM, run: small('warm-100k', '100 KiB', objects('100k', 200)) },
  { name: 'ram', pinned: true, ramMiB: RAM, run: large('ram', '64 MiB, memory', objects('64m', 1), [1, 8]) },
  { name: 'disk', pinned: true, ramMiB: LITTLE_RAM, run: large('disk', '256 MiB, disk', objects('256m', 1), [1, 4]) },
  { name: 'ranges', pinned: true, ramMiB: RAM, run: ranges('ranges', 'memory') },
  { name: 'ranges-disk', pinned: true, ramMiB: LITTLE_RAM, run: ranges('ranges-disk', 'disk') },
  { name: 'cold', pinned: false, ramMiB: RAM, run: cold },
  { name: 'start', pinned: true, ramMiB: RAM, run: start },
  {
    name: 'start-1m',
    pinned: true,
    ramMiB: RAM,
    run: startMany('start-1m', 'start to ready, 1,000,000 objects on disk', 1_000_000),
  },
  {
    name: 'eviction',
    pinned: false,
    ramMiB: RAM,
    run: eviction([
      { id: 'eviction-10k', title: 'eviction from 10,000 objects of 64 KiB', objects: 10_000 },
      { id: 'eviction-1m', title: 'eviction from 1,000,000 objects of 64 KiB', objects: 1_000_000 },
    ]),
  },
  { name: 'hit-ratios', pinned: false, ramMiB: RAM, run: hitRatios(WORKLOADS) },
  beside('first-byte', firstByte),
  beside(
    'cold-small',
    coldSmall(1_000, [
      { id: 'cold-small-1', title: 'cold 1 KiB, 1 connection', connections: 1, shape: {} },
      { id: 'cold-small-16', title: 'cold 1 KiB, 16 connections', connections: 16, shape: {} },
      { id: 'cold-small-far', title: 'cold 1 KiB, 16 connections, 40 ms', connections: 16, shape: { latencyMs: 40 } },
    ]),
  ),
  beside(
    'put',
    put([
      { id: 'put-64m', title: 'PUT 64 MiB', size: '64m', count: 12, connections: 1, shape: {}, per: 'byte' },
      {
        id: 'put-64m-far',
        title: 'PUT 64 MiB, 40 ms, 50 MB/s',
        size: '64m',
        count: 4,
        connections: 1,
        shape: FAR,
        per: 'byte',
      },
      {
        id: 'put-1k',
        title: '1,000 PUTs of 1 KiB, 16 at a time',
        size: '1k',
        count: 1_000,
        connections: 16,
        shape: {},
        per: 'request',
      },
      {
        id: 'put-1k-far',
        title: '1,000 PUTs of 1 KiB, 16 at a time, 40 ms',
        size: '1k',
        count: 1_000,
        connections: 16,
        shape: { latencyMs: 40 },
        per: 'request',
      },
    ]),
    // What is read back must not be taken for what an upload takes.
    LITTLE_RAM,
  ),
  beside('wan', wan({ size: '64m', title: '64 MiB, 40 ms, 20 MB/s', shape: FAR_AND_SLOW, rounds: 3 })),
  beside('herd', herd({ clients: 100, size: '64m', title: '64 MiB, 40 ms, 50 MB/s', shape: FAR })),
  beside(
    'parallel-256m',
    parallel({ id: 'parallel-256m', title: '256 MiB, 40 ms, 50 MB/s each', size: '256m', shape: FAR, rounds: 1 }),
  ),
  beside(
    'parallel-1g',
    parallel({ id: 'parallel-1g', title: '1 GiB, 40 ms, 50 MB/s each', size: '1g', shape: FAR, rounds: 1 }),
  ),
  beside(
    'parallel-narrow',
    parallel({
      id: 'parallel-narrow',
      title: '256 MiB, 40 ms, 60 MB/s in all',
      size: '256m',
      shape: NARROW,
      rounds: 1,
    }),
  ),
  beside(
    'parallel-near',
    parallel({ id: 'parallel-near', title: '1 GiB, near origin', size: '1g', shape: {}, rounds: 3 }),
  ),
  // With little memory for content, so that the peak tells what reads under way take.
  beside(
    'slow-readers',
    slowReaders({ fast: 32, slow: 32, bytesPerSecond: 1e6, size: '4g', title: '4 GiB objects' }),
    LITTLE_RAM,
  ),
  beside(
    'huge',
    huge({ size: '100g', title: '100 GiB object', smallSize: '64m', smallTitle: '64 MiB objects' }),
    LITTLE_RAM,
  ),
];

/** What is compared with reading straight from the origin: there, load and origin have both cores, so here too. */
function beside(name: string, run: Scenario['run'], ramMiB = RAM): Scenario {
  return { name, pinned: false, ramMiB, run };
}
