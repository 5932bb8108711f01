import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { eventually, filesUnder } from '../read/helpers.ts';
import { newHome } from './served.ts';

// Each command is a process of its own.
vi.setConfig({ testTimeout: 60_000 });

test('purge counts, then removes what is cached of a prefix, while the proxy serves', async () => {
  const { origin, serve, run, cacheDir } = await newHome();
  for (const key of ['old/a', 'old/b', 'new']) origin.put('data', key, key);
  const { client } = await serve();
  for (const key of ['old/a', 'old/b', 'new']) await client.send({ key });
  const cached = async () => (await filesUnder(join(cacheDir, 'buckets'))).length;
  await eventually(async () => (await cached()) === 3);

  expect(await run('purge', 's3://data/old/', '--dry-run')).toEqual({
    code: 0,
    out: 'Would remove 2 objects, 8.0 KiB on the disk, of s3://data/old/\n',
    err: '',
  });
  expect(await cached()).toBe(3);
  expect(await run('purge', 's3://data/old/')).toEqual({
    code: 0,
    out: 'Removed 2 objects, 8.0 KiB on the disk, of s3://data/old/\n',
    err: '',
  });
  expect(await cached()).toBe(1);
  expect((await client.send({ key: 'old/a' })).header('x-cache')).toBe('MISS');
  expect((await client.send({ key: 'new' })).header('x-cache')).toBe('HIT');
  const json = await run('purge', 's3://data', '--origin', 'aws', '--json');
  expect(JSON.parse(json.out)).toMatchObject({ type: 'end', objects: 0 });
  expect(await run('purge')).toMatchObject({
    code: 2,
    err: expect.stringContaining("missing required argument 'target'"),
  });
});
