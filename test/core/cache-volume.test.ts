import { expect, it } from 'vitest';
import { eventually, startPlace } from '../read/helpers.ts';
import { harm } from '../store/harm.ts';

it('a cache volume that hangs at the start holds up neither the start nor a read, is told, and is used when it answers', async () => {
  const { mend } = harm(['open', 'stat', 'mkdir', 'writeFile', 'readFile', 'statfs']);
  const began = performance.now();
  const place = await startPlace({ cache: { get_ttl: 3_600_000, disk_timeout: 300 } });
  expect(performance.now() - began).toBeLessThan(3000);
  const body = Buffer.from('through all the same');
  place.origin.put('data', 'k', body);
  const answer = await place.get();
  expect(answer.body.equals(body)).toBe(true);
  expect(place.core.status().problems.join()).toMatch(/cache volume did not answer in time/);
  mend();
  await eventually(() => place.core.status().problems.every(problem => !/at the moment/.test(problem)));
  await eventually(async () => (await place.count(() => place.get())).requests === 0);
});
