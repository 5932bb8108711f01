import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { requireTool } from '../tools/look-up.ts';

/** What an operation on the folder meets; faulty_folder.py says what each field means. */
export interface Rule {
  readonly ops?: readonly string[];
  readonly delay?: number;
  readonly rate?: number;
  readonly after?: number;
  readonly error?: 'EIO' | 'ENOSPC' | 'EROFS' | 'ESTALE' | 'EDQUOT';
  readonly hang?: boolean;
}

export interface FaultyFolder extends AsyncDisposable {
  /** Where what passes through the layer is; a folder below it is what a cache is given. */
  readonly path: string;
  /** The same folder without the layer. */
  readonly backing: string;
  /** From now on operations meet these; without any, none. Those that hang go on. Resolves when it holds. */
  set(...rules: Rule[]): Promise<void>;
  /** Resolves when one of the rules that were set last has taken effect. */
  readonly met: Promise<void>;
  /** Nothing answers any more, until `thaw`: a server that is gone, as the kernel's NFS client sees it. A process that waits can be killed. */
  freeze(): void;
  thaw(): void;
  /** The volume goes away under its users, as a disk that is pulled out. */
  unmount(): Promise<void>;
}

/** Mounts a folder (once more, where it was mounted before) whose faults can be switched. Whatever state it is in, disposing of it ends it and lets go whoever waits. */
export async function mountFaulty(folder: string): Promise<FaultyFolder> {
  const backing = join(folder, 'backing');
  const path = join(folder, 'volume');
  for (const made of [backing, path]) mkdirSync(made, { recursive: true });
  const layer = spawn(requireTool('fuse'), [join(import.meta.dirname, 'faulty_folder.py'), backing, path], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, FUSE_LIBRARY_NAME: 'fuse3' },
  });
  const said = new Said(layer);
  await said.line('mounted');
  let rounds = 0;
  const unmount = async () => {
    layer.kill('SIGKILL');
    await said.ended;
    // The connection ended with the process; what is left is the entry in the table of mounts.
    execFileSync('umount', ['--lazy', path]);
  };
  let mounted = true;
  const unmountOnce = async () => {
    if (mounted) {
      mounted = false;
      await unmount();
    }
  };
  return {
    path,
    backing,
    async set(...rules) {
      layer.stdin.write(`${JSON.stringify(rules)}\n`);
      await said.line(`set ${++rounds}`);
    },
    get met() {
      return said.line(`met ${rounds}`);
    },
    freeze: () => void layer.kill('SIGSTOP'),
    thaw: () => void layer.kill('SIGCONT'),
    unmount: unmountOnce,
    [Symbol.asyncDispose]: unmountOnce,
  };
}

/** Lines a process has said, and ways to wait for one. */
class Said {
  readonly ended: Promise<void>;
  readonly #lines = new Set<string>();
  readonly #waiting = new Map<string, () => void>();

  constructor(process: ChildProcess) {
    this.ended = new Promise(resolve => process.once('exit', () => resolve()));
    createInterface({ input: process.stdout! }).on('line', line => {
      this.#lines.add(line);
      this.#waiting.get(line)?.();
    });
  }

  async line(wanted: string): Promise<void> {
    if (this.#lines.has(wanted)) return;
    await Promise.race([
      new Promise<void>(resolve => this.#waiting.set(wanted, resolve)),
      this.ended.then(() => {
        throw new Error(`the layer ended before it said: ${wanted}`);
      }),
    ]);
  }
}
