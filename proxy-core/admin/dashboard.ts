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

/**
 * Serves the web UI and `GET /api/status` read-only. Rejects with the system's error (`EADDRINUSE`, …) when it can't
 * listen, and with `ENOENT` when the web UI is not built.
 */
export async function startDashboard(
  options: DashboardOptions,
  source: { status(): StatusSnapshot },
): Promise<Dashboard> {
  const files = await loadRendererFiles(options.rendererDir);
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000, keepAliveTimeout: 15_000 });
  server.maxConnections = 50;
  server.on('request', (request, response) => {
    answer(request, response, options.bind_address, files, source);
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
        server.close(error => (error ? reject(error) : resolve()));
        server.closeAllConnections();
      }),
  };
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  bindAddress: string,
  files: ReadonlyMap<string, RendererFile>,
  source: { status(): StatusSnapshot },
): void {
  const { host, origin } = request.headers;
  const refusal = refuseCaller({ host, origin, localAddress: request.socket.localAddress }, bindAddress);
  if (refusal !== undefined) return say(response, 403, refusal);
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    return say(response, 405, 'The dashboard only answers GET and HEAD.');
  }
  const path = (request.url ?? '').split('?', 1)[0]!;
  if (path === '/api/status') {
    return send(response, 200, 'application/json; charset=utf-8', JSON.stringify(source.status()), 'no-store');
  }
  const file = files.get(path);
  if (file === undefined) return say(response, 404, 'There is no such page.');
  return send(response, 200, file.type, file.body, 'no-cache');
}

function say(response: ServerResponse, status: number, text: string): void {
  send(response, status, 'text/plain; charset=utf-8', `${text}\n`, 'no-store');
}

/** Node leaves the body out of an answer to HEAD. */
function send(response: ServerResponse, status: number, type: string, body: string | Buffer, caching: string): void {
  response.writeHead(status, {
    ...RENDERER_HEADERS,
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': caching,
  });
  response.end(body);
}

function hostPort({ address, family, port }: AddressInfo): string {
  return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
}
