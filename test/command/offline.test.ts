import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { eventually, filesUnder } from '../read/helpers.ts';
import { newHome } from './served.ts';

// Each command is a process of its own.
vi.setConfig({ testTimeout: 60_000 });

test('--offline works on a folder without a proxy, or beside one, and leaves nothing of itself behind', async () => {
  const { origin, serve, run, cacheDir, home } = await newHome();
  for (const key of ['a', 'b']) origin.put('data', key, key);
  const { client, running } = await serve();
  for (const key of ['a', 'b']) await client.send({ key });
  await eventually(async () => (await filesUnder(join(cacheDir, 'buckets'))).length === 2);

  // The proxy sees what another process on its folder has removed.
  expect(await run('purge', 's3://data/a', '--offline', 'cache')).toMatchObject({
    code: 0,
    out: expect.stringContaining('Removed 1 object'),
  });
  await eventually(async () => (await client.send({ key: 'a' })).header('x-cache') === 'MISS');
  await eventually(async () => (await filesUnder(join(cacheDir, 'buckets'))).length === 2);
  running.process.kill('SIGKILL');
  await running.exit;

  expect((await run('ls', 's3://data/b', '--offline', cacheDir)).out).toMatch(/100 % +1 B {2}s3:\/\/data\/b/);
  expect((await run('verify', '--offline', 'cache')).out).toMatch(/^Verified 2 objects in 2 files/);
  const left = (await filesUnder(cacheDir)).filter(path => !path.startsWith(join(cacheDir, 'buckets')));
  const killed = (path: string) => path.includes(`/${running.process.pid}-`);
  // By how much they made the cache smaller, for those that keep account of it.
  const told = (path: string) => path.startsWith(join(cacheDir, 'ended'));
  expect(left.filter(path => !killed(path) && !told(path))).toEqual([join(cacheDir, 'cistern.json')]);

  await mkdir(join(home, 'empty'));
  expect(await run('ls', '--offline', 'empty')).toEqual({
    code: 1,
    out: '',
    err: `cistern: ${join(home, 'empty')} is no cache folder of Cistern: there is no cistern.json in it.\n`,
  });
  expect(await filesUnder(join(home, 'empty'))).toEqual([]);
});

test('--offline comes to its end also where it rests in between, as there is much to look at', async () => {
  const { origin, serve, run, cacheDir } = await newHome();
  const keys = Array.from({ length: 60 }, (_, i) => `k${i}`);
  for (const key of keys) origin.put('data', key, key);
  const { client, running } = await serve();
  for (const key of keys) await client.send({ key });
  await eventually(async () => (await filesUnder(join(cacheDir, 'buckets'))).length === keys.length);
  running.process.kill('SIGKILL');
  await running.exit;

  const { code, out, err } = await run('verify', '--offline', 'cache');
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toMatch(/^Verified 60 objects in 60 files, .*All is well\.\n$/s);
});
