import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { startOrigin, type TestOrigin } from '../origin/index.ts';
import { Client } from '../read/helpers.ts';
import { Running } from './running.ts';

export interface Finished {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A home with a settings file, an origin, and the command run in there. */
export interface Home {
  readonly home: string;
  readonly origin: TestOrigin;
  readonly cacheDir: string;
  start(...args: string[]): Running;
  run(...args: string[]): Promise<Finished>;
  /** `cistern serve` with the settings file and these flags; resolves when it serves. */
  serve(...args: string[]): Promise<{ readonly running: Running; readonly port: number; readonly client: Client }>;
}

export async function newHome(cache = ''): Promise<Home> {
  const home = await mkdtemp(join(tmpdir(), 'cistern-home-'));
  const origin = await startOrigin();
  const ends: (() => unknown)[] = [];
  onTestFinished(async () => {
    for (const end of ends) await end();
    await origin.stop();
    await rm(home, { recursive: true, force: true });
  });
  await writeFile(
    join(home, 'c.yaml'),
    `server: { proxy_port: 0 }
cache: { cache_dir: ./cache, min_free_space: 0%${cache && `, ${cache}`} }
connection_pool: { upstream_overrides: { "${origin.address}": { scheme: http } } }
logging: { access_log_enabled: false, app_log_dir: ./logs }
health: { enabled: false }
metrics: { enabled: false }
dashboard: { enabled: false }
`,
  );
  const start = (...args: string[]) => {
    const running = new Running(args, home);
    ends.push(() => {
      running.process.kill('SIGKILL');
      return running.exit;
    });
    return running;
  };
  return {
    home,
    origin,
    cacheDir: join(home, 'cache'),
    start,
    async run(...args) {
      const running = start(...args);
      const { code } = await running.exit;
      return { code, out: running.out, err: running.err };
    },
    async serve(...args) {
      const running = start('serve', '-c', 'c.yaml', ...args);
      const port = Number((await running.says(/listens on http:\/\/127\.0\.0\.1:(\d+)/))[1]);
      await running.says(/then, for example/);
      const client = new Client(origin, port);
      ends.push(() => client.close());
      return { running, port, client };
    },
  };
}
