import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

/** What V8 keeps of its own, and cells that are read from still while others take their place: the tier's limit is kept but for this. */
const BOUND = 4 << 20;

it('the RAM tier costs no more memory than its limit, whatever sizes come one after the other, and whoever still reads from it', async () => {
  const script = join(import.meta.dirname, 'ram-churn.ts');
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', '--import', 'tsx', script]);
  const costs = stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as { algorithm: string; limit: number; counted: number; real: number });
  expect(costs.map(({ algorithm }) => algorithm)).toEqual(['tinylfu', 'lru', 's3fifo']);
  for (const { algorithm, limit, counted, real } of costs) {
    expect(counted, algorithm).toBeLessThanOrEqual(limit + BOUND);
    expect(real, algorithm).toBeLessThanOrEqual(limit + BOUND);
    // And it is made use of.
    expect(counted, algorithm).toBeGreaterThan(limit * 0.75);
  }
}, 120_000);
