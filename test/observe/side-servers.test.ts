import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type Health,
  ListenError,
  type SideServer,
  startHealthServer,
  startMetricsServer,
} from '../../proxy-core/observe/index.ts';

const open: SideServer[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map(server => server.close()));
});

async function health(check: () => Health, endpoint = '/health'): Promise<string> {
  const server = await startHealthServer({ bind_address: '127.0.0.1', port: 0, endpoint }, check);
  open.push(server);
  return `http://${server.address}`;
}

describe('the health server', () => {
  it('answers 200 while all is well, and 503 with the reasons once it is not', async () => {
    let state: Health = { ok: true, reasons: [], version: '1.0.0' };
    const url = `${await health(() => state)}/health`;
    const well = await fetch(url);
    expect(well.status).toBe(200);
    expect(well.headers.get('content-type')).toBe('application/json');
    expect(well.headers.get('cache-control')).toBe('no-store');
    expect(await well.json()).toEqual({ status: 'ok', reasons: [], version: '1.0.0' });
    state = { ok: false, reasons: ['The cache folder is read-only.'] };
    const ill = await fetch(url);
    expect(ill.status).toBe(503);
    expect(await ill.json()).toEqual({ status: 'unavailable', reasons: ['The cache folder is read-only.'] });
  });

  it('answers HEAD with the same head and no body', async () => {
    const url = `${await health(() => ({ ok: false, reasons: ['x'] }))}/health`;
    const [get, head] = [await fetch(url), await fetch(url, { method: 'HEAD' })];
    expect(head.status).toBe(503);
    expect(head.headers.get('content-length')).toBe(get.headers.get('content-length'));
    expect(await head.text()).toBe('');
  });

  it.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])('answers %s with 405 and what is allowed', async method => {
    const answer = await fetch(`${await health(() => ({ ok: true, reasons: [] }))}/health`, { method });
    expect(answer.status).toBe(405);
    expect(answer.headers.get('allow')).toBe('GET, HEAD');
  });

  it.each(['/', '/health/', '/healthz', '/Health', '/metrics'])('answers %s with 404', async path => {
    expect((await fetch((await health(() => ({ ok: true, reasons: [] }))) + path)).status).toBe(404);
  });

  it('answers on the path it was given, with or without a query', async () => {
    const base = await health(() => ({ ok: true, reasons: [] }), '/alive');
    expect((await fetch(`${base}/alive?verbose=1`)).status).toBe(200);
    expect((await fetch(`${base}/health`)).status).toBe(404);
  });

  it('answers 500 when the check itself fails, and lives on', async () => {
    const url = `${await health(() => {
      throw new Error('no counters');
    })}/health`;
    for (let i = 0; i < 2; i++) {
      const answer = await fetch(url);
      expect(answer.status).toBe(500);
      expect(await answer.text()).toContain('no counters');
    }
  });

  it('reports a busy port with the setting, the address and what to do', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise(resolve => other.once('listening', resolve));
    const { port } = other.address() as AddressInfo;
    const options = { bind_address: '127.0.0.1', port, endpoint: '/health' };
    try {
      const error = await startHealthServer(options, () => ({ ok: true, reasons: [] })).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(ListenError);
      expect((error as ListenError).code).toBe('EADDRINUSE');
      expect((error as ListenError).message).toBe(
        `health.port: can't listen on 127.0.0.1:${port}: another process uses this port. Set another one, or 0 for any free port.`,
      );
    } finally {
      other.close();
    }
  });

  it('reports an address this machine does not have', async () => {
    const options = { bind_address: '192.0.2.1', port: 0, endpoint: '/health' };
    await expect(startHealthServer(options, () => ({ ok: true, reasons: [] }))).rejects.toThrow(
      /health\.port.*192\.0\.2\.1/,
    );
  });

  it('ends on close even while a client keeps its connection', async () => {
    const server = await startHealthServer({ bind_address: '127.0.0.1', port: 0, endpoint: '/health' }, () => ({
      ok: true,
      reasons: [],
    }));
    await (await fetch(`http://${server.address}/health`)).text();
    await server.close();
    await expect(fetch(`http://${server.address}/health`)).rejects.toThrow();
  });
});

describe('the metrics server', () => {
  it('answers each scrape anew, in the Prometheus text format', async () => {
    let scrapes = 0;
    const server = await startMetricsServer(
      { bind_address: '127.0.0.1', port: 0, endpoint: '/metrics' },
      () => `n ${++scrapes}\n`,
    );
    open.push(server);
    const answer = await fetch(`http://127.0.0.1:${server.port}/metrics`);
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(await answer.text()).toBe('n 1\n');
    expect(await (await fetch(`http://127.0.0.1:${server.port}/metrics`)).text()).toBe('n 2\n');
  });
});
