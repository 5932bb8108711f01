import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type IncomingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Dashboard, startDashboard } from '../../proxy-core/admin/index.ts';
import { Counters } from '../../proxy-core/observe/index.ts';
import { snapshotOf } from './fixtures.ts';

let rendererDir: string;
let dashboard: Dashboard;
const counters = new Counters();

beforeEach(async () => {
  rendererDir = await mkdtemp(join(tmpdir(), 'cistern-renderer-'));
  for (const name of ['index.html', 'style.css', 'main.js', 'icon.svg']) await writeFile(join(rendererDir, name), name);
  await writeFile(join(rendererDir, 'secret.txt'), 'not part of the web UI');
  dashboard = await startDashboard(
    { bind_address: '127.0.0.1', port: 0, rendererDir },
    { status: () => snapshotOf(counters) },
  );
});

afterEach(async () => {
  await dashboard.close();
  await rm(rendererDir, { recursive: true });
});

describe('the dashboard', () => {
  it('serves the page, its script and its style with their types and a policy', async () => {
    for (const [path, type, body] of [
      ['/', 'text/html; charset=utf-8', 'index.html'],
      ['/index.html?x=1', 'text/html; charset=utf-8', 'index.html'],
      ['/main.js', 'text/javascript; charset=utf-8', 'main.js'],
      ['/style.css', 'text/css; charset=utf-8', 'style.css'],
    ] as const) {
      const answer = await ask(path);
      expect(answer.status).toBe(200);
      expect(answer.headers['content-type']).toBe(type);
      expect(answer.body).toBe(body);
      expect(answer.headers['content-security-policy']).toContain("default-src 'none'");
      expect(answer.headers['x-content-type-options']).toBe('nosniff');
    }
  });

  it('answers /api/status with what is true at that moment', async () => {
    counters.hits = 1;
    expect(JSON.parse((await ask('/api/status')).body).counters.hits).toBe(1);
    counters.hits = 2;
    const answer = await ask('/api/status');
    expect(JSON.parse(answer.body).counters.hits).toBe(2);
    expect(answer.headers['cache-control']).toBe('no-store');
  });

  it.each(['/secret.txt', '/../secret.txt', '/%2e%2e/secret.txt', '/api', '/api/status/', '//index.html'])(
    'knows nothing at %s',
    async path => {
      expect((await ask(path)).status).toBe(404);
    },
  );

  it('answers HEAD without a body, and any other method with 405', async () => {
    const head = await ask('/', { method: 'HEAD' });
    expect([head.status, head.body, head.headers['content-length']]).toEqual([200, '', '10']);
    const post = await ask('/api/status', { method: 'POST' });
    expect([post.status, post.headers.allow]).toEqual([405, 'GET, HEAD']);
  });

  it('shows a rebound name or a foreign page nothing', async () => {
    for (const headers of [{ Host: 'evil.example:8081' }, { Origin: 'http://evil.example' }]) {
      const answer = await ask('/api/status', { headers });
      expect(answer.status).toBe(403);
      expect(answer.body).not.toContain('counters');
    }
  });

  it('rejects with the reason where the port is taken', async () => {
    const port = Number(dashboard.address.split(':')[1]);
    const second = startDashboard({ bind_address: '127.0.0.1', port, rendererDir }, { status: () => snapshotOf() });
    await expect(second).rejects.toMatchObject({ code: 'EADDRINUSE', port });
  });

  it('rejects where the web UI is not built, naming the file', async () => {
    const started = startDashboard(
      { bind_address: '127.0.0.1', port: 0, rendererDir: join(rendererDir, 'none') },
      { status: () => snapshotOf() },
    );
    await expect(started).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

function ask(path: string, options: { method?: string; headers?: Record<string, string> } = {}) {
  const [hostname, port] = dashboard.address.split(':');
  return new Promise<{ status: number; headers: IncomingHttpHeaders; body: string }>((resolve, reject) => {
    const sent = request({ hostname, port, path, ...options }, async response => {
      let body = '';
      for await (const chunk of response.setEncoding('utf8')) body += chunk;
      resolve({ status: response.statusCode!, headers: response.headers, body });
    });
    sent.on('error', reject).end();
  });
}
