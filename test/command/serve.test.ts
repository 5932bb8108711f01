import { once } from 'node:events';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, get, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkout, freePort, Running } from './running.ts';

let home: string;
let origin: Server;
let originPort: number;
let answer: (request: IncomingMessage, response: ServerResponse) => void;
const started: Running[] = [];

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'cistern-serve-'));
  origin = createServer((request, response) => answer(request, response)).listen(0, '127.0.0.1');
  await once(origin, 'listening');
  originPort = (origin.address() as AddressInfo).port;
  answer = (_, response) => response.writeHead(200, { ETag: '"one"', 'Content-Length': 5 }).end('hello');
});
afterEach(async () => {
  for (const running of started.splice(0)) {
    running.process.kill('SIGKILL');
    await running.exit;
  }
  origin.closeAllConnections();
  origin.close();
  await rm(home, { recursive: true, force: true });
});

/** Settings that use any free port everywhere and know the origin as S3. */
async function settings(more = ''): Promise<string> {
  const file = join(home, 'c.yaml');
  await writeFile(
    file,
    `server: { proxy_port: 0 }
cache: { cache_dir: ./cache }
connection_pool: { upstream_overrides: { "127.0.0.1:${originPort}": { scheme: http } } }
logging: { access_log_dir: ./logs/access, app_log_dir: ./logs/app }
${more || 'health: { port: 0 }\nmetrics: { port: 0 }\ndashboard: { port: 0 }'}
`,
  );
  return file;
}

function cistern(args: readonly string[], env: Readonly<Record<string, string>> = {}, script?: string): Running {
  const running = new Running(args, home, env, script);
  started.push(running);
  return running;
}

async function proxyOf(running: Running): Promise<number> {
  const port = Number((await running.says(/listens on http:\/\/127\.0\.0\.1:(\d+)/))[1]);
  await running.says(/then, for example/);
  return port;
}

/** A read through the proxy; resolves with the head of the answer. */
async function read(proxyPort: number, path: string): Promise<IncomingMessage> {
  const host = `127.0.0.1:${originPort}`;
  const request = get({
    host: '127.0.0.1',
    port: proxyPort,
    path: `http://${host}${path}`,
    headers: { Host: host },
    agent: false,
  });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return response;
}

