import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { bar, Remaining } from '../../main/command/progress-bar.ts';
import { progressLine } from '../../main/command/verify.ts';
import { eventually, filesUnder } from '../read/helpers.ts';
import { newHome } from './served.ts';

// Each command is a process of its own.
vi.setConfig({ testTimeout: 60_000 });

describe('verify', () => {
  test('finds and repairs damage while the proxy serves', async () => {
    const { origin, serve, run, cacheDir } = await newHome();
    for (const key of ['a', 'b']) origin.put('data', key, key.repeat(500));
    const { client } = await serve();
    for (const key of ['a', 'b']) await client.send({ key });
    const heads = () => filesUnder(join(cacheDir, 'buckets'));
    await eventually(async () => (await heads()).length === 2);
    const well = await run('verify');
    // Two who made the same folder at once may both have counted it.
    expect(well.out.replace(/^The count .* was 4\.0 KiB too high.*\n/m, '')).toBe(
      'Verified 2 objects in 2 files, 8.0 KiB on the disk.\nAll is well.\n',
    );
    expect(well).toMatchObject({ code: 0, err: '' });
    const damaged = (await heads()).find(path => readFileSync(path, 'latin1').includes('data\\u0000a'))!;
    const content = readFileSync(damaged);
    writeFileSync(damaged, content.subarray(0, content.length - 1));
    const { code, out } = await run('verify', '--from-start');
    expect(out).toMatch(
      /^damaged: buckets\/data@\S+\.head \(s3:\/\/data\/a\): the body in it is damaged\nVerified 2 objects .*\nDamaged and removed: 1 file;/,
    );
    expect(code).toBe(0);
    expect((await client.send({ key: 'a' })).body.toString()).toBe('a'.repeat(500));
    await eventually(async () => (await heads()).length === 2);
    const json = (await run('verify', '--json')).out.trimEnd().split('\n');
    expect(json.map(line => JSON.parse(line).type)).toEqual(['progress', 'progress', 'end']);
  });

  test('stops at a signal, and goes on when it is asked again', async () => {
    const { origin, serve, start, run, cacheDir } = await newHome();
    origin.put('data', 'k', 'hello');
    const { client } = await serve();
    await client.send({ key: 'k' });
    await eventually(async () => (await filesUnder(join(cacheDir, 'buckets'))).length === 1);
    const [head] = await filesUnder(join(cacheDir, 'buckets'));
    // A disk that does not answer about one file.
    const fifo = join(dirname(head!), `${'0'.repeat(64)}.head`);
    execFileSync('mkfifo', [fifo]);
    const running = start('verify', '--json');
    await running.says(/"progress"/);
    running.process.kill('SIGINT');
    expect(await running.exit).toEqual({ code: 1, signal: null });
    expect(running.err).toContain('stopped. `cistern verify` goes on from here.');
    letGo(fifo);
    rmSync(fifo);
    await eventually(async () => (await run('verify')).out.includes('Verified 1 object in'));
  });
});

/** Whoever waits to read from it comes to its end; nobody may have come to it yet. */
function letGo(fifo: string): void {
  try {
    closeSync(openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw error;
  }
}

describe('the progress', () => {
  test('is a bar with what is done and, after a while, what is left', () => {
    let now = 0;
    const remaining = new Remaining(() => now);
    const GIB = 2 ** 30;
    const counts = { objects: 1234, files: 2000, damaged: 0, leftover: 0, unreadable: 0, unknown: 0 };
    const at = (done: number, more = {}) =>
      progressLine(
        { type: 'progress', stage: 'files', ...counts, disk_bytes: done * GIB, total: 8 * GIB, ...more },
        remaining,
      );
    expect(at(2)).toBe('[######------------------] 25 %  2.0 GiB of 8.0 GiB  1,234 objects');
    now = 60_000;
    expect(at(4, { damaged: 2 })).toBe(
      '[############------------] 50 %  4.0 GiB of 8.0 GiB  1,234 objects  2 damaged  2 min left',
    );
    expect(at(9)).toMatch(/^\[#{24}\] 99 %/);
    expect(at(1, { total: undefined })).toBe('1.0 GiB  1,234 objects');
    expect(at(1, { stage: 'accounting' })).toBe('counting what it takes on the disk…');
  });

  test('is never whole before the end', () => {
    expect(bar(1)).toContain('99 %');
    expect(bar(0)).toBe(`[${'-'.repeat(24)}]  0 %`);
    expect(bar(undefined)).toBe('');
  });
});
