import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { generatedBody } from '../origin/index.ts';
import { eventually, filesUnder } from '../read/helpers.ts';
import { newHome } from './served.ts';

// Each command is a process of its own.
vi.setConfig({ testTimeout: 60_000 });

test('pin keeps a prefix, says what it may take, lists what is pinned, and is taken back by unpin', async () => {
  const { origin, serve, run, cacheDir } = await newHome('max_cache_size: 10MiB, pin_percent: 20');
  origin.put('data', 'keep/a', generatedBody(100_000, 1));
  origin.put('data', 'large', generatedBody(4_000_000, 2));
  const { client } = await serve();
  for (const key of ['keep/a', 'large']) await client.send({ key });
  await eventually(async () => (await filesUnder(join(cacheDir, 'buckets'))).length === 4);

  expect(await run('pin')).toMatchObject({ code: 0, out: '', err: 'Nothing is pinned.\n' });
  const pinned = await run('pin', 's3://data/keep/');
  expect(pinned).toMatchObject({ code: 0, err: '' });
  expect(pinned.out).toMatch(
    /^Pinned s3:\/\/data\/keep\/\. What is pinned takes 10\d KiB of the 2\.0 MiB that it may\.\n$/,
  );
  expect((await run('pin')).out).toBe(`s3://data/keep/  (${origin.address})\n`);
  expect((await run('ls', 's3://data')).out).toMatch(/keep\/a {2}\(127.*\) {2}pinned\n.*large {2}\(127[^ ]*\)\n$/);

  const refused = await run('pin', 's3://data/large');
  expect(refused).toMatchObject({ code: 1, out: '' });
  expect(refused.err).toContain('With it 3.9 MiB would be pinned; cache.pin_percent (20 %) allows 2.0 MiB.');
  expect(refused.err).toContain('Pin less, unpin something, or raise cache.pin_percent or cache.max_cache_size.');

  expect((await run('unpin', 's3://data/keep/')).out).toMatch(
    /^Unpinned s3:\/\/data\/keep\/\. What is pinned takes 0 B/,
  );
  expect(await run('unpin', 's3://data/keep/')).toMatchObject({ code: 1, err: expect.stringContaining('no such pin') });
});

test('a bucket of which nothing is cached is pinned where it lives: that is asked for, where it is not clear', async () => {
  const { origin, serve, run, cacheDir } = await newHome('max_cache_size: 10MiB');
  origin.put('data', 'keep/a', generatedBody(100_000, 1));
  const { client } = await serve();

  const unclear = await run('pin', 's3://data/keep/');
  expect(unclear).toMatchObject({ code: 1, out: '' });
  expect(unclear.err).toContain(
    `Nothing of data is cached yet; it may be of aws, or of ${origin.address}. Say it by --origin`,
  );
  const unknown = await run('pin', 's3://data/keep/', '--origin', 'minio.lab:9000');
  expect(unknown).toMatchObject({ code: 1, out: '' });
  expect(unknown.err).toContain(`from minio.lab:9000, which is none of aws, ${origin.address}.`);
  expect((await run('pin')).err).toBe('Nothing is pinned.\n');

  const inCapitals = origin.address.toUpperCase();
  expect(await run('pin', 's3://data/keep/', '--origin', inCapitals)).toMatchObject({ code: 0, err: '' });
  expect((await run('pin', '--origin', inCapitals)).out).toBe(`s3://data/keep/  (${origin.address})\n`);
  await client.send({ key: 'keep/a' });
  await eventually(async () => (await filesUnder(join(cacheDir, 'buckets'))).length === 3);
  expect((await run('ls', 's3://data')).out).toMatch(/keep\/a {2}\(127.*\) {2}pinned\n$/);
});
