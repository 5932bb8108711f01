/**
 * A process for stuck-volume.test.ts: a proxy whose cached extent has become a FIFO, which blocks whoever opens it. Says
 * what it found, one JSON line each, then stops the proxy.
 */
import { execFileSync } from 'node:child_process';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { compressFrame } from 'lz4-napi';
import { startCore } from '../../proxy-core/core.ts';
import { defaultSettings } from '../../proxy-core/settings/index.ts';
import { filesIn } from './plain-files.ts';

const [folder = ''] = process.argv.slice(2);
const BODY = Buffer.alloc(3 << 20, 'stuck');
const say = (fact: object) => process.stdout.write(`${JSON.stringify(fact)}\n`);

let asked = 0;
const origin = createServer((message, response) => {
  asked++;
  if (message.headers['if-none-match'] === '"one"') {
    response.writeHead(304, { ETag: '"one"' }).end();
    return;
  }
  response.writeHead(200, { ETag: '"one"', 'Content-Length': BODY.length }).end(BODY);
}).listen(0, '127.0.0.1');
await once(origin, 'listening');
const { port } = origin.address() as AddressInfo;

const off = { enabled: false };
const settings = defaultSettings({
  server: { proxy_port: 0 },
  health: off,
  metrics: off,
  dashboard: off,
  logging: { access_log_dir: `${folder}/logs/access`, app_log_dir: `${folder}/logs/app` },
  cache: { cache_dir: `${folder}/cache`, disk_timeout: 150, ram_cache_enabled: false },
  connection_pool: { upstream_overrides: { [`127.0.0.1:${port}`]: { scheme: 'http', validate_tls: true } } },
});
const core = await startCore(settings);

const isExtent = (path: string) => /\/0-\d+$|\.0-\d+$/.test(path);
say({ read: await read(), asked });
while (!filesIn(`${folder}/cache/buckets`).some(isExtent)) await new Promise(resolve => setTimeout(resolve, 5));
say({ read: await read(), asked });
for (const extent of filesIn(`${folder}/cache/buckets`).filter(isExtent)) {
  rmSync(extent);
  execFileSync('mkfifo', [extent]);
}
// The extent is kept open for a while after a read; a proxy that has just started opens it anew.
const again = await startCore(settings);
say({ read: await read(again.addresses.proxy), asked });
say({ name: (await lookup('localhost')).family > 0 });
say({ compressed: (await compressFrame(Buffer.alloc(65_536), {})).length < 65_536 });
origin.close();
await core.stop();
say({ stopping: true });
await again.stop();

async function read(proxy = core.addresses.proxy): Promise<'right' | 'wrong'> {
  const [host, proxyPort] = proxy.split(':');
  const target = `http://127.0.0.1:${port}/data/key`;
  const sent = request({ host, port: proxyPort, path: target, headers: { Host: `127.0.0.1:${port}` } }).end();
  const [response] = await once(sent, 'response');
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return Buffer.concat(chunks).equals(BODY) ? 'right' : 'wrong';
}
