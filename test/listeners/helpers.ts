import { connect, type Socket } from 'node:net';
import {
  createConnectHandler,
  createForwardProxy,
  type ForwardProxy,
  type ForwardProxyOptions,
  type Handle,
  type RelayOptions,
  relay,
} from '../../proxy-core/listeners/index.ts';
import { createUpstream, type S3Upstream, type UpstreamOptions } from '../../proxy-core/upstream/index.ts';
import { STANDARD } from '../upstream/helpers.ts';

export interface Harness {
  readonly proxy: ForwardProxy;
  readonly upstream: S3Upstream;
  readonly port: number;
  readonly activity: { active_requests: number; active_connections: number };
  close(): Promise<void>;
}

export interface HarnessOptions {
  /** `host:port` that may be reached by plain HTTP. */
  readonly origins?: readonly string[];
  readonly upstream?: Partial<UpstreamOptions>;
  readonly proxy?: Partial<ForwardProxyOptions>;
  readonly relay?: RelayOptions;
  readonly tunnelIdle?: number;
  readonly handle?: Handle;
}

/** A proxy on a port of its own that relays everything. */
export async function startProxy(options: HarnessOptions = {}): Promise<Harness> {
  const named = (options.origins ?? []).map(key => [key, { scheme: 'http' as const, validate_tls: true }]);
  const upstream = createUpstream({
    ...STANDARD,
    upstreamOverrides: Object.fromEntries(named),
    ownAddresses: () => [{ address: '127.0.0.1', port: proxy.address.port }],
    ...options.upstream,
  });
  const activity = { active_requests: 0, active_connections: 0 };
  const proxy = createForwardProxy({
    handle: options.handle ?? (exchange => relay(exchange, upstream, options.relay)),
    // All requests that the fast lane can read begin there, and take the normal way from it.
    answerAtOnce: () => false,
    host: '127.0.0.1',
    port: 0,
    headerTimeout: 5_000,
    idleTimeout: 5_000,
    minBodyRate: 1,
    maxConnections: 1_000,
    maxRequests: 1_000,
    connect: createConnectHandler({ upstream, idleTimeout: options.tunnelIdle ?? 5_000 }),
    activity,
    ...options.proxy,
  });
  await proxy.listen();
  return {
    proxy,
    upstream,
    port: proxy.address.port,
    activity,
    close: async () => {
      await proxy.close(0);
      await upstream.close();
    },
  };
}

/** A client of raw bytes. */
export class RawClient {
  readonly socket: Socket;
  text = '';
  ended = false;
  closed = false;
  error: NodeJS.ErrnoException | undefined;
  readonly #changed: Set<() => void> = new Set();

  constructor(port: number, allowHalfOpen = true) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen });
    const changed = () => {
      for (const look of this.#changed) look();
    };
    this.socket
      .on('data', chunk => {
        this.text += chunk.toString('latin1');
        changed();
      })
      .on('end', () => {
        this.ended = true;
        changed();
      })
      .on('error', error => {
        this.error = error;
      })
      .on('close', () => {
        this.closed = true;
        changed();
      });
  }

  send(text: string): this {
    this.socket.write(text, 'latin1');
    return this;
  }

  /** Waits until `found` holds of what was received. */
  async until(found: (client: RawClient) => boolean): Promise<string> {
    await new Promise<void>((resolve, reject) => {
      const look = () => {
        if (found(this)) {
          this.#changed.delete(look);
          resolve();
        } else if (this.closed) {
          this.#changed.delete(look);
          reject(new Error(`closed after ${JSON.stringify(this.text)}`));
        }
      };
      this.#changed.add(look);
      look();
    });
    return this.text;
  }

  untilText(part: string): Promise<string> {
    return this.until(client => client.text.includes(part));
  }

  untilEnd(): Promise<string> {
    return this.until(client => client.ended || client.closed);
  }

  destroy(): void {
    this.socket.destroy();
  }
}
