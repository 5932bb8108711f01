import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ProxiedClient } from './client.ts';
import { DEMO_PRINCIPAL, Origin, type Principal } from './origin/index.ts';
import { type Pace, paced } from './pace.ts';
import { BUCKET, putSamples } from './samples.ts';
import { Tour } from './tour.ts';

/** The settings the demo's proxy runs with, over the defaults: a cache of its own, any free port, and where S3 is. */
export interface DemoSettings {
  readonly server: { readonly bind_address: string; readonly proxy_port: number };
  readonly cache: { readonly cache_dir: string };
  readonly connection_pool: {
    readonly upstream_overrides: Readonly<
      Record<string, { readonly scheme: 'http'; readonly address: string; readonly validate_tls: boolean }>
    >;
  };
  readonly logging: {
    readonly access_log_enabled: boolean;
    readonly access_log_dir: string;
    readonly app_log_dir: string;
    readonly log_level: 'error';
  };
  readonly health: { readonly enabled: boolean };
  readonly metrics: { readonly enabled: boolean };
  readonly dashboard: { readonly enabled: boolean };
}

export interface DemoProxy {
  /** `host:port` */
  readonly address: string;
  stop(): Promise<void>;
}

const NAME = 's3.cistern.test';
const GUEST: Principal = {
  name: 'guest',
  accessKeyId: 'AKIACISTERNGUEST0000',
  secretAccessKey: 'guest-secret-of-no-value',
};
const OFFICE_LINE: Pace = { firstByteMs: 30, bytesPerSecond: 50e6 };

/**
 * Shows what the proxy does, without an AWS account: an S3 origin in this process, read through a proxy that
 * `startProxy` starts. Prints what each read cost; answers 0 when everything went as it should, else 1.
 */
export async function runDemo(
  out: (line: string) => void,
  startProxy: (settings: DemoSettings) => Promise<DemoProxy>,
  pace: Pace = OFFICE_LINE,
): Promise<number> {
  const guest: Principal = { ...GUEST, deny: [{ resource: BUCKET }] };
  const origin = await new Origin({ principals: [DEMO_PRINCIPAL, guest], bases: [NAME], hooks: paced(pace) }).start();
  const folder = await mkdtemp(join(tmpdir(), 'cistern-demo-'));
  let proxy: DemoProxy | undefined;
  try {
    putSamples(origin);
    proxy = await startProxy(settingsFor(origin, folder));
    for (const line of introduction(origin, proxy, pace)) out(line);
    const client = new ProxiedClient(proxy.address, `${BUCKET}.${NAME}`);
    const tour = new Tour(out, origin, client, guest);
    await tour.run().finally(() => client.close());
    for (const line of tour.conclusion()) out(line);
    return tour.problems.length === 0 ? 0 : 1;
  } finally {
    await proxy?.stop();
    await origin.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

function settingsFor(origin: Origin, folder: string): DemoSettings {
  return {
    server: { bind_address: '127.0.0.1', proxy_port: 0 },
    cache: { cache_dir: join(folder, 'cache') },
    connection_pool: {
      upstream_overrides: { [`${NAME}:80`]: { scheme: 'http', address: origin.address, validate_tls: true } },
    },
    logging: {
      access_log_enabled: false,
      access_log_dir: join(folder, 'access'),
      app_log_dir: join(folder, 'app'),
      log_level: 'error',
    },
    health: { enabled: false },
    metrics: { enabled: false },
    dashboard: { enabled: false },
  };
}

function introduction(origin: Origin, proxy: DemoProxy, { firstByteMs, bytesPerSecond }: Pace): string[] {
  return [
    '',
    '  Cistern demo. Nothing leaves this machine, and no AWS account is used.',
    '',
    `  S3 is played by an origin in this process on ${origin.address}. It verifies the SigV4 signature of`,
    `  every request, and is slowed to ${firstByteMs} ms and ${bytesPerSecond / 1e6} MB/s, about S3 over an office line. The proxy listens on`,
    `  ${proxy.address} with an empty cache. What S3 was asked for is counted by the origin, not by the proxy.`,
    '',
  ];
}
