import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';

const checkout = fileURLToPath(new URL('../../', import.meta.url));

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** `npm run bench -- …` without the build, which `npm test` has done. */
function bench(args: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<Ended> {
  return new Promise(resolve => {
    const command = ['--import', 'tsx', 'bench/run.ts', ...args];
    execFile(process.execPath, command, { cwd: checkout, env }, (error, out, err) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, out, err });
    });
  });
}

async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'cistern-bench-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

test('a scenario is measured, shown, kept as JSON, compared with an earlier run, and leaves nothing behind', async () => {
  const folder = await makeFolder();
  const [earlier, json, scratch] = [join(folder, 'earlier.json'), join(folder, 'now.json'), await makeFolder()];
  const conditions = { date: '2026-01-01', node: 'v1.2.3' };
  const rows = [{ id: 'warm-1k', title: 'as it was', figures: { requests_per_second: 1 } }];
  await writeFile(earlier, JSON.stringify({ conditions, rows }));

  const args = ['--only', 'warm-1k', '--secs', '1', '--json', json, '--compare', earlier, '--profile', folder];
  const { code, out, err } = await bench(args, { ...process.env, TMPDIR: scratch });

  expect(err).not.toMatch(/bench:/);
  expect(code).toBe(0);
  expect(out).toMatch(/^warm 1 KiB, 32 connections +[\d.]+ k req\/s +[\d.]+ ms +[\d.]+ ms +[\d.]+ ms/m);
  expect(out).toMatch(/Change since 2026-01-01:\s+result\s+warm 1 KiB, 32 connections +\+\d+\.\d %$/m);
  expect(out).toContain('Not the same then: node was v1.2.3.');

  const { figures } = JSON.parse(await readFile(json, 'utf8')).rows[0];
  const expected = ['requests_per_second', 'first_byte_p50_ms', 'p50_ms', 'p99_ms'];
  if (process.platform === 'linux') expected.push('cpu_us_per_request', 'peak_memory_mib', 'load_cpu_percent');
  for (const name of expected) expect(figures[name], name).toBeGreaterThan(0);
  const profile = JSON.parse(await readFile(join(folder, 'warm-1k.cpuprofile'), 'utf8'));
  expect(profile.samples.length).toBeGreaterThan(0);
  expect((await readdir(scratch)).filter(name => name.startsWith('cistern-'))).toEqual([]);
}, 90_000);

test('a scenario that does not exist is refused with the names of those that do', async () => {
  const { code, err } = await bench(['--only', 'warm-1k,lukewarm']);
  expect(code).toBe(1);
  expect(err).toMatch(/There is no lukewarm\. Known: warm-1k, .*cold, start/);
});
