import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { type DemoSettings, runDemo } from '../../main/demo/index.ts';

const COMMAND = join(import.meta.dirname, '..', '..', 'main', 'command', 'cistern.cjs');
const FAST = { firstByteMs: 0, bytesPerSecond: 1e9 };

describe('cistern demo', () => {
  it('shows that what was read once is not asked of S3 again, and ends with 0', { timeout: 60_000 }, async () => {
    const child = spawn(process.execPath, [COMMAND, 'demo'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [out, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
    expect(code).toBe(0);
    const line = (start: string) => out.split('\n').filter(candidate => candidate.trim().startsWith(start));
    // Once in all, over several connections where one is slow.
    expect(line('64.0 MiB object, first read')[0]).toMatch(/MISS +\d GET \(6[4-9]\.\d MiB\)$/);
    expect(line('the same, again')).toEqual([
      expect.stringMatching(/HIT +nothing$/),
      expect.stringMatching(/200 × HIT +nothing$/),
    ]);
    expect(line('a caller whom S3 denies it')[0]).toMatch(/1 GET → 403 \(no content\)$/);
  });

  it('says what is wrong and ends with 1 when the proxy keeps nothing', { timeout: 60_000 }, async () => {
    const lines: string[] = [];
    expect(await runDemo(line => lines.push(line), relay, FAST)).toBe(1);
    expect(lines.join('\n')).toContain('✗ the same, again: S3 was asked (1 GET), it should not have been.');
  });

  it('says what is wrong and ends with 1 when the proxy serves stale content', { timeout: 60_000 }, async () => {
    const lines: string[] = [];
    expect(await runDemo(line => lines.push(line), keepForEver, FAST)).toBe(1);
    expect(lines.join('\n')).toContain('✗ table, read after that: S3 was not asked, it should have been.');
    expect(lines.join('\n')).toContain('✗ a caller whom S3 denies it: S3 was not asked, it should have been.');
  });
});

/** A proxy that only passes on. */
function relay(settings: DemoSettings) {
  return proxyOf(settings, false);
}

/** A careless cache: one answer by method, URL and range, for everyone and for ever. */
function keepForEver(settings: DemoSettings) {
  return proxyOf(settings, true);
}

async function proxyOf({ connection_pool }: DemoSettings, keeps: boolean) {
  const { address } = Object.values(connection_pool.upstream_overrides)[0]!;
  const kept = new Map<string, { status: number; headers: string[]; body: Buffer }>();
  const server = createServer((incoming, outgoing) => {
    const name = `${incoming.method} ${incoming.url} ${incoming.headers.range}`;
    const found = keeps && incoming.method !== 'PUT' ? kept.get(name) : undefined;
    if (found) {
      outgoing.writeHead(found.status, found.headers).end(found.body);
      return;
    }
    const { pathname, search } = new URL(incoming.url!);
    const [host, port] = address.split(':');
    const onward = request({
      host,
      port,
      method: incoming.method,
      path: pathname + search,
      headers: incoming.rawHeaders,
    });
    incoming.pipe(onward);
    onward.on('response', async answer => {
      const chunks: Buffer[] = [];
      for await (const chunk of answer) chunks.push(chunk);
      const body = Buffer.concat(chunks);
      kept.set(name, { status: answer.statusCode!, headers: answer.rawHeaders, body });
      outgoing.writeHead(answer.statusCode!, answer.rawHeaders).end(body);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
