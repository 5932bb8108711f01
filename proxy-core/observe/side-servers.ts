import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { METRICS_CONTENT_TYPE } from './metrics.ts';

export interface SideServerOptions {
  readonly bind_address: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** The one path that is answered, e.g. `/health`. */
  readonly endpoint: string;
}

export interface SideServer {
  /** `host:port` it listens on. */
  readonly address: string;
  readonly port: number;
  close(): Promise<void>;
}

/** What a health check found. Further fields are shown as they are. */
export interface Health {
  readonly ok: boolean;
  /** Sentences for a person: why it is not ok, or what else is wrong. */
  readonly reasons: readonly string[];
  readonly [more: string]: unknown;
}

/** Says which setting is concerned and what to do; whether that ends the start is for the caller to decide. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  /** The system's code: EADDRINUSE, EACCES, EADDRNOTAVAIL, … */
  readonly code: string;

  constructor(setting: string, { bind_address, port }: SideServerOptions, cause: NodeJS.ErrnoException) {
    super(`${setting}: can't listen on ${hostPort(bind_address, port)}: ${adviceOf(cause)}`, { cause });
    this.code = cause.code ?? 'UNKNOWN';
  }
}

/** Answers 200 while `check` says ok, else 503, with its findings as JSON. Rejects with {@link ListenError}. */
export function startHealthServer(
  options: SideServerOptions,
  check: () => Health | Promise<Health>,
): Promise<SideServer> {
  return start('health.port', options, async () => {
    const { ok, reasons, ...more } = await check();
    const body = JSON.stringify({ status: ok ? 'ok' : 'unavailable', reasons, ...more });
    return { status: ok ? 200 : 503, type: 'application/json', body: `${body}\n` };
  });
}

/** Answers with what `render` gives, in the Prometheus text format. Rejects with {@link ListenError}. */
export function startMetricsServer(
  options: SideServerOptions,
  render: () => string | Promise<string>,
): Promise<SideServer> {
  return start('metrics.port', options, async () => ({
    status: 200,
    type: METRICS_CONTENT_TYPE,
    body: await render(),
  }));
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly allow?: string;
}

async function start(setting: string, options: SideServerOptions, answer: () => Promise<Answer>): Promise<SideServer> {
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000, keepAliveTimeout: 15_000 });
  server.maxConnections = 100;
  server.on('request', (request, response) => {
    void decide(request, options.endpoint, answer).then(decided => send(request, response, decided));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', error => reject(new ListenError(setting, options, error)));
    server.listen(options.port, options.bind_address, resolve);
  });
  const { address, port } = server.address() as AddressInfo;
  return {
    address: hostPort(address, port),
    port,
    close: () =>
      new Promise((resolve, reject) => {
        server.close(error => (error ? reject(error) : resolve()));
        server.closeAllConnections();
      }),
  };
}

/** Never rejects. */
async function decide(request: IncomingMessage, endpoint: string, answer: () => Promise<Answer>): Promise<Answer> {
  const path = (request.url ?? '').split('?', 1)[0];
  if (path !== endpoint) return sentence(404, `There is only ${endpoint} here.`);
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { ...sentence(405, 'Only GET and HEAD are answered here.'), allow: 'GET, HEAD' };
  }
  try {
    return await answer();
  } catch (error) {
    return sentence(500, error instanceof Error ? error.message : String(error));
  }
}

function send(request: IncomingMessage, response: ServerResponse, { status, type, body, allow }: Answer): void {
  // A body nobody reads would hold the connection.
  request.resume();
  response.writeHead(status, {
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...(allow === undefined ? {} : { Allow: allow }),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

function sentence(status: number, text: string): Answer {
  return { status, type: 'text/plain; charset=utf-8', body: `${text}\n` };
}

function adviceOf({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'EADDRINUSE') return 'another process uses this port. Set another one, or 0 for any free port.';
  if (code === 'EACCES') return 'this user may not use this port. Set one from 1024 up.';
  if (code === 'EADDRNOTAVAIL') return 'this machine has no such address. Set bind_address to one it has.';
  return message;
}

function hostPort(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
