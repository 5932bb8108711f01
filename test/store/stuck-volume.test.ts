import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { tempFolder } from './helpers.ts';

it('a thread that hangs on the volume costs a deadline, and does not keep the process from ending when told', async () => {
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', join(import.meta.dirname, 'stuck-process.ts'), tempFolder()],
    {
      env: { ...process.env, UV_THREADPOOL_SIZE: '64' },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  let said = '';
  child.stdout.setEncoding('utf8').on('data', text => {
    said += text;
  });
  const [, signal] = await once(child, 'close');
  expect(
    said
      .trim()
      .split('\n')
      .map(line => JSON.parse(line)),
  ).toEqual([
    { read: 'right', asked: 1 },
    { read: 'right', asked: 1 },
    // Asked whether it has changed (it had not), and then for the bytes that the disk didn't give.
    { read: 'right', asked: 3 },
    { name: true },
    { compressed: true },
    { stopping: true },
  ]);
  expect(signal).toBe('SIGKILL');
});
