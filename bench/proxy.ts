import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { onCore } from './machine.ts';

const launcher = fileURLToPath(new URL('../main/command/cistern.cjs', import.meta.url));
/** A stop that takes longer is an error of the proxy's. */
const STOP_MS = 20_000;

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export interface ProxyOptions {
  /** For cache, settings and home; kept when the proxy has stopped. */
  readonly folder: string;
  readonly originPort: number;
  /** Memory for content. */
  readonly ramMiB: number;
  readonly core: number | undefined;
  /** Where a CPU profile is written to when it stops. */
  readonly profile?: string | undefined;
  /** Of the group `cache`, what is not as usual. */
  readonly cache?: Readonly<Record<string, unknown>>;
}

/** The `cistern` command in a process of its own, as a person starts it. */
export class ProxyProcess {
  /** From the start of the process until `GET /health` has answered 200. */
  readonly readyMs: number;
  readonly port: number;
  readonly #process: ChildProcess;
  readonly #metrics: string;

  private constructor(child: ChildProcess, greeting: string, readyMs: number) {
    this.#process = child;
    this.port = Number(/listens on http:\/\/\S+:(\d+)$/m.exec(greeting)?.[1]);
    this.#metrics = addressIn(greeting, 'metrics');
    this.readyMs = readyMs;
  }

  static async start(options: ProxyOptions): Promise<ProxyProcess> {
    const [command, ...args] = await commandOf(options);
    const env: NodeJS.ProcessEnv = { ...process.env, HOME: options.folder };
    for (const name of Object.keys(env)) if (/^(CISTERN|XDG)_/i.test(name)) delete env[name];

    const startedAt = performance.now();
    const child = spawn(command!, args, { cwd: options.folder, env, stdio: ['ignore', 'pipe', 'inherit'] });
    running.add(child);
    child.once('exit', () => running.delete(child));
    try {
      const greeting = await greetingOf(child);
      const health = addressIn(greeting, 'health');
      const { status } = await fetch(health);
      if (status !== 200) throw new Error(`${health} answers ${status}`);
      return new ProxyProcess(child, greeting, performance.now() - startedAt);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** What it holds of `cache.memory_budget` now. */
  async budgetBytes(): Promise<number> {
    const name = 'cistern_buffer_bytes';
    const value = new RegExp(`^${name} (\\d+)$`, 'm').exec(await (await fetch(this.#metrics)).text())?.[1];
    if (value === undefined) throw new Error(`${this.#metrics} doesn't tell ${name}`);
    return Number(value);
  }

  async stop(): Promise<void> {
    const child = this.#process;
    const gone = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await gone;
    clearTimeout(late);
    if (child.exitCode !== 0) throw new Error(`the proxy ended with ${child.exitCode ?? child.signalCode}`);
  }
}

/** Settings as they are by default, but for what keeps runs apart and what the comparison with other proxies sets. */
async function commandOf({
  folder,
  originPort,
  ramMiB,
  core,
  profile,
  cache,
}: ProxyOptions): Promise<readonly string[]> {
  const settings = {
    server: { proxy_port: 0 },
    cache: {
      cache_dir: join(folder, 'cache'),
      max_cache_size: '20GiB',
      max_ram_cache_size: `${ramMiB}MiB`,
      get_ttl: '1d',
      head_ttl: '1d',
      ...cache,
    },
    connection_pool: { upstream_overrides: { [`127.0.0.1:${originPort}`]: { scheme: 'http' } } },
    logging: { access_log_enabled: false, log_level: 'warn', app_log_dir: join(folder, 'log') },
    health: { port: 0 },
    metrics: { port: 0 },
    dashboard: { enabled: false },
  };
  await mkdir(folder, { recursive: true });
  const file = join(folder, 'cistern.yaml');
  await writeFile(file, stringify(settings));
  const profiling = profile
    ? ['--cpu-prof', `--cpu-prof-dir=${dirname(profile)}`, `--cpu-prof-name=${basename(profile)}`]
    : [];
  return onCore(core, [process.execPath, ...profiling, launcher, 'serve', '-c', file]);
}

/** What it prints up to the empty line after the addresses. */
async function greetingOf(child: ChildProcess): Promise<string> {
  let out = '';
  for await (const text of child.stdout!.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
    out += text;
    if (out.includes('\n\n')) {
      child.stdout!.resume();
      return out;
    }
  }
  throw new Error(`the proxy did not start:\n${out}`);
}

function addressIn(greeting: string, name: string): string {
  const address = new RegExp(`^ *${name} +(http:\\S+)$`, 'm').exec(greeting)?.[1];
  if (address === undefined) throw new Error(`the proxy says nothing about ${name}:\n${greeting}`);
  return address;
}
