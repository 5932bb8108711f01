import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { generatedBody } from '../origin/index.ts';
import { eventually, filesUnder, MIB } from '../read/helpers.ts';
import { newHome } from './served.ts';

// Each command is a process of its own.
vi.setConfig({ testTimeout: 60_000 });

describe('ls', () => {
  test('lists what is cached of a prefix, sorted, with how much of each object and when it was used', async () => {
    const { origin, serve, run, cacheDir } = await newHome();
    origin.put('data', 'b/whole', generatedBody(MIB, 1));
    origin.put('data', 'b/half', generatedBody(16 * MIB, 2));
    origin.put('data', 'b/\u001b[2Jevil', 'x');
    origin.put('data', 'a', 'hello');
    const { client } = await serve();
    for (const key of ['a', 'b/whole', 'b/%1B%5B2Jevil']) await client.send({ key });
    await client.send({ key: 'b/half', range: `bytes=0-${8 * MIB - 1}` });
    await eventually(async () => (await filesUnder(join(cacheDir, 'buckets'))).length === 6);

    const { code, out, err } = await run('ls', 's3://data/b/', '-c', 'c.yaml');
    const from = `  (${origin.address})`;
    expect(
      out
        .trimEnd()
        .split('\n')
        .map(text => text.replace(from, '')),
    ).toEqual([
      expect.stringMatching(/^[-\d]{10} \d\d:\d\d +100 % +1 B {2}s3:\/\/data\/b\/\\u\{1b\}\[2Jevil$/),
      expect.stringMatching(/^[-\d]{10} \d\d:\d\d +50 % +8\.0 MiB {2}s3:\/\/data\/b\/half$/),
      expect.stringMatching(/^[-\d]{10} \d\d:\d\d +100 % +1\.0 MiB {2}s3:\/\/data\/b\/whole$/),
    ]);
    expect(err).toMatch(/^3 objects, 9\.0 MiB of content, \d/);
    expect(code).toBe(0);

    const buckets = await run('ls', '-c', 'c.yaml');
    expect(buckets.out).toMatch(/^\S+ \S+ +4 +9\.0 MiB {2}s3:\/\/data {2}\(127\.0\.0\.1:\d+\)\n$/);
    const json = await run('ls', 's3://data/b/half', '--json', '-c', 'c.yaml');
    expect(json.err).toBe('');
    expect(JSON.parse(json.out)).toMatchObject({ key: 'b/half', cached: 8 * MIB, length: 16 * MIB });
  });

  test.each([
    [['ls', 'bucket/key'], /It must be s3:\/\/bucket or s3:\/\/bucket\/prefix/],
    [['ls', 's3://'], /It must be s3/],
    [['ls', 's3://../etc'], /It must be s3/],
    [['ls', 's3://a', 's3://b'], /too many arguments/],
  ])('%j is wrong usage', async (args, message) => {
    const { run } = await newHome();
    const { code, err } = await run(...args);
    expect(err).toMatch(message);
    expect(code).toBe(2);
  });
});

describe('the running proxy', () => {
  test('is told to be missing, with where it was looked for and what to do', async () => {
    const { run, home } = await newHome();
    for (const command of ['ls', 'status']) {
      const { code, out, err } = await run(command);
      expect({ code, out }).toEqual({ code: 1, out: '' });
      expect(err).toContain('no proxy of yours runs on this machine');
      expect(err).toContain(join(home, '.local/state/cistern/run'));
      expect(err).toContain('`cistern serve`');
    }
  });

  test('is the only one without more being said, else the one with the port or the folder', async () => {
    const { serve, run, home } = await newHome();
    const first = await serve();
    const status = async (...args: string[]) => {
      const { code, out, err } = await run('status', '--json', ...args);
      return code === 0 ? (JSON.parse(out) as { pid: number }).pid : err;
    };
    expect(await status()).toBe(first.running.process.pid);
    const second = await serve('--cache-dir', 'other');
    const other = await status();
    expect(other).toContain('no running proxy is the one that is meant; these run:');
    expect(other).toContain(`http://127.0.0.1:${first.port}, cache ${join(home, 'cache')}`);
    expect(other).toContain(`http://127.0.0.1:${second.port}, cache ${join(home, 'other')}`);
    expect(await status('--port', String(second.port))).toBe(second.running.process.pid);
    expect(await status('--cache-dir', 'other')).toBe(second.running.process.pid);
    expect(await status('-c', 'c.yaml')).toBe(first.running.process.pid);
    expect(await status('--port', '1')).toContain('Say which one by --port');
    first.running.process.kill('SIGKILL');
    await first.running.exit;
    expect(await status()).toBe(second.running.process.pid);
  });
});
