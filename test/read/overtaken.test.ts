import { expect, it } from 'vitest';
import { comparable, startPlace } from './helpers.ts';

/** A write of which something is left to S3: it says no Content-Type. */
const UPLOAD = { method: 'PUT', body: Buffer.from('uploaded'), headers: ['x-amz-meta-colour', 'red'] };

it.each([
  ['is deleted', { method: 'DELETE' }],
  ['is written again with other headers', { ...UPLOAD, headers: ['Content-Type', 'text/csv'] }],
])('an upload that %s while its first reader asks about it has all headers of one writing', async (_, write) => {
  const { origin, get, direct } = await startPlace();
  await get(UPLOAD);
  const first = comparable(await direct.send());
  let answer = () => {};
  const held = new Promise<void>(resolve => {
    answer = resolve;
  });
  const question = origin.faults.on({ method: 'GET', times: 1 }, { beforeHeaders: held });
  const reading = get();
  await question.struck;
  expect((await get(write)).status).toBeLessThan(300);
  const then = comparable(await direct.send());
  answer();
  expect([first, then]).toContainEqual(comparable(await reading));
  expect(comparable(await get())).toEqual(then);
});
