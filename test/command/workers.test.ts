import { readFile, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { ask, askMany, findProxies, type StatusSnapshot } from '../../proxy-core/admin/index.ts';
import { generatedBody } from '../origin/index.ts';
import { bytesOf, Client, collect, eventually, filesUnder, MIB } from '../read/helpers.ts';
import { freePort, type Running } from './running.ts';
import { type Home, newHome } from './served.ts';

// `cistern serve` with several workers: each test starts a primary and its workers, and takes some seconds for it.
vi.setConfig({ testTimeout: 90_000 });
const PATIENCE = 30_000;

interface Server extends Home {
  readonly running: Running;
  readonly port: number;
  /** Clients with one connection each, as long as they wait for each answer. */
  clients(count: number): Client[];
  status(): Promise<StatusSnapshot>;
  /** All lines of an answer of the control interface. */
  lines(method: string, target: string): Promise<object[]>;
  /** Processes of the workers, of those that serve. */
  workers(): Promise<number[]>;
}

/** The ttl is long: what another worker has written is only seen because it is told. */
async function startServer(workers: number, ...flags: string[]): Promise<Server> {
  const home = await newHome('get_ttl: 1h, head_ttl: 1h, authorization: shared');
  const { running, port } = await home.serve('--set', `server.workers=${workers}`, ...flags);
  const { proxies } = await findProxies([join(home.home, '.local/state/cistern/run')]);
  const { address } = proxies[0]!;
  const status = () => ask<StatusSnapshot>(address, 'GET', '/v1/status');
  return {
    ...home,
    running,
    port,
    status,
    async lines(method, target) {
      const lines: object[] = [];
      for await (const line of askMany(address, method, target)) lines.push(line);
      return lines;
    },
    workers: async () => (await status()).workers!.flatMap(({ pid }) => pid ?? []),
    clients: count =>
      Array.from({ length: count }, () => {
        const client = new Client(home.origin, port);
        onTestFinished(() => client.close());
        return client;
      }),
  };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const connectionsOf = ({ workers }: StatusSnapshot) => workers!.map(({ active_connections }) => active_connections);

describe('several workers behind one port', () => {
  test('get the same number of connections, and show their figures as one proxy', async () => {
    const [metrics, health] = [await freePort(), await freePort()];
    const server = await startServer(
      3,
      ...['metrics.enabled=true', `metrics.port=${metrics}`, 'health.enabled=true', `health.port=${health}`].flatMap(
        flag => ['--set', flag],
      ),
    );
    server.origin.put('data', 'k', generatedBody(1000, 1));
    await server.clients(1)[0]!.send();
    // At once: the burst of a client's pool.
    const clients = server.clients(11);
    await Promise.all(clients.map(client => client.send()));
    await eventually(async () => connectionsOf(await server.status()).every(count => count === 4), PATIENCE);
    for (const client of clients) expect((await client.send()).body.length).toBe(1000);

    const { pid, workers, counters, cache, problems, addresses } = await server.status();
    expect(pid).toBe(server.running.process.pid);
    expect(new Set(workers!.map(worker => worker.pid)).size).toBe(3);
    expect(addresses.proxy).toBe(`127.0.0.1:${server.port}`);
    expect(counters).toMatchObject({ requests: 23, active_connections: 12, errors: 0 });
    expect(counters.hits + counters.misses + counters.revalidated).toBe(23);
    expect(counters.hits).toBeGreaterThanOrEqual(20);
    expect(cache).toMatchObject({ dir: server.cacheDir, ram_limit: 512 * MIB });
    expect(problems).toEqual([]);
    const shown = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text();
    expect(shown).toMatch(/^cistern_requests_total 23$/m);
    expect(shown).toMatch(/^cistern_first_byte_seconds_count\{outcome="hit"\} 2\d$/m);
    const { status, reasons } = (await (await fetch(`http://127.0.0.1:${health}/health`)).json()) as {
      status: string;
      reasons: string[];
    };
    expect({ status, reasons }).toEqual({ status: 'ok', reasons: [] });
  });

  test('take over what changes in the settings file, each its share, also one that is started anew', async () => {
    const server = await startServer(2);
    const file = join(server.home, 'c.yaml');
    const limits = `max_cache_size: ${64 * MIB}, max_ram_cache_size: ${32 * MIB}`;
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace('min_free_space: 0%', `min_free_space: 0%, ${limits}, memory_budget: 100MiB`));
    const inForce = () => server.running.says(/settings changed: cache\.max_cache_size, cache\.max_ram_cache_size/);
    await inForce();
    const hasThem = async () => {
      const { cache, workers } = await server.status();
      const serving = workers!.every(({ pid }) => pid !== undefined);
      return serving && cache.disk_limit === 64 * MIB && cache.ram_limit === 32 * MIB;
    };
    await eventually(hasThem, PATIENCE);
    expect((await server.status()).problems).toEqual([
      'a restart is needed for what has changed of cache.memory_budget',
    ]);
    const [pid] = await server.workers();
    process.kill(pid!, 'SIGKILL');
    await eventually(async () => !(await server.workers()).includes(pid!), PATIENCE);
    await eventually(hasThem, PATIENCE);

    await writeFile(file, text.replace('min_free_space: 0%', 'min_free_space: plenty'));
    await eventually(
      async () => (await server.status()).problems.some(said => /stay in force.*plenty/.test(said)),
      PATIENCE,
    );
    expect(await hasThem()).toBe(true);
  });

  test('are neighbours: what one writes or purges is what all read, before whoever asked for it hears of it', async () => {
    const server = await startServer(2);
    const clients = server.clients(6);
    server.origin.put('data', 'k', 'before');
    for (const client of clients) await client.send();
    await eventually(async () => connectionsOf(await server.status()).every(count => count === 3), PATIENCE);
    let late = 0;
    for (let i = 0; i < 12; i++) {
      const body = Buffer.from(`write ${i}`);
      const writer = clients[i % clients.length]!;
      expect((await writer.send({ method: 'PUT', body })).status).toBe(200);
      const seen = async () => {
        const answers = await Promise.all(clients.map(client => client.send()));
        return answers.every(answer => answer.body.equals(body));
      };
      if (await seen()) continue;
      // One that is held up for longer than a writer's client waits is a second behind.
      late++;
      await eventually(seen);
    }
    // If they did not hear of each other, it would be almost all.
    expect(late).toBeLessThanOrEqual(2);
    expect((await clients[0]!.send({ method: 'DELETE' })).status).toBe(204);
    await eventually(async () =>
      (await Promise.all(clients.map(client => client.send()))).every(({ status }) => status === 404),
    );

    server.origin.put('data', 'a/k', 'old');
    server.origin.put('data', 'b', 'other');
    for (const client of clients) for (const key of ['a/k', 'b']) expect((await client.send({ key })).status).toBe(200);
    server.origin.put('data', 'a/k', 'new');
    for (const client of clients) expect((await client.send({ key: 'a/k' })).body.toString()).toBe('old');
    const listed = () => server.lines('GET', '/v1/objects?bucket=data&prefix=');
    await eventually(async () => (await listed()).length === 3, PATIENCE);
    expect(await listed()).toContainEqual(expect.objectContaining({ type: 'object', key: 'a/k', cached: 3 }));
    const purged = await server.lines('POST', '/v1/purge?bucket=data&prefix=a%2F');
    expect(purged.at(-1)).toMatchObject({ type: 'end', objects: 1, left: 0 });
    for (const client of clients) expect((await client.send({ key: 'a/k' })).body.toString()).toBe('new');
    expect((await clients[0]!.send({ key: 'b' })).header('x-cache')).toBe('HIT');
    await expect(server.lines('POST', '/v1/unpin?bucket=data')).rejects.toThrow(/There is no such pin/);
  });
});

describe('a worker that is killed (kill -9)', () => {
  test('takes only its own connections with it; another takes its place, and no counter goes back', async () => {
    const server = await startServer(2);
    const body = generatedBody(24 * MIB, 3);
    server.origin.put('data', 'big', body);
    server.origin.put('data', 'k', 'hello');
    const clients = server.clients(4);
    for (const client of clients) await client.send();
    await eventually(async () => connectionsOf(await server.status()).every(count => count === 2), PATIENCE);
    const before = await server.status();

    server.origin.faults.on({ key: 'big' }, { throttle: 12 * MIB });
    const answers = await Promise.all(clients.map(client => client.begin({ key: 'big' })));
    await Promise.all(answers.map(answer => bytesOf(answer, MIB)));
    const [victim, other] = before.workers!.map(({ pid }) => pid!);
    process.kill(victim!, 'SIGKILL');
    const ends = await Promise.all(answers.map(collect));
    expect(ends.map(({ complete }) => complete).sort()).toEqual([false, false, true, true]);

    server.origin.faults.clear();
    let last = before.counters.requests;
    await eventually(async () => {
      const { workers, counters } = await server.status();
      expect(counters.requests).toBeGreaterThanOrEqual(last);
      last = counters.requests;
      const pids = workers!.map(({ pid }) => pid);
      return pids[0] !== undefined && pids[0] !== victim && pids[1] === other;
    }, PATIENCE);
    expect(last).toBeGreaterThanOrEqual(before.counters.requests + 2);
    expect(server.running.err).toMatch(/ WARN +worker 1 \(process \d+\) ended unexpectedly \(SIGKILL\) and is started/);
    // The new one gets what it is short of.
    const more = server.clients(2);
    for (const client of [...clients, ...more]) expect((await client.send()).body.toString()).toBe('hello');
    await eventually(async () => Math.abs(connectionsOf(await server.status()).reduce((a, b) => a - b)) <= 1, PATIENCE);

    // One that ends again and again is a problem.
    process.kill((await server.workers())[0]!, 'SIGKILL');
    await eventually(async () => /worker 1 .*2 times in a row/.test((await server.status()).problems.join()), PATIENCE);
    await eventually(async () => (await server.workers()).length === 2, PATIENCE);
  });

  test('while it hangs gets no more connections, and one that is on the way to it is closed with it', async () => {
    const server = await startServer(2);
    server.origin.put('data', 'k', 'hello');
    const [hanging] = await server.workers();
    process.kill(hanging!, 'SIGSTOP');
    onTestFinished(() => {
      if (isAlive(hanging!)) process.kill(hanging!, 'SIGKILL');
    });
    const ends: Promise<void>[] = [];
    const sockets = Array.from({ length: 6 }, () => {
      const socket: Socket = connect(server.port, '127.0.0.1').on('error', () => {});
      onTestFinished(() => void socket.destroy());
      ends.push(new Promise(resolve => socket.once('close', () => resolve())));
      socket.write(`GET /nothing HTTP/1.1\r\nHost: ${server.origin.address}\r\n\r\n`);
      return socket;
    });
    const answered = new Set<Socket>();
    for (const socket of sockets) socket.on('data', () => answered.add(socket));
    await eventually(() => answered.size >= 5, PATIENCE);
    process.kill(hanging!, 'SIGKILL');
    const [waiting] = sockets.flatMap((socket, i) => (answered.has(socket) ? [] : ends[i]!));
    await waiting;
    expect(server.running.err).not.toMatch(/MaxListeners|Unhandled/i);
  });
});

describe('the life of a server with workers', () => {
  test('ends with all workers on SIGTERM, after running transfers; their logs are whole', async () => {
    const flags = ['access_log_enabled=true', 'access_log_dir=access'];
    const server = await startServer(2, ...flags.flatMap(flag => ['--set', `logging.${flag}`]));
    server.origin.put('data', 'big', generatedBody(16 * MIB, 4));
    server.origin.faults.on({ key: 'big' }, { throttle: 16 * MIB });
    server.origin.put('data', 'k', 'hello');
    const workers = await server.workers();
    for (const client of server.clients(3)) await client.send();
    const answer = await server.clients(1)[0]!.begin({ key: 'big' });
    server.running.process.kill('SIGTERM');
    // As systemd does, and a terminal with Ctrl-C.
    for (const pid of workers) process.kill(pid, 'SIGTERM');
    expect((await collect(answer)).complete).toBe(true);
    expect(await server.running.exit).toEqual({ code: 0, signal: null });
    expect(workers.filter(isAlive)).toEqual([]);

    const files = await filesUnder(join(server.home, 'access'));
    expect(new Set(files.map(file => /-worker-\d$/.exec(file)?.[0]))).toEqual(new Set(['-worker-1', '-worker-2']));
    const lines = (await Promise.all(files.map(file => readFile(file, 'utf8')))).join('').trimEnd().split('\n');
    expect(lines.filter(line => / REST\.GET\.OBJECT (k|big) /.test(line))).toHaveLength(4);
    expect(lines).toHaveLength(4);
    const [log] = await filesUnder(join(server.home, 'logs'));
    const names = (await readFile(log!, 'utf8'))
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line).name);
    expect(new Set(names)).toEqual(new Set([undefined, 'worker-1', 'worker-2']));
  });

  test('a second signal ends all at once', async () => {
    const server = await startServer(2);
    server.origin.put('data', 'k', generatedBody(2 * MIB, 4));
    server.origin.faults.on({ key: 'k' }, { stallAfter: MIB });
    const workers = await server.workers();
    const answer = await server.clients(1)[0]!.begin();
    answer.on('error', () => {}).resume();
    const again = setInterval(() => server.running.process.kill('SIGINT'), 100);
    expect(await server.running.exit).toEqual({ code: 1, signal: null });
    clearInterval(again);
    await eventually(() => !workers.some(isAlive), PATIENCE);
  });

  test('the workers end when the primary is killed', async () => {
    const server = await startServer(2);
    const workers = await server.workers();
    server.running.process.kill('SIGKILL');
    // They hold its output open.
    expect(await server.running.exit).toEqual({ code: null, signal: 'SIGKILL' });
    await eventually(() => !workers.some(isAlive), PATIENCE);
  });

  test('a start that can not be says the same as with one process, and leaves none behind', async () => {
    const home = await newHome();
    const two = ['serve', '-c', 'c.yaml', '--set', 'server.workers=2'];
    const busy = await home.run(...two, '--port', String(home.origin.port));
    expect(busy).toMatchObject({ code: 1, out: '' });
    expect(busy.err).toBe(
      `cistern: 127.0.0.1:${home.origin.port} is in use by another program (or another Cistern). Stop it, or choose another port with --port or server.proxy_port.\n`,
    );
    const folder = await home.run(...two, '--cache-dir', 'c.yaml');
    expect(folder).toMatchObject({ code: 1, out: '' });
    expect(folder.err).toMatch(
      /^cistern: cache\.cache_dir: .*c\.yaml can't be written \(ENOTDIR: .* that you may write to\.$/m,
    );
  });
});
