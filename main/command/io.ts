import { homedir } from 'node:os';

/** What a command touches of the process it runs in. */
export interface Io {
  out(line: string): void;
  err(line: string): void;
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
  for (const stream of [process.stdout, process.stderr]) {
    // Who reads our lines may go away (`cistern serve | head`); that is no reason to stop serving.
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
  }
  return {
    out: line => process.stdout.write(`${line}\n`),
    err: line => process.stderr.write(`${line}\n`),
    env: process.env,
    platform: process.platform,
    home: homedir(),
    cwd: process.cwd(),
    onStopSignal: listener => {
      for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, listener);
    },
  };
}
