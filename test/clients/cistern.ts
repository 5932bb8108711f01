import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { stringify } from 'yaml';

export interface RunningCistern {
  /** `http://127.0.0.1:port`, as it goes into HTTP_PROXY */
  readonly url: string;
  readonly pid: number;
  /** What it has written to stdout and stderr. */
  said(): string;
  /** Ends it by SIGTERM, or as told; answers its exit code */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

export interface Start {
  /** A command that ends in starting what follows it as itself: with other limits, as another user. */
  readonly through?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export const COMMAND = join(import.meta.dirname, '..', '..', 'main', 'command', 'cistern.cjs');

/** Starts `cistern serve -c FILE` as a process of its own, the way people do, and waits until it says where it listens. */
export async function startCistern(
  folder: string,
  settings: Readonly<Record<string, object>>,
  { through = [], env = {} }: Start = {},
): Promise<RunningCistern> {
  const file = join(folder, 'cistern.yaml');
  const quiet = { access_log_dir: join(folder, 'logs', 'access'), app_log_dir: join(folder, 'logs', 'app') };
  const whole = {
    server: { proxy_port: 0 },
    health: { enabled: false },
    metrics: { enabled: false },
    dashboard: { enabled: false },
    logging: quiet,
    ...settings,
    cache: { cache_dir: join(folder, 'cache'), ...settings.cache },
  };
  await writeFile(file, stringify(whole));
  const [command, ...args] = [...through, process.execPath, COMMAND, 'serve', '-c', file];
  const child = spawn(command!, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, HOME: folder, ...env },
  });
  const said: string[] = [];
  child.stderr.on('data', chunk => said.push(String(chunk)));
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  const url = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', line => {
      said.push(`${line}\n`);
      const listens = /listens on (http:\/\/\S+)/.exec(line);
      if (listens) resolve(listens[1]!);
    });
    exited.then(code => reject(new Error(`cistern serve ended with ${code}:\n${said.join('')}`)));
  });
  return {
    url,
    pid: child.pid!,
    said: () => said.join(''),
    stop: (signal = 'SIGTERM') => {
      child.kill(signal);
      return exited;
    },
  };
}
