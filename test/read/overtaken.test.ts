import { expect, it } from 'vitest';
import { digest } from '../origin/index.ts';
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

it('an upload that was overwritten with the same bytes since has the checksums of that for its first reader', async () => {
  const { origin, get, direct } = await startPlace();
  await get(UPLOAD);
  const sum = digest('sha256', [UPLOAD.body]).toString('base64');
  await direct.send({ ...UPLOAD, headers: ['Content-Type', 'text/csv', 'x-amz-checksum-sha256', sum] });
  Object.assign(origin.object('data', 'k')!, { lastModified: Math.ceil(Date.now() / 1000) * 1000 + 60_000 });
  const inMode = { headers: ['x-amz-checksum-mode', 'ENABLED'] };
  expect(comparable(await get(inMode))).toEqual(comparable(await direct.send(inMode)));
});
