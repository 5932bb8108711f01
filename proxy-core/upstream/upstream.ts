import type { Agent } from 'node:http';
import type { Socket } from 'node:net';
import { LRUCache } from 'lru-cache';
import { CisternError } from '../errors.ts';
import type { RawHeaders } from '../request/index.ts';
import { hostPort, parseAuthority } from './authority.ts';
import { checkDestination, type OwnAddress } from './destination.ts';
import type { ProxyServer, TlsShared } from './dial.ts';
import { toCisternError } from './errors.ts';
import { Fetch, type FetchContext } from './fetch.ts';
import type { HealthOptions } from './health.ts';
import { type Overrides, type Plan, plan } from './overrides.ts';
import { createLookup, type Lookup, Resolver } from './resolver.ts';
import { type AbsoluteForm, Route } from './route.ts';
import { Target, type TargetOptions } from './target.ts';
import { createTrust } from './trust.ts';
import type { ResponseHandler, Upstream, UpstreamExchange, UpstreamRequest } from './types.ts';
import { Watchdog } from './watchdog.ts';

/** All times in milliseconds. */
export interface UpstreamOptions {
  /** Whether an authority (`host` or `host:port`) is S3's. */
  readonly isS3: (authority: string) => boolean;
  /** Addresses that Cistern listens on; asked for each connection. */
  readonly ownAddresses: () => readonly OwnAddress[];
  /** False on a listener that is not loopback: only S3 hosts and what overrides name are reached. */
  readonly anyHost: boolean;
  readonly upstreamOverrides: Overrides['upstreams'];
  readonly endpointOverrides: Overrides['endpoints'];
  /** Empty: the system's resolver. */
  readonly dnsServers: readonly string[];
  readonly dnsRefreshInterval: number;
  readonly connectTimeout: number;
  readonly firstByteTimeout: number;
  readonly idleTimeout: number;
  /** How long an unused connection is kept. */
  readonly keepAliveTimeout: number;
  readonly keepAlive: boolean;
  readonly maxIdlePerAddress: number;
  readonly maxConnectionsPerAddress: number;
  readonly health: HealthOptions;
  /** `http://user:password@host:port`, or empty. */
  readonly upstreamProxy: string;
  /** Instead of the resolver that `dnsServers` asks for. */
  readonly lookup?: Lookup;
  /** A connection could not be made because this process may open no more files. */
  readonly onOutOfDescriptors?: (() => void) | undefined;
  /** PEM certificates to trust instead of the system's. */
  readonly authorities?: readonly string[];
}

/** One way to send a request with `node:http`: an agent that only ever dials the address that was checked. */
export interface RelayRoute {
  readonly agent: Agent;
  readonly path: (path: string) => string;
  readonly headers: (headers: RawHeaders) => RawHeaders;
}

export interface S3Upstream extends Upstream {
  /** For requests that undici refuses: with a body, `Expect`, trailers. Asks for a different address after each failure. */
  relayRoute(authority: string, scheme: 'http' | 'https'): Promise<RelayRoute>;
  /** A plain connection for a tunnel, to `host:port`. */
  tunnel(authority: string): Promise<Socket>;
  /** Rejects where the policy forbids the destination; nothing is connected. */
  checkTunnel(authority: string): Promise<void>;
  /** Whether an upstream override says how `host:port` is reached. */
  isOverridden(authority: string): boolean;
  readonly watchdog: Watchdog;
  readonly firstByteTicks: number;
  readonly idleTicks: number;
}

export function createUpstream(options: UpstreamOptions): S3Upstream {
  return new PooledUpstream(options);
}

