import { chmod, lstat, mkdir } from 'node:fs/promises';
import { posix, win32 } from 'node:path';
import type { Person } from '../settings/index.ts';

/** A path of a Unix domain socket must fit `sun_path`: 108 bytes on Linux, 104 on macOS and the BSDs, the last one a zero. */
const LONGEST_PATH = 103;
/** `/<pid>-<random>.sock` */
const NAME = 24;

/**
 * Folders in which the proxies of a person are found by their control sockets, the best first: a proxy takes the first that it
 * can use, and whoever looks for one looks in all, because a service and a login session have different environments.
 * @param uid of the person, where the system has such
 */
export function controlFolders({ home, platform, env }: Person, uid = process.getuid?.()): string[] {
  if (platform === 'win32')
    return [win32.join(env.LOCALAPPDATA ?? win32.join(home, 'AppData', 'Local'), 'Cistern', 'Run')];
  const absolute = (path: string | undefined) => (path?.startsWith('/') ? path : undefined);
  const session = absolute(env.XDG_RUNTIME_DIR);
  const state = absolute(env.XDG_STATE_HOME) ?? posix.join(home, '.local', 'state');
  const own =
    platform === 'darwin'
      ? posix.join(home, 'Library', 'Application Support', 'Cistern', 'Run')
      : posix.join(state, 'cistern', 'run');
  return [
    ...(session === undefined ? [] : [posix.join(session, 'cistern')]),
    own,
    // For homes with long names.
    ...(uid === undefined ? [] : [`/tmp/cistern-${uid}`]),
  ].filter(folder => Buffer.byteLength(folder) + NAME <= LONGEST_PATH);
}

/** Makes the folder where there is none. Rejects where it is not this person's alone. */
export async function makeControlFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (process.platform === 'win32') return;
  const { mode } = await ownFolder(folder);
  if ((mode & 0o077) !== 0) await chmod(folder, 0o700);
}

/** Rejects where it is not there, or somebody else's, who could have put anything there. */
export async function ownFolder(folder: string): Promise<{ readonly mode: number }> {
  const stats = await lstat(folder);
  const mine = process.getuid === undefined || stats.uid === process.getuid();
  if (!stats.isDirectory() || !mine) throw new Error(`${folder} is not a folder of this account`);
  return stats;
}
