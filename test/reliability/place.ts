import { mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { StatusSnapshot } from '../../proxy-core/admin/index.ts';
import { type RunningCistern, startCistern } from '../clients/cistern.ts';
import { startOrigin, type TestOrigin } from '../origin/index.ts';
import { type Ask, Client } from '../read/client.ts';
import { type FaultyFolder, mountFaulty } from './mount.ts';

export const MIB = 2 ** 20;
export const SECOND = 1000;
/** For a test with a process and a volume of its own, on a machine that is busy. */
export const PATIENCE = 60 * SECOND;
/** The origin under a name that has to be looked up, on the thread pool that a hung disk could use up. */
export const BY_NAME = 's3.cistern.test';

/** An origin, a `cistern` process whose cache lies on a volume with faults, and clients with and without it. */
export interface FaultyPlace {
  readonly origin: TestOrigin;
  readonly volume: FaultyFolder;
  readonly cacheDir: string;
  readonly cistern: RunningCistern;
  readonly pid: number;
  readonly client: Client;
  readonly direct: Client;
  /** A whole answer, held to be right: complete, 200 or 206, with these bytes. Says how long it took, ms, and what came from S3 for it. */
  read(ask: Ask, expected: Buffer, client?: Client): Promise<Taken>;
  status(): Promise<StatusSnapshot>;
  health(): Promise<{ status: number; reasons: string[] }>;
  /** A gauge or counter of /metrics. */
  metric(name: string): Promise<number>;
  /** Lines of the application log. */
  logged(): Promise<string[]>;
  /** Files below the cache folder that the process holds open though they are half-written or gone: none, after a while. */
  leakedFiles(): Promise<string[]>;
}

export interface Taken {
  readonly ms: number;
  readonly firstByte: number;
  readonly bodies: number;
}

/** @param before what the volume is like when the process starts */
export async function startFaultyPlace(before: (volume: FaultyFolder) => unknown = () => {}): Promise<FaultyPlace> {
  const folder = await mkdtemp(join(tmpdir(), 'cistern-reliability-'));
  const origin = await startOrigin();
  const volume = await mountFaulty(folder);
  const cacheDir = join(volume.path, 'cache');
  const [health, metrics, dashboard] = await freePorts(3);
  await before(volume);
  const starting = startCistern(folder, {
    server: { proxy_port: 0, shutdown_grace: '2s' },
    health: { enabled: true, port: health },
    metrics: { enabled: true, port: metrics },
    dashboard: { enabled: true, port: dashboard },
    cache: {
      cache_dir: cacheDir,
      min_free_space: '0%',
      ram_cache_enabled: false,
      get_ttl: '1h',
      head_ttl: '1h',
      disk_timeout: '500ms',
    },
    connection_pool: {
      upstream_overrides: {
        [origin.address]: { scheme: 'http' },
        [`${BY_NAME}:80`]: { scheme: 'http', address: `localhost:${origin.port}` },
      },
    },
  });
  const clients: Client[] = [];
  onTestFinished(async () => {
    origin.faults.clear();
    for (const client of clients) client.close();
    // First the volume: a process that waits for it can't be ended.
    await volume[Symbol.asyncDispose]();
    await starting.then(
      cistern => cistern.stop(),
      () => {},
    );
    await origin.stop();
    await rm(folder, { recursive: true, force: true });
  });
  const cistern = await starting;
  const client = new Client(origin, Number(new URL(cistern.url).port));
  const direct = new Client(origin);
  clients.push(client, direct);
  const status = async () =>
    JSON.parse((await fetchText(`http://127.0.0.1:${dashboard}/api/status`)).body) as StatusSnapshot;
  const { pid } = await status();
  return {
    origin,
    volume,
    cacheDir,
    cistern,
    pid,
    client,
    direct,
    status,
    read: (ask, expected, through = client) => readRight(origin, through, ask, expected),
    async health() {
      const answer = await fetchText(`http://127.0.0.1:${health}/health`);
      return { status: answer.status, reasons: (JSON.parse(answer.body) as { reasons: string[] }).reasons };
    },
    async metric(name) {
      const { body } = await fetchText(`http://127.0.0.1:${metrics}/metrics`);
      const line = body.split('\n').find(text => text.startsWith(`${name} `));
      if (line === undefined) throw new Error(`/metrics has no ${name}`);
      return Number(line.slice(name.length + 1));
    },
    async logged() {
      const logs = join(folder, 'logs', 'app');
      const files = await Promise.all((await readdir(logs)).map(name => readFile(join(logs, name), 'utf8')));
      return files.join('').split('\n');
    },
    async leakedFiles() {
      const fds = await readdir(`/proc/${pid}/fd`);
      const paths = await Promise.all(fds.map(fd => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
      return paths.filter(
        path => path.startsWith(`${cacheDir}/tmp/`) || (path.startsWith(cacheDir) && path.endsWith(' (deleted)')),
      );
    },
  };
}

async function readRight(origin: TestOrigin, client: Client, ask: Ask, expected: Buffer): Promise<Taken> {
  const key = ask.key ?? 'k';
  const before = origin.bodiesServed(key);
  const began = performance.now();
  const response = await client.begin(ask);
  let firstByte = 0;
  response.once('data', () => {
    firstByte = performance.now() - began;
  });
  let at = 0;
  let wrong: number | undefined;
  let ended = false;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    if (wrong === undefined && chunk.compare(expected, at, at + chunk.length) !== 0) wrong = at;
    at += chunk.length;
  }
  ended = response.complete;
  const what = `${ask.method ?? 'GET'} ${key} ${ask.range ?? ''}`;
  if (response.statusCode !== 200 && response.statusCode !== 206)
    throw new Error(`${what}: status ${response.statusCode}`);
  if (wrong !== undefined) throw new Error(`${what}: wrong bytes at ${wrong} or a little later`);
  if (!ended || at !== expected.length) throw new Error(`${what}: ${at} of ${expected.length} bytes`);
  return { ms: performance.now() - began, firstByte, bodies: origin.bodiesServed(key) - before };
}

function fetchText(url: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = get(url, { agent: false, timeout: 5 * SECOND }, response => {
      let body = '';
      response.setEncoding('utf8').on('data', text => {
        body += text;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    sent.on('error', reject).on('timeout', () => sent.destroy(new Error(`${url} does not answer`)));
  });
}

/** Free a moment ago: what starts with them must start at once. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map(server => new Promise(resolve => server.once('listening', resolve))));
  const ports = servers.map(server => (server.address() as { port: number }).port);
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))));
  return ports;
}
