import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';
import {
  createUpstream,
  type ResponseHandler,
  type S3Upstream,
  type UpstreamOptions,
  type UpstreamRequest,
} from '../../proxy-core/upstream/index.ts';

/** An origin of raw sockets: the test sees the bytes that came and writes the bytes that go. */
export interface RawOrigin {
  readonly port: number;
  readonly heads: string[];
  readonly sockets: Set<Socket>;
  connections: number;
  close(): Promise<void>;
}

/** `answer` is called with each request head (up to the blank line) and what followed it in the same bytes. */
export async function rawOrigin(
  answer: (socket: Socket, head: string, rest: string, count: number) => void,
  host = '127.0.0.1',
  port = 0,
): Promise<RawOrigin> {
  const sockets = new Set<Socket>();
  const heads: string[] = [];
  const server: Server = createServer(socket => {
    origin.connections++;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    let seen = '';
    let body = 0;
    socket.on('data', chunk => {
      seen += chunk.toString('latin1');
      for (;;) {
        const skipped = Math.min(body, seen.length);
        body -= skipped;
        seen = seen.slice(skipped);
        const end = seen.indexOf('\r\n\r\n');
        // Chunked bodies are not taken apart: the test looks at their bytes itself.
        if (end < 0 || !/^[A-Z]+ \S+ HTTP/.test(seen)) break;
        const head = seen.slice(0, end);
        seen = seen.slice(end + 4);
        body = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
        heads.push(head);
        answer(socket, head, seen, heads.length);
      }
    });
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
  const origin: RawOrigin = {
    port: (server.address() as AddressInfo).port,
    heads,
    sockets,
    connections: 0,
    close: () =>
      new Promise(resolve => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
  return origin;
}

export const STANDARD: UpstreamOptions = {
  isS3: () => false,
  ownAddresses: () => [],
  anyHost: true,
  upstreamOverrides: {},
  endpointOverrides: {},
  dnsServers: [],
  dnsRefreshInterval: 60_000,
  connectTimeout: 2_000,
  firstByteTimeout: 5_000,
  idleTimeout: 5_000,
  keepAliveTimeout: 5_000,
  keepAlive: true,
  maxIdlePerAddress: 10,
  maxConnectionsPerAddress: 64,
  health: { threshold: 3, initialCooldown: 5_000, maxCooldown: 300_000 },
  upstreamProxy: '',
};

/** An upstream that may reach `host:port` on this machine by plain HTTP. */
export function plainTo(authority: string, more: Partial<UpstreamOptions> = {}): S3Upstream {
  const upstreamOverrides = { [authority]: { scheme: 'http' as const, validate_tls: true } };
  return createUpstream({ ...STANDARD, upstreamOverrides, ...more });
}

export interface Got {
  readonly status: number;
  readonly statusText: string;
  readonly headers: readonly string[];
  readonly body: Buffer;
  readonly trailers: readonly string[];
  readonly interim: readonly (readonly [number, readonly string[]])[];
}

export function get(upstream: S3Upstream, request: Partial<UpstreamRequest> & { authority: string }): Promise<Got> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const interim: [number, readonly string[]][] = [];
    let start: Pick<Got, 'status' | 'statusText' | 'headers'> | undefined;
    const handler: ResponseHandler = {
      onInformation: (status, _text, headers) => void interim.push([status, headers]),
      onHeaders: (status, statusText, headers) => {
        start = { status, statusText, headers };
      },
      onData: chunk => {
        chunks.push(Buffer.from(chunk));
        return true;
      },
      onComplete: trailers => resolve({ ...start!, body: Buffer.concat(chunks), trailers, interim }),
      onError: reject,
    };
    const headers = ['Host', request.authority];
    upstream.fetch({ method: 'GET', scheme: 'http', path: '/', headers, ...request }, handler);
  });
}
