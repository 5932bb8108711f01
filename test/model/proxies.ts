import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { stringify } from 'yaml';
import { startCore } from '../../proxy-core/core.ts';
import { type DeepPartial, defaultSettings, type Settings } from '../../proxy-core/settings/index.ts';

/** A proxy, in this process or in one of its own. */
export interface Cistern {
  readonly port: number;
  /** Undefined in this process. */
  readonly pid: number | undefined;
  /** A value of `/metrics`. */
  gauge(name: string): Promise<number>;
  stop(): Promise<void>;
  /** As by `kill -9`; only a process of its own can be. */
  kill(): Promise<void>;
}

/** What differs from the defaults; durations in ms, sizes in bytes. */
export type Changes = DeepPartial<Settings>;

/** @param folder for logs and settings; the cache is where `changes` says */
export async function startInProcess(changes: Changes): Promise<Cistern> {
  const core = await startCore(defaultSettings(changes));
  return {
    port: portOf(core.addresses.proxy),
    pid: undefined,
    gauge: name => gaugeOf(`http://${core.addresses.metrics}/metrics`, name),
    stop: () => core.stop(),
    kill: () => Promise.reject(new Error('a proxy in this process can not be killed')),
  };
}

const COMMAND = join(import.meta.dirname, '..', '..', 'main', 'command', 'cistern.cjs');

/** `cistern serve` in a process of its own. */
export async function startProcess(folder: string, changes: Changes): Promise<Cistern> {
  await mkdir(folder, { recursive: true });
  const file = join(folder, 'cistern.yaml');
  await writeFile(file, stringify(changes, inWords));
  const child = spawn(process.execPath, [COMMAND, 'serve', '-c', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, HOME: folder },
  });
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  const killer = () => child.kill('SIGKILL');
  process.once('exit', killer);
  void exited.then(() => process.off('exit', killer));
  const { url, metrics } = await greetingOf(child, exited);
  return {
    port: portOf(url),
    pid: child.pid,
    gauge: name => gaugeOf(metrics, name),
    async stop() {
      child.kill('SIGTERM');
      const code = await exited;
      if (code !== 0) throw new Error(`cistern serve ended with ${code} after SIGTERM`);
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** As a person writes it: durations with their unit, shares in percent. */
function inWords(name: unknown, value: unknown): unknown {
  if (typeof value === 'number' && /_(ttl|timeout|grace)$/.test(String(name))) return `${value}ms`;
  return name === 'min_free_space' ? `${(value as { percent: number }).percent}%` : value;
}

/** Where it listens, from the lines it begins with. */
function greetingOf(
  child: ChildProcess,
  exited: Promise<number | null>,
): Promise<{ readonly url: string; readonly metrics: string }> {
  const said: string[] = [];
  child.stderr!.on('data', chunk => said.push(String(chunk)));
  return new Promise((resolve, reject) => {
    let url = '';
    createInterface({ input: child.stdout! }).on('line', line => {
      said.push(`${line}\n`);
      url = /listens on (http:\/\/\S+)/.exec(line)?.[1] ?? url;
      const metrics = /metrics +(http:\/\/\S+)/.exec(line)?.[1];
      if (metrics) resolve({ url, metrics });
    });
    void exited.then(code => reject(new Error(`cistern serve ended with ${code}:\n${said.join('')}`)));
  });
}

async function gaugeOf(url: string, name: string): Promise<number> {
  const text = await (await fetch(url)).text();
  const found = new RegExp(`^${name} (\\S+)$`, 'm').exec(text);
  if (!found) throw new Error(`${url} says nothing of ${name}`);
  return Number(found[1]);
}

function portOf(address: string): number {
  return Number(address.split(':').at(-1));
}
