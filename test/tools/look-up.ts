import { execFileSync } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

/** Programs that some tests drive. `npm test` must pass without them; `.ci/run` installs all and forbids skips. */
export type Tool =
  | 'aws'
  | 'boto3'
  | 'rclone'
  | 'curl'
  | 'lz4'
  | 'zip'
  | 'chromium'
  | 'Xvfb'
  | 'Electron'
  | 'fuse'
  | 'sshfs'
  | 'accounts';

export type Found = { readonly path: string } | { readonly missing: string };

const found = new Map<Tool, Found>();

/** Where the tool is; throws with what was looked for when it isn't there. For boto3 and fuse, the Python that has it. */
export function requireTool(tool: Tool): string {
  const result = lookUp(tool);
  if ('missing' in result) throw new Error(`${tool} is needed: ${result.missing}`);
  return result.path;
}

/** Whether folders can be mounted here, for what is not a test. */
export function canMount(): boolean {
  return 'path' in lookUp('fuse');
}

export function lookUp(tool: Tool): Found {
  let result = found.get(tool);
  if (!result) {
    result = LOOK_UPS[tool]();
    found.set(tool, result);
  }
  return result;
}

const LOOK_UPS: Record<Tool, () => Found> = {
  aws: () => inPath('aws'),
  boto3: pythonWithBoto3,
  rclone: () => inPath('rclone'),
  curl: () => inPath('curl'),
  lz4: () => inPath('lz4'),
  zip: () => inPath('zip'),
  chromium: () => inPath('chromium', 'chromium-browser', 'google-chrome'),
  Xvfb: () => inPath('Xvfb'),
  Electron: electron,
  fuse: pythonThatMounts,
  sshfs: sshfsThatMounts,
  accounts,
};

function inPath(...names: readonly string[]): Found {
  const folders = (process.env.PATH ?? '').split(delimiter).filter(folder => folder !== '');
  for (const name of names) {
    for (const folder of folders) {
      const path = join(folder, process.platform === 'win32' ? `${name}.exe` : name);
      if (isExecutable(path)) return { path };
    }
  }
  return { missing: `${names.join(' or ')} is not in PATH` };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function pythonWithBoto3(): Found {
  const python = inPath('python3', 'python');
  if ('missing' in python) return python;
  try {
    execFileSync(python.path, ['-c', 'import boto3'], { stdio: 'ignore' });
    return python;
  } catch {
    return { missing: `${python.path} can't import boto3` };
  }
}

/** FUSE is there when a mount works: the device, libfuse 3, its Python binding, and the right to mount. */
function pythonThatMounts(): Found {
  const python = inPath('python3', 'python');
  if ('missing' in python) return python;
  const folder = mkdtempSync(join(tmpdir(), 'cistern-mount-'));
  try {
    execFileSync(python.path, ['-c', MOUNT_AND_END, folder], {
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: 10_000,
      env: { ...process.env, FUSE_LIBRARY_NAME: 'fuse3' },
    });
    return python;
  } catch (error) {
    const said = String((error as { stderr?: Buffer }).stderr ?? error)
      .trim()
      .split('\n');
    return {
      missing: `${python.path} can't mount a folder (${said.find(line => line.startsWith('fuse')) ?? said.at(-1)})`,
    };
  } finally {
    rmdirSync(folder);
  }
}

const MOUNT_AND_END = `
import mfusepy, sys
class Nothing(mfusepy.Operations):
    use_ns = True
    def init(self, path):
        mfusepy.fuse_exit()
mfusepy.FUSE(Nothing(), sys.argv[1], foreground=True, nothreads=True)
`;

/** sshfs is there when a mount by it works; it talks to the server side of SFTP without a connection between. */
function sshfsThatMounts(): Found {
  const [sshfs, fusermount] = [inPath('sshfs'), inPath('fusermount3', 'fusermount')];
  if ('missing' in sshfs) return sshfs;
  if ('missing' in fusermount) return fusermount;
  const server = sftpServer();
  if (server === undefined) return { missing: `sftp-server is none of ${SFTP_SERVERS.join(', ')}` };
  const folder = mkdtempSync(join(tmpdir(), 'cistern-mount-'));
  const [connection, point] = [join(folder, 'connection.sh'), join(folder, 'point')];
  try {
    mkdirSync(point);
    writeFileSync(connection, `#!/bin/sh\nexec ${server}\n`, { mode: 0o755 });
    const mount = [`nowhere:${folder}`, point, '-o', `ssh_command=${connection}`];
    execFileSync(sshfs.path, mount, { stdio: ['ignore', 'ignore', 'pipe'], timeout: 10_000 });
    execFileSync(fusermount.path, ['-u', point], { stdio: ['ignore', 'ignore', 'pipe'], timeout: 10_000 });
    return sshfs;
  } catch (error) {
    return { missing: `sshfs can't mount a folder (${String((error as { stderr?: Buffer }).stderr ?? error).trim()})` };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const SFTP_SERVERS = ['/usr/lib/openssh/sftp-server', '/usr/libexec/openssh/sftp-server', '/usr/lib/ssh/sftp-server'];

/** OpenSSH's server side of SFTP. */
export function sftpServer(): string | undefined {
  return SFTP_SERVERS.find(isExecutable);
}

/** A command that starts another one as any account in any groups; and Node and this checkout, which such accounts can read. */
function accounts(): Found {
  const setpriv = inPath('setpriv');
  if ('missing' in setpriv) return setpriv;
  try {
    execFileSync(
      setpriv.path,
      ['--reuid=65001', '--regid=65001', '--groups=65000', process.execPath, '-e', TOUCH_ALL, import.meta.filename],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
        cwd: '/',
      },
    );
    return setpriv;
  } catch (error) {
    const said = String((error as { stderr?: Buffer }).stderr ?? error).trim();
    return {
      missing: `processes of other accounts that can use this checkout (${said.split('\n').find(line => line !== '')})`,
    };
  }
}

const TOUCH_ALL = 'require("node:fs").readFileSync(process.argv[1])';

/** The electron package's own binary, else the one that scripts/fetch-electron.mjs keeps. */
function electron(): Found {
  const folder = join(dirname(import.meta.dirname), '..', 'node_modules', 'electron');
  const named = join(folder, 'path.txt');
  if (existsSync(named)) {
    const path = join(folder, 'dist', readFileSync(named, 'utf8').trim());
    if (isExecutable(path)) return { path };
  }
  const path = fetchedElectron();
  if (path !== undefined && isExecutable(path)) return { path };
  return { missing: 'neither the electron package nor scripts/fetch-electron.mjs has brought one' };
}

const { fetchedElectron } = (await import(new URL('../../scripts/fetch-electron.mjs', import.meta.url).href)) as {
  fetchedElectron(): string | undefined;
};
