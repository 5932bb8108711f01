import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

// Runs vitest itself on a file that needs a tool which isn't there: what people and CI see of it is the point.
const root = join(import.meta.dirname, '..', '..');
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(root, 'test', 'tools', 'case-'));
  await writeFile(
    join(folder, 'needs.test.ts'),
    `import { it } from 'vitest';\nimport { describeWith } from '../index.ts';\ndescribeWith('rclone', 'needs a tool', () => { it('uses it', () => {}); });\n`,
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function runVitest(forbid: string): Promise<{ code: number; out: string }> {
  const env = { ...process.env, PATH: folder, CISTERN_FORBID_SKIPS: forbid, NO_COLOR: '1' };
  const args = [
    join(root, 'node_modules', 'vitest', 'vitest.mjs'),
    'run',
    '--reporter=verbose',
    join(folder, 'needs.test.ts'),
  ];
  return new Promise(resolve => {
    execFile(process.execPath, args, { cwd: root, env }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, out: stdout + stderr });
    });
  });
}

describe('tests that need a missing tool', () => {
  it('are skipped, naming the tool and why', async () => {
    const { code, out } = await runVitest('0');
    expect(out).toContain('needs a tool [skipped, no rclone: rclone is not in PATH]');
    expect(code).toBe(0);
  });

  it('fail where skips are forbidden', async () => {
    const { code, out } = await runVitest('1');
    expect(out).toContain('Nothing may be skipped here, and there is no rclone: rclone is not in PATH');
    expect(code).toBe(1);
  });
});
