import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ALICE, presign, startOrigin, type TestOrigin } from '../origin/index.ts';

/** What an app under test lives in: a folder of its own, a display's environment, an origin, and settings that reach it. */
export interface Setting {
  readonly origin: TestOrigin;
  readonly proxy: string;
  readonly env: Record<string, string>;
  /** The person's settings file. */
  readonly settings: string;
  /** Arguments for the app */
  readonly args: readonly string[];
  /** Reads an object with curl through the proxy, with a presigned URL. */
  curl(key: string): Promise<{ status: number; body: string; xCache: string | undefined }>;
  close(): Promise<void>;
}

export async function makeSetting(display: string, cacheDir?: string): Promise<Setting> {
  const folder = await mkdtemp(join(tmpdir(), 'cistern-desktop-'));
  const origin = await startOrigin();
  const proxy = `127.0.0.1:${await freePort()}`;
  const settings = join(folder, 'given.json');
  await writeFile(
    settings,
    JSON.stringify({
      server: { proxy_port: Number(proxy.split(':')[1]) },
      cache: { cache_dir: cacheDir ?? join(folder, 'cache') },
      connection_pool: { upstream_overrides: { [origin.address]: { scheme: 'http' } } },
      health: { enabled: false },
      metrics: { enabled: false },
      dashboard: { port: 0 },
    }),
  );
  const { DBUS_SESSION_BUS_ADDRESS, ...inherited } = process.env;
  return {
    origin,
    proxy,
    settings,
    env: {
      ...(inherited as Record<string, string>),
      HOME: folder,
      DISPLAY: display,
      AWS_REGION: 'eu-central-1',
      SHELL: '/bin/sh',
    },
    args: [
      // Chromium's sandbox does not work for root, as whom containers and CI run.
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      `--user-data-dir=${join(folder, 'profile')}`,
      `--config=${settings}`,
    ],
    curl: key => curl(proxy, origin.address, key),
    close: async () => {
      await origin.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function curl(proxy: string, host: string, key: string) {
  const url = `http://${host}${presign(ALICE, { method: 'GET', host, target: `/data/${key}`, expires: 600 })}`;
  const { stdout } = await promisify(execFile)('curl', [
    '-s',
    '-i',
    '--max-time',
    '10',
    '--noproxy',
    '',
    '-x',
    `http://${proxy}`,
    url,
  ]);
  const [head, body] = stdout.split('\r\n\r\n', 2);
  return { status: Number(head!.split(' ')[1]), body: body!, xCache: /^x-cache: (.*)$/im.exec(head!)?.[1]?.trim() };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
