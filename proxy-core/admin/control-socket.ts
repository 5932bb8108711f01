import { randomBytes } from 'node:crypto';
import { chmod, lstat, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { join } from 'node:path';
import { makeControlFolder, ownFolder } from './control-folder.ts';

/** A socket younger than this may be about to listen, ms. */
const YOUNG = 10_000;
const KNOCK = 1000;

/** Where a server listens for the control interface. */
export interface ControlSocket {
  /** The file by which it is found. */
  readonly file: string;
  /** Takes the file away. */
  remove(): Promise<void>;
}

/**
 * Lets `server` listen in a folder of this person's alone: on a Unix domain socket, mode 0600, or on Windows on a named pipe
 * whose name nobody can guess and which a file there tells. What dead processes have left there is removed.
 */
export async function listenIn(folder: string, server: Server): Promise<ControlSocket> {
  await makeControlFolder(folder);
  await sweep(folder);
  const name = `${process.pid}-${randomBytes(4).toString('hex')}`;
  if (process.platform !== 'win32') {
    const file = join(folder, `${name}.sock`);
    await listen(server, file);
    await chmod(file, 0o600);
    return { file, remove: () => rm(file, { force: true }) };
  }
  const pipe = `\\\\.\\pipe\\cistern-${name}-${randomBytes(16).toString('hex')}`;
  const file = join(folder, `${name}.pipe`);
  await listen(server, pipe);
  await writeFile(file, pipe, { mode: 0o600 });
  return { file, remove: () => rm(file, { force: true }) };
}

/** Addresses in a folder on which proxies may listen; none where it isn't there. Rejects where it is not this person's. */
export async function socketsIn(folder: string): Promise<{ readonly file: string; readonly address: string }[]> {
  try {
    await ownFolder(folder);
    const files = (await readdir(folder)).sort().map(name => join(folder, name));
    const pipes = files.filter(file => file.endsWith('.pipe'));
    return [
      ...files.filter(file => file.endsWith('.sock')).map(file => ({ file, address: file })),
      ...(await Promise.all(pipes.map(async file => ({ file, address: await readFile(file, 'utf8') })))),
    ];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path, readableAll: false, writableAll: false }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** A process that was killed leaves its socket behind, which then refuses. */
async function sweep(folder: string): Promise<void> {
  for (const { file, address } of await socketsIn(folder)) {
    const { mtimeMs } = await lstat(file).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }));
    if (Date.now() - mtimeMs > YOUNG && (await isDead(address))) await rm(file, { force: true });
  }
}

function isDead(address: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ path: address, timeout: KNOCK });
    const is = (dead: boolean) => {
      socket.destroy();
      resolve(dead);
    };
    socket
      .once('connect', () => is(false))
      .once('timeout', () => is(false))
      .once('error', ({ code }: NodeJS.ErrnoException) => is(code === 'ECONNREFUSED' || code === 'ENOENT'));
  });
}
