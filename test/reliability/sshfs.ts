import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { eventually } from '../read/helpers.ts';
import { requireTool, sftpServer } from '../tools/look-up.ts';

/** What docs/shared-cache.md asks for where several machines write. */
export const AS_DOCUMENTED = ['dir_cache=no', 'attr_timeout=0', 'entry_timeout=0', 'negative_timeout=0'];

/**
 * Mounts a folder of this machine by sshfs, with a client and a server of its own: as another machine would. In place of a
 * connection, sshfs talks to the server's process: what is tried is how SFTP and its client behave, not SSH.
 */
export async function mountSshfs(served: string, path: string, options: readonly string[]): Promise<AsyncDisposable> {
  for (const folder of [served, path]) mkdirSync(folder, { recursive: true });
  const connection = join(dirname(path), 'connection.sh');
  writeFileSync(connection, `#!/bin/sh\nexec ${sftpServer()}\n`);
  chmodSync(connection, 0o755);
  const sshfs = spawn(
    requireTool('sshfs'),
    [`nowhere:${served}`, path, '-f', ...[`ssh_command=${connection}`, ...options].flatMap(option => ['-o', option])],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  sshfs.stderr.on('data', text => {
    said += text;
  });
  const exited = once(sshfs, 'exit');
  const above = statSync(dirname(path)).dev;
  try {
    await eventually(() => {
      if (sshfs.exitCode !== null) throw new Error(`sshfs ended: ${said}`);
      return statSync(path).dev !== above;
    }, 20_000);
  } catch (error) {
    sshfs.kill();
    throw error;
  }
  return {
    async [Symbol.asyncDispose]() {
      // It unmounts by itself; who still uses the folder gets errors.
      sshfs.kill('SIGTERM');
      await exited;
    },
  };
}