class PooledUpstream implements S3Upstream {
  readonly watchdog: Watchdog;
  readonly firstByteTicks: number;
  readonly idleTicks: number;
  readonly #options: UpstreamOptions;
  readonly #overrides: Overrides;
  readonly #proxy: ProxyServer | undefined;
  readonly #resolver: Resolver;
  readonly #targets = new Map<string, Target>();
  readonly #targetOptions: TargetOptions;
  readonly #tls: TlsShared;
  readonly #plans = new LRUCache<string, Plan>({ max: 10_000 });
  readonly #routes = new LRUCache<Plan, { route: Route; version: number }>({
    max: 10_000,
    ttl: 600_000,
    updateAgeOnGet: true,
  });
  readonly #housekeeping: NodeJS.Timeout;
  readonly #context: FetchContext;
  #closed = false;

  constructor(options: UpstreamOptions) {
    this.#options = options;
    this.#overrides = { upstreams: options.upstreamOverrides, endpoints: options.endpointOverrides };
    this.#tls = { trust: createTrust(options.authorities), sessions: new Map() };
    this.#proxy = options.upstreamProxy === '' ? undefined : proxyServer(options.upstreamProxy);
    this.#resolver = new Resolver({
      lookup: options.lookup ?? createLookup(options.dnsServers),
      refreshInterval: options.dnsRefreshInterval,
    });
    this.watchdog = new Watchdog(Math.min(options.firstByteTimeout, options.idleTimeout));
    this.firstByteTicks = this.watchdog.ticks(options.firstByteTimeout);
    this.idleTicks = this.watchdog.ticks(options.idleTimeout);
    this.#targetOptions = {
      connectTimeout: options.connectTimeout,
      idleTimeout: options.keepAliveTimeout,
      keepAlive: options.keepAlive,
      maxIdle: options.maxIdlePerAddress,
      maxConnections: options.maxConnectionsPerAddress,
      health: options.health,
      onOutOfDescriptors: options.onOutOfDescriptors,
      check: (ip, port) => this.#refuse(ip, port, { s3: true, named: true }, hostPort(ip, port)),
    };
    this.#context = {
      watchdog: this.watchdog,
      firstByte: this.firstByteTicks,
      idle: this.idleTicks,
      route: (authority, scheme) => this.#route(this.#plan(authority, scheme)),
    };
    this.#housekeeping = setInterval(() => this.#prune(), 60_000).unref();
  }

  fetch(request: UpstreamRequest, handler: ResponseHandler): UpstreamExchange {
    const fetch = new Fetch(this.#context, request, handler);
    fetch.start();
    return fetch;
  }

  async relayRoute(authority: string, scheme: 'http' | 'https'): Promise<RelayRoute> {
    const route = await this.#routeOrError(this.#plan(authority, scheme), authority);
    return { agent: route.pick().agent, path: path => route.path(path), headers: headers => route.headers(headers) };
  }

  async tunnel(authority: string): Promise<Socket> {
    const route = await this.#routeOrError(this.#tunnelPlan(authority), authority);
    const target = route.pick();
    return new Promise((resolve, reject) => {
      target.dial((error, socket) => (socket ? resolve(socket) : reject(toCisternError(error, authority))));
    });
  }

  async checkTunnel(authority: string): Promise<void> {
    await this.#routeOrError(this.#tunnelPlan(authority), authority);
  }

  isOverridden(authority: string): boolean {
    return this.#tunnelPlan(authority).overridden;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#housekeeping);
    this.#resolver.close();
    this.watchdog.close();
    for (const target of this.#targets.values()) target.close();
    this.#targets.clear();
  }

  #plan(authority: string, scheme: 'http' | 'https'): Plan {
    if (this.#closed) throw new CisternError('ShuttingDown');
    const key = `${scheme}:${authority}`;
    const known = this.#plans.get(key);
    if (known) return known;
    const parsed = parseAuthority(authority);
    if (!parsed) throw new CisternError('InvalidHost', `(${authority})`);
    const made = plan(parsed, scheme, this.#overrides, this.#options.isS3(authority));
    this.#plans.set(key, made);
    return made;
  }

  /** A tunnel carries the client's own TLS to the port it asked for. */
  #tunnelPlan(authority: string): Plan {
    const key = `tunnel:${authority}`;
    const known = this.#plans.get(key);
    if (known) return known;
    const asked = parseAuthority(authority);
    if (asked?.port === undefined)
      throw new CisternError('InvalidRequest', `(CONNECT needs host:port, not ${authority})`);
    const ordinary = this.#plan(authority, asked.port === 80 ? 'http' : 'https');
    const port = ordinary.overridden ? ordinary.port : asked.port;
    const made: Plan = { ...ordinary, port, tls: undefined, tunnel: true };
    this.#plans.set(key, made);
    return made;
  }

  #route(plan: Plan): Route | Promise<Route> {
    const proxied = this.#proxy && !plan.named;
    const host = proxied ? this.#proxy.host : plan.host;
    if (plan.addresses && !proxied) return this.#routeTo(plan, plan.addresses, 1);
    if (isAddress(host)) return this.#routeTo(plan, [host], 1);
    const resolved = this.#resolver.resolve(host);
    return resolved instanceof Promise
      ? resolved.then(found => this.#routeTo(plan, found.addresses, found.version))
      : this.#routeTo(plan, resolved.addresses, resolved.version);
  }

  async #routeOrError(plan: Plan, authority: string): Promise<Route> {
    try {
      return await this.#route(plan);
    } catch (error) {
      throw toCisternError(error, authority);
    }
  }

  #routeTo(plan: Plan, addresses: readonly string[], version: number): Route {
    const known = this.#routes.get(plan);
    if (known && known.version === version) return known.route;
    const targets: Target[] = [];
    let refusal: unknown;
    for (const ip of addresses) {
      try {
        targets.push(this.#target(plan, ip));
      } catch (error) {
        refusal = error;
      }
    }
    if (targets.length === 0) throw refusal;
    const route = new Route(plan, targets, this.#absoluteForm(plan));
    this.#routes.set(plan, { route, version });
    return route;
  }

  /** The target for an address that the policy allows. Connections are shared only where address and TLS name are the same. */
  #target(plan: Plan, ip: string): Target {
    const proxy = plan.named ? undefined : this.#proxy;
    const port = proxy ? proxy.port : plan.port;
    const what = hostPort(plan.host, plan.port);
    if (!proxy) this.#refuse(ip, port, plan, what);
    else if (isAddress(plan.host)) this.#refuse(plan.host, plan.port, plan, what);
    else if (!this.#options.anyHost && !plan.s3) throw new CisternError('AccessDenied', `(${what})`);
    const to = hostPort(plan.host, plan.port);
    const key = [
      ip,
      port,
      plan.tls ? `${plan.tls.validate} ${plan.tls.name}` : '',
      proxy ? `${to} ${plan.tunnel}` : '',
    ].join(' ');
    let target = this.#targets.get(key);
    if (!target) {
      const via = proxy && { proxy, to, tunnel: plan.tls !== undefined || plan.tunnel };
      target = new Target({ ip, port, tls: plan.tls, via }, this.#targetOptions, this.#tls);
      this.#targets.set(key, target);
    }
    return target;
  }

  #refuse(ip: string, port: number, what: { readonly s3: boolean; readonly named: boolean }, name: string): void {
    const { anyHost, ownAddresses } = this.#options;
    const verdict = checkDestination({ ip, port, s3: what.s3, named: what.named }, { anyHost, own: ownAddresses() });
    if (verdict !== 'allowed') throw new CisternError(verdict, `(${name})`);
  }

  #absoluteForm(plan: Plan): AbsoluteForm | undefined {
    if (!this.#proxy || plan.named || plan.tls || plan.tunnel) return undefined;
    const { authorization } = this.#proxy;
    return {
      prefix: `http://${plan.port === 80 ? plan.host : hostPort(plan.host, plan.port)}`,
      headers: authorization ? ['Proxy-Authorization', authorization] : [],
    };
  }

  /** Addresses that no route has any more are given up once nothing uses them. */
  #prune(): void {
    this.#routes.purgeStale();
    const current = new Set<Target>();
    for (const { route } of this.#routes.values()) for (const target of route.targets) current.add(target);
    for (const [key, target] of this.#targets) {
      if (current.has(target) || target.inUse) continue;
      this.#targets.delete(key);
      target.close();
    }
  }
}

function isAddress(host: string): boolean {
  return host.includes(':') || /^\d+\.\d+\.\d+\.\d+$/.test(host);
}

function proxyServer(url: string): ProxyServer {
  const { protocol, hostname, port, username, password } = new URL(url);
  const tls = protocol === 'https:';
  const credentials = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`);
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? (tls ? 443 : 80) : Number(port),
    tls,
    authorization: username === '' ? undefined : `Basic ${credentials.toString('base64')}`,
  };
}
