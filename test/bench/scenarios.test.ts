import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Figures, Row } from '../../bench/figures.ts';
import { NOT_PINNED } from '../../bench/machine.ts';
import { coldSmall } from '../../bench/scenarios/cold-small.ts';
import { firstByte } from '../../bench/scenarios/first-byte.ts';
import { herd } from '../../bench/scenarios/herd.ts';
import { huge } from '../../bench/scenarios/huge.ts';
import { SCENARIOS, type Scenario } from '../../bench/scenarios/index.ts';
import { parallel } from '../../bench/scenarios/parallel.ts';
import { put } from '../../bench/scenarios/put.ts';
import { slowReaders } from '../../bench/scenarios/slow-readers.ts';
import { wan } from '../../bench/scenarios/wan.ts';
import { Stage } from '../../bench/stage.ts';

const FAR = { latencyMs: 30, perConnection: 8e6 };
const onLinux = process.platform === 'linux';

/** A scenario with a real proxy, by `id` of the lines. What it has put on disk for fresh proxies is gone afterwards. */
async function play(run: Scenario['run'], seconds = 1): Promise<Record<string, Figures>> {
  const folder = await mkdtemp(join(tmpdir(), 'cistern-bench-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const stage = await Stage.open({ folder, ramMiB: 64, pinning: NOT_PINNED });
  let rows: Row[];
  try {
    rows = await run(stage, seconds);
  } finally {
    await stage.close();
  }
  expect((await readdir(folder)).filter(name => name === 'fresh')).toEqual([]);
  for (const { figures } of rows) {
    for (const [name, value] of Object.entries(figures)) expect(value, name).toEqual(expect.any(Number));
    for (const [name, value] of Object.entries(figures)) expect(Number.isFinite(value), name).toBe(true);
  }
  return Object.fromEntries(rows.map(({ id, figures }) => [id, figures]));
}

/** The result over what it is compared with. */
function expectRatios({ gigabytes_per_second: is, direct_gigabytes_per_second: was, times_direct }: Figures): void {
  expect(is).toBeGreaterThan(0);
  expect(times_direct).toBeCloseTo(is! / was!, 10);
}

test('uploads are measured beside direct, and what the origin sends when they are read', async () => {
  const { big, small } = await play(
    put([
      { id: 'big', title: '4 MiB', size: '4m', count: 2, connections: 1, shape: FAR, per: 'byte' },
      { id: 'small', title: '1 KiB', size: '1k', count: 20, connections: 4, shape: {}, per: 'request' },
    ]),
  );
  expectRatios(big!);
  expect(big!.direct_gigabytes_per_second).toBeLessThan(0.009);
  expect(small!.times_direct).toBeCloseTo(small!.requests_per_second! / small!.direct_requests_per_second!, 10);
  // A byte of each, by which its first reader asks.
  expect([big!.origin_requests, small!.origin_requests]).toEqual([2, 20]);
  expect(big!.origin_bodies).toBeCloseTo(2 / (4 * 2 ** 20), 10);
  expect(small!.origin_bodies).toBeCloseTo(20 / 1024, 10);
}, 60_000);

test('parallel fill is measured beside direct and beside one connection, from cold each time', async () => {
  const what = { id: 'p', title: '16 MiB', size: '16m', shape: FAR, rounds: 1, minObjectSize: '16MiB' };
  const { p, 'p-off': off } = await play(parallel(what));
  expectRatios(p!);
  expectRatios(off!);
  expect(p!.times_one_connection).toBeCloseTo(p!.gigabytes_per_second! / off!.gigabytes_per_second!, 10);
  expect(off!.origin_requests).toBe(1);
  expect(off!.origin_bodies).toBeCloseTo(1, 1);
  expect(p!.origin_bodies).toBeGreaterThan(0.99);
  // 8 MB/s on one connection, and 50 ms of credit.
  expect(off!.direct_gigabytes_per_second).toBeLessThan(0.009);
  expect(off!.gigabytes_per_second).toBeLessThan(0.009);
  expect(p!.direct_first_byte_p50_ms).toBeGreaterThan(29);
  if (onLinux) expect(p!.peak_memory_mib).toBeGreaterThan(30);
  expect(p!.most_budget_mib).toBeGreaterThanOrEqual(0);
}, 60_000);

test('a cold read from afar says what the proxy adds', async () => {
  const figures = (await play(wan({ size: '2m', title: '2 MiB', shape: FAR, rounds: 1 }))).wan!;
  expectRatios(figures);
  expect(figures.origin_requests).toBe(1);
  const { first_byte_p50_ms: through, direct_first_byte_p50_ms: direct, first_byte_added_ms: added } = figures;
  expect(direct).toBeGreaterThan(29);
  expect(added).toBeCloseTo(through! - direct!, 10);
}, 60_000);

test('a herd counts what the origin sent, in whole objects', async () => {
  const figures = (await play(herd({ clients: 10, size: '2m', title: '2 MiB', shape: FAR }))).herd!;
  expectRatios(figures);
  expect(figures.origin_bodies).toBeGreaterThan(0.99);
  expect(figures.origin_bodies).toBeLessThan(2);
  expect(figures.first_byte_p95_ms).toBeGreaterThanOrEqual(figures.first_byte_p50_ms!);
  expect(figures.p50_ms).toBeGreaterThanOrEqual(figures.first_byte_p50_ms!);
}, 60_000);

test('fast readers are measured alone and with slow ones beside, who get what they ask for', async () => {
  const who = { fast: 2, slow: 2, bytesPerSecond: 1e6, size: '4g', title: '4 GiB objects' };
  const rows = await play(slowReaders(who));
  const [alone, mixed, slow, all] = ['alone', 'mixed', 'slow', 'all'].map(name => rows[`readers-${name}`]!);
  for (const row of [alone, mixed, slow, all]) expectRatios(row!);
  expect(mixed!.times_alone).toBeCloseTo(mixed!.gigabytes_per_second! / alone!.gigabytes_per_second!, 10);
  expect(slow!.gigabytes_per_second).toBeLessThan(0.0025);
  expect(all!.gigabytes_per_second).toBeCloseTo(mixed!.gigabytes_per_second! + slow!.gigabytes_per_second!, 10);
  if (onLinux) expect(all!.peak_memory_mib).toBe(mixed!.peak_memory_mib);
  expect(all!.most_budget_mib).toBe(mixed!.most_budget_mib);
}, 60_000);

test('a huge object is read for a while beside small ones, with the memory that each took', async () => {
  const what = { size: '100g', title: '100 GiB object', smallSize: '1m', smallTitle: '1 MiB objects' };
  const { huge: large, 'huge-small': small } = await play(huge(what), 0.5);
  expectRatios(large!);
  expectRatios(small!);
  if (onLinux) expect(large!.times_small_memory).toBeCloseTo(large!.peak_memory_mib! / small!.peak_memory_mib!, 10);
}, 60_000);

test('small cold objects are asked for once each, near and far', async () => {
  const far = { id: 'far', title: 'far', connections: 2, shape: { latencyMs: 30 } };
  const rows = await play(coldSmall(20, [{ id: 'near', title: 'near', connections: 1, shape: {} }, far]));
  for (const { requests_per_second: is, direct_requests_per_second: was, times_direct } of Object.values(rows)) {
    expect(times_direct).toBeCloseTo(is! / was!, 10);
  }
  expect(rows.far!.first_byte_p50_ms).toBeGreaterThan(29);
  // 20 objects on 2 connections, 30 ms each.
  expect(rows.far!.requests_per_second).toBeLessThan(2 / 0.029);
}, 60_000);

test('the first byte of a hit is one that did not come from the origin', async () => {
  const rows = await play(firstByte, 0.5);
  expect(Object.keys(rows)).toEqual(['first-byte-1k', 'first-byte-64m']);
  for (const figures of Object.values(rows)) expect(figures.first_byte_p50_ms).toBeGreaterThan(0);
}, 90_000);

test('each scenario has a name of its own', () => {
  const names = SCENARIOS.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});
