import { expect, test } from 'vitest';
import { type LoadPlan, runLoad } from '../../bench/load.ts';
import { type Ask, objects } from '../../bench/objects.ts';
import { answer as ask } from '../../bench/origin.ts';
import { Pace, type Shape } from '../../bench/shape.ts';

async function read(shape: Shape, asks: readonly Ask[], also: Partial<LoadPlan> = {}) {
  const { port } = await ask({ shape });
  return runLoad({ port, host: 'bench', asks, connections: 1, check: true, ...also });
}

const rate = ({ bytes, seconds }: { bytes: number; seconds: number }) => bytes / seconds;

test('a way is free when what went before is through; of a pause, at most 50 ms can be made up for', () => {
  const pace = new Pace(1_000);
  expect([pace.reserve(100, 0), pace.reserve(100, 0), pace.reserve(10, 0)]).toEqual([-50, 50, 150]);
  expect(pace.reserve(10, 1_000)).toBe(950);
});

test('a connection is as fast as the shape says, and two are twice as fast', async () => {
  const one = await read({ perConnection: 10e6 }, objects('4m', 1));
  const two = await read({ perConnection: 10e6 }, objects('4m', 2), { connections: 2 });
  // What 50 ms of credit may add to 400 ms; a busy machine may take any time.
  expect(rate(one)).toBeLessThan(10e6 * 1.2);
  expect(rate(two)).toBeLessThan(20e6 * 1.2);
  expect(rate(two)).toBeGreaterThan(10e6 * 1.2);
});

test('a total is shared by all connections', async () => {
  const result = await read({ total: 10e6 }, objects('1m', 4), { connections: 4 });
  expect(rate(result)).toBeLessThan(10e6 * 1.2);
});

test('latency comes before each answer, and no shape is no limit', async () => {
  const far = await read({ latencyMs: 80 }, objects('1k', 3));
  expect(far.firstByte!.p50).toBeGreaterThanOrEqual(79);
  expect(far.seconds).toBeGreaterThanOrEqual(0.237);
  const near = await read({}, objects('16m', 4));
  expect(rate(near)).toBeGreaterThan(20e6);
});

test('a client that takes all at once does not keep others waiting', async () => {
  const { port } = await ask({ shape: {} });
  const plan = { port, host: 'bench', connections: 1 };
  const greedy = runLoad({ ...plan, asks: objects('100g', 1), seconds: 1 });
  const small = await runLoad({ ...plan, asks: objects('1k', 5) });
  expect(small.requests).toBe(5);
  expect(small.seconds).toBeLessThan((await greedy).seconds);
});