describe('serve', () => {
  test('says where it listens and what to paste, serves from the folder it names, and ends with 0 on SIGTERM', async () => {
    const running = cistern(['serve', '--config', await settings()], { AWS_REGION: 'eu-west-1' });
    const port = await proxyOf(running);
    expect(running.out).toContain(`export HTTP_PROXY='http://127.0.0.1:${port}'\n`);
    expect(running.out).toContain("export AWS_ENDPOINT_URL_S3='http://s3.eu-west-1.amazonaws.com'\n");
    expect(running.out).toContain(join(home, 'cache'));
    expect(await text(await read(port, '/bucket/key'))).toBe('hello');
    expect((await stat(join(home, 'cache', 'cistern.json'))).isFile()).toBe(true);
    running.process.kill('SIGTERM');
    expect(await running.exit).toEqual({ code: 0, signal: null });
    expect(running.err).not.toMatch(/warn|error/i);
  });

  test('is what flags without a command mean', async () => {
    const running = cistern(['-c', await settings()]);
    await proxyOf(running);
    running.process.kill('SIGINT');
    expect(await running.exit).toEqual({ code: 0, signal: null });
  });

  test('health answers 200 and status shows the counts while it runs', async () => {
    const [health, dashboard] = [await freePort(), await freePort()];
    const file = await settings(
      `health: { port: ${health} }\nmetrics: { enabled: false }\ndashboard: { port: ${dashboard} }`,
    );
    const running = cistern(['serve', '-c', file]);
    const port = await proxyOf(running);
    expect((await fetch(`http://127.0.0.1:${health}/health`)).status).toBe(200);
    await text(await read(port, '/bucket/key'));
    await text(await read(port, '/bucket/key'));

    const json = cistern(['status', '--json', '-c', file]);
    expect((await json.exit).code).toBe(0);
    expect(JSON.parse(json.out)).toMatchObject({
      pid: running.process.pid,
      addresses: { proxy: `127.0.0.1:${port}` },
      cache: { dir: join(home, 'cache') },
      counters: { requests: 2, hits: 1, s3_requests: 1 },
    });
    const words = cistern(['status', '-c', file]);
    expect((await words.exit).code).toBe(0);
    expect(words.out).toMatch(/^ {2}requests +2: 1 hits, 0 revalidated, 0 partial, 1 misses/m);
    expect(words.out).toMatch(/^ {2}bytes +5 B from the cache, 5 B from S3 \(50\.0 % from the cache\)$/m);
  });

  test('status asks it over the control socket, whatever else is off', async () => {
    const file = await settings(
      'health: { enabled: false }\nmetrics: { enabled: false }\ndashboard: { enabled: false }',
    );
    const port = await proxyOf(cistern(['serve', '-c', file]));
    const status = cistern(['status', '-c', file]);
    expect((await status.exit).code).toBe(0);
    expect(status.out).toContain(`  proxy      127.0.0.1:${port}\n`);
  });

  test('ends with 1 and a line that names the address where the data port is taken', async () => {
    const running = cistern(['serve', '-c', await settings(), '--port', String(originPort)]);
    expect((await running.exit).code).toBe(1);
    expect(running.err).toContain(`cistern: 127.0.0.1:${originPort} is in use by another program`);
    expect(running.out).toBe('');
  });

  test('serves all the same where a side port is taken, and says so', async () => {
    const file = await settings(
      `health: { port: ${originPort} }\nmetrics: { enabled: false }\ndashboard: { enabled: false }`,
    );
    const running = cistern(['serve', '-c', file]);
    const port = await proxyOf(running);
    await running.says(/ WARN +health\.port: can't listen on .*another process uses this port/);
    expect(await text(await read(port, '/bucket/key'))).toBe('hello');
  });

  test('warns about keys of the reference that have no effect, and serves', async () => {
    const ports = 'health: { port: 0 }\nmetrics: { port: 0 }\ndashboard: { port: 0 }';
    const file = await settings(`download_bandwidth: { max_bytes_per_sec: 5 }\n${ports}`);
    const running = cistern(['serve', '-c', file, '--set', 'server.mode=standard']);
    await proxyOf(running);
    expect(running.err).toMatch(
      /^cistern: warning: [^\n]*c\.yaml:5:\d+: download_bandwidth\.max_bytes_per_sec: has no effect/m,
    );
    expect(running.err).toMatch(/^cistern: warning: --set: server\.mode: has no effect: listeners on 80, 443/m);
  });
});

describe('stopping', () => {
  /** An origin whose answer waits, half sent, for `finish`. */
  function halfSent(): { finish: () => void } {
    let finish = () => {};
    answer = (_, response) => {
      response.writeHead(200, { ETag: '"one"', 'Content-Length': 10 }).write('hello');
      finish = () => response.end('world');
    };
    return { finish: () => finish() };
  }

  test('lets a running transfer finish, and takes no new connection meanwhile', async () => {
    const half = halfSent();
    const running = cistern(['serve', '-c', await settings()]);
    const port = await proxyOf(running);
    const response = await read(port, '/bucket/key');
    await once(response, 'readable');
    running.process.kill('SIGTERM');
    await running.says(/is stopping/);
    await expect
      .poll(() =>
        read(port, '/bucket/other').then(
          () => 'served',
          error => error.code,
        ),
      )
      .toBe('ECONNREFUSED');
    half.finish();
    expect(await text(response)).toBe('helloworld');
    expect(await running.exit).toEqual({ code: 0, signal: null });
  });

  test('does not wait for a transfer when asked a second time', async () => {
    halfSent();
    const running = cistern(['serve', '-c', await settings()]);
    const response = await read(await proxyOf(running), '/bucket/key');
    response.on('error', () => undefined).resume();
    // Signals that come right after the first are the same wish, told twice by a terminal and npm.
    const again = setInterval(() => running.process.kill('SIGINT'), 100);
    expect(await running.exit).toEqual({ code: 1, signal: null });
    clearInterval(again);
  });
});

describe('demo', () => {
  test.each([
    ['cistern demo', ['demo'], undefined],
    ['npm start -- --demo', ['--demo'], join(checkout, 'main', 'start.cjs')],
  ])('%s reads through the proxy and answers 0', async (_, args, script) => {
    const running = cistern(args, {}, script);
    const { code } = await running.exit;
    expect({ code, err: running.err }).toEqual({ code: 0, err: '' });
    expect(running.out).toContain('Every byte was compared with what S3 holds.');
  });
});

describe('npm start', () => {
  const start = join(checkout, 'main', 'start.cjs');

  test('without a display serves in this terminal', async () => {
    const running = cistern(['--config', await settings()], {}, start);
    await proxyOf(running);
    running.process.kill('SIGTERM');
    expect((await running.exit).code).toBe(0);
  });

  test.skipIf(process.platform === 'win32')(
    'with a display and Electron runs the tray app, and ends as it does',
    async () => {
      const electron = await program('echo "electron $@"; exit 0');
      const running = cistern(['-c', 'x.yaml'], { DISPLAY: ':0', CISTERN_ELECTRON: electron }, start);
      expect((await running.exit).code).toBe(0);
      expect(running.out).toBe(`electron ${join(checkout)} --config=x.yaml\n`.replace('/ --', ' --'));
    },
  );

  test.skipIf(process.platform === 'win32')('serves in this terminal where the tray app does not come up', async () => {
    const electron = await program('exit 1');
    const running = cistern(['-c', await settings()], { DISPLAY: ':0', CISTERN_ELECTRON: electron }, start);
    await proxyOf(running);
    expect(running.err).toContain('The tray app did not start (exit code 1)');
    running.process.kill('SIGTERM');
    expect((await running.exit).code).toBe(0);
  });

  test('passes flags of serve on to serve', async () => {
    const running = cistern(
      ['--config', await settings(), '--set', 'cache.cache_dir=elsewhere'],
      { DISPLAY: ':0' },
      start,
    );
    await proxyOf(running);
    expect(running.out).toContain(join(home, 'elsewhere'));
  });

  async function program(script: string): Promise<string> {
    const file = join(home, 'electron');
    await writeFile(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return file;
  }
});
