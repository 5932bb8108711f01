import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Core, type CoreOptions, startCore } from '../../proxy-core/core.ts';
import { defaultSettings } from '../../proxy-core/settings/index.ts';

let folder: string;
let core: Core | undefined;
const other = createServer();

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cistern-ports-'));
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
});

afterEach(async () => {
  await core?.stop();
  core = undefined;
  other.close();
  await rm(folder, { recursive: true, force: true });
});

async function start(options: CoreOptions): Promise<Core> {
  const { port } = other.address() as AddressInfo;
  const settings = defaultSettings({
    server: { proxy_port: 0 },
    cache: { cache_dir: join(folder, 'cache') },
    logging: { access_log_enabled: false, app_log_dir: join(folder, 'log') },
    health: { port },
    metrics: { enabled: false },
    dashboard: { enabled: false },
  });
  core = await startCore(settings, options);
  return core;
}

describe('a busy side port', () => {
  it('leaves that listener off and is shown as a problem', async () => {
    const { addresses, status } = await start({});
    expect(addresses.health).toBeUndefined();
    expect(status().problems.join()).toContain('health.port');
  });

  it('moves to a free one where that is wanted', async () => {
    const { addresses, status } = await start({ movePorts: true });
    expect(status().problems).toEqual([]);
    expect((await fetch(`http://${addresses.health}/health`)).status).toBe(200);
  });
});
