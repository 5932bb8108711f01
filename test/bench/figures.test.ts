import { expect, test } from 'vitest';
import { bytesBeside, fromOrigin, requestsBeside } from '../../bench/figures.ts';
import { highestDuring } from '../../bench/highest.ts';
import { inTurn } from '../../bench/scenarios/fresh.ts';
import type { Measured } from '../../bench/stage.ts';

const percentiles = (p50: number) => ({ p50, p95: p50 * 2, p99: p50 * 3 });
const measured = (also: Partial<Measured>): Measured => ({
  seconds: 2,
  requests: 100,
  bytes: 300e6,
  bytesSent: 10,
  firstByte: percentiles(5),
  whole: percentiles(7),
  originRequests: 3,
  originBytes: 150e6,
  ...also,
});

test('beside direct there are both results, their ratio, and what the first byte took longer', () => {
  const used = { proxyCpu: 0.6, proxyBytesRead: 0, proxyPeakMiB: 200, loadCpu: 1, otherCpu: 0.5 };
  const through = measured({ used, mostBudgetBytes: 2 ** 21 });
  const direct = measured({ seconds: 4, bytes: 200e6, requests: 400, firstByte: percentiles(4) });
  const same = {
    first_byte_p50_ms: 5,
    first_byte_p95_ms: 10,
    direct_first_byte_p50_ms: 4,
    direct_first_byte_p95_ms: 8,
    first_byte_added_ms: 1,
    peak_memory_mib: 200,
    most_budget_mib: 2,
    load_cpu_percent: 50,
    other_cpu_percent: 25,
  };
  expect(bytesBeside(through, direct)).toEqual({
    ...same,
    gigabytes_per_second: 0.15,
    direct_gigabytes_per_second: 0.05,
    times_direct: 0.15 / 0.05,
    cpu_s_per_gigabyte: 2,
  });
  expect(requestsBeside(through, direct)).toEqual({
    ...same,
    requests_per_second: 50,
    direct_requests_per_second: 100,
    times_direct: 0.5,
    cpu_us_per_request: 6_000,
  });
  const unbegun = Object.keys(bytesBeside(measured({ firstByte: undefined }), direct));
  expect(unbegun).toEqual(['gigabytes_per_second', 'direct_gigabytes_per_second', 'times_direct']);
  expect(fromOrigin(through, 100e6)).toEqual({ origin_requests: 3, origin_bodies: 1.5 });
});

test('ways are gone in turn, and the run in the middle counts', async () => {
  const order: string[] = [];
  const seconds = { a: [3, 1, 2], b: [4, 6, 5] };
  const way = (name: 'a' | 'b') => async () => {
    order.push(name);
    return measured({ seconds: seconds[name].shift()! });
  };
  const { a, b } = await inTurn(3, { a: way('a'), b: way('b') });
  expect([order.join(''), a.seconds, b.seconds]).toEqual(['ababab', 2, 5]);
});

test('the highest value until the end is kept, however it ends', async () => {
  const values = [3, 9, 4, 1];
  let end!: (error: Error) => void;
  const done = new Promise<never>((_, reject) => {
    end = reject;
  });
  const look = async () => {
    if (values.length === 1) end(new Error('over'));
    return values.shift()!;
  };
  expect(await highestDuring(look, done)).toBe(9);
  await expect(done).rejects.toThrow('over');
});
