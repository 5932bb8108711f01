import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { refuseCaller } from './caller-check.ts';
import { loadRendererFiles, RENDERER_HEADERS, type RendererFile } from './renderer-files.ts';
import type { StatusSnapshot } from './snapshot.ts';

export interface DashboardOptions {
  readonly bind_address: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** The built web UI (dist/renderer). */
  readonly rendererDir: string;
}

export interface Dashboard {
  /** `host:port` it listens on. */
  readonly address: string;
  close(): Promise<void>;
}

export interface StatusSource {
  status(): StatusSnapshot | Promise<StatusSnapshot>;
}

/**
 * Serves the web UI and `GET /api/status` read-only. Rejects with the system's error (`EADDRINUSE`, …) when it can't
 * listen, and with `ENOENT` when the web UI is not built.
 */
export async function startDashboard(options: DashboardOptions, source: StatusSource): Promise<Dashboard> {
  const files = await loadRendererFiles(options.rendererDir);
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000, keepAliveTimeout: 15_000 });
  server.maxConnections = 50;
  server.on('request', (request, response) => {
    void decide(request, options.bind_address, files, source).then(
      answer => send(response, answer),
      (error: Error) => send(response, text(500, error.message)),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.bind_address, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return {
    address: hostPort(server.address() as AddressInfo),
    close: () =>
      new Promise((resolve, reject) => {
        if (!server.listening) return resolve();
        server.close(error => (error ? reject(error) : resolve()));
        server.closeAllConnections();
      }),
  };
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string | Buffer;
  readonly caching: 'no-store' | 'no-cache';
}

async function decide(
  request: IncomingMessage,
  bindAddress: string,
  files: ReadonlyMap<string, RendererFile>,
  source: StatusSource,
): Promise<Answer> {
  const { host, origin } = request.headers;
  const refusal = refuseCaller({ host, origin, localAddress: request.socket.localAddress }, bindAddress);
  if (refusal !== undefined) return text(403, refusal);
  if (request.method !== 'GET' && request.method !== 'HEAD') return text(405, 'Only GET and HEAD are answered here.');
  const path = (request.url ?? '').split('?', 1)[0]!;
  if (path === '/api/status') {
    const body = JSON.stringify(await source.status());
    return { status: 200, type: 'application/json; charset=utf-8', body, caching: 'no-store' };
  }
  const file = files.get(path);
  if (file === undefined) return text(404, 'There is no such page.');
  return { status: 200, type: file.type, body: file.body, caching: 'no-cache' };
}

function text(status: number, sentence: string): Answer {
  return { status, type: 'text/plain; charset=utf-8', body: `${sentence}\n`, caching: 'no-store' };
}

/** Node leaves the body out of an answer to HEAD. */
function send(response: ServerResponse, { status, type, body, caching }: Answer): void {
  response.writeHead(status, {
    ...RENDERER_HEADERS,
    ...(status === 405 ? { Allow: 'GET, HEAD' } : {}),
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': caching,
  });
  response.end(body);
}

function hostPort({ address, family, port }: AddressInfo): string {
  return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
}
