import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

export const checkout = fileURLToPath(new URL('../../', import.meta.url));
const launcher = `${checkout}main/command/cistern.cjs`;

/** A `cistern` command that runs as a process of its own, as a person starts it. */
export class Running {
  readonly process: ChildProcess;
  out = '';
  err = '';
  readonly exit: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  readonly #waiting = new Set<() => void>();

  constructor(args: readonly string[], home: string, env: Readonly<Record<string, string>> = {}, script = launcher) {
    this.process = spawn(process.execPath, [script, ...args], {
      cwd: home,
      env: { PATH: process.env.PATH, HOME: home, SHELL: '/bin/sh', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.process.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.out += text;
      this.#wake();
    });
    this.process.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.err += text;
      this.#wake();
    });
    this.exit = once(this.process, 'close').then(([code, signal]) => {
      this.#wake();
      return { code, signal };
    });
  }

  /** Resolves with the match once the output has it; rejects when the process ends without it. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.out) ?? pattern.exec(this.err);
      if (match) return match;
      if (this.process.exitCode !== null || this.process.signalCode !== null) {
        throw new Error(`ended without ${pattern}:\n${this.out}\n${this.err}`);
      }
      await new Promise<void>(resolve => this.#waiting.add(resolve));
    }
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
