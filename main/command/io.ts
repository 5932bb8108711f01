import { homedir } from 'node:os';

/** What a command touches of the process it runs in. */
export interface Io {
  out(line: string): void;
  err(line: string): void;
  /** Shows a line in place of the one before, for as long as something goes on; only on a terminal. Without one, takes it away. */
  show(line?: string): void;
  /** Resolves when what was put out has been taken; false when nobody reads it any more. */
  taken(): Promise<boolean>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform: NodeJS.Platform;
  readonly home: string;
  readonly cwd: string;
  /** Calls back at each signal that asks the process to stop, which from then on doesn't end it by itself. */
  onStopSignal(listener: () => void): void;
}

/** Exit codes of every command. */
export const OK = 0;
export const FAILED = 1;
export const USAGE = 2;

export function processIo(): Io {
  let readerGone = false;
  for (const stream of [process.stdout, process.stderr]) {
    // Who reads our lines may go away (`cistern serve | head`); that is no reason to stop serving.
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      if (stream === process.stdout) readerGone = true;
    });
  }
  let shown = false;
  const show = (line?: string) => {
    if (!process.stderr.isTTY || (line === undefined && !shown)) return;
    shown = line !== undefined;
    process.stderr.write(`\r\x1b[2K${(line ?? '').slice(0, process.stderr.columns - 1)}`);
  };
  return {
    out: line => {
      show();
      process.stdout.write(`${line}\n`);
    },
    err: line => {
      show();
      process.stderr.write(`${line}\n`);
    },
    show,
    taken: async () => {
      while (process.stdout.writableNeedDrain && !readerGone) await new Promise(resolve => setTimeout(resolve, 10));
      return !readerGone;
    },
    env: process.env,
    platform: process.platform,
    home: homedir(),
    cwd: process.cwd(),
    onStopSignal: listener => {
      for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, listener);
    },
  };
}
