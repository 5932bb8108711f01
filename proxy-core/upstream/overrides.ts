import { type Authority, defaultPort, parseAuthority } from './authority.ts';

/** `connection_pool.upstream_overrides`: how an S3-compatible store is reached. */
export interface UpstreamOverride {
  readonly scheme: 'http' | 'https';
  /** `host` or `host:port` to dial instead. */
  readonly address?: string;
  readonly validate_tls: boolean;
}

export interface Overrides {
  /** `host:port` → how. A name also covers its subdomains (longest wins), an address only itself. */
  readonly upstreams: Readonly<Record<string, UpstreamOverride>>;
  /** Host or `*.suffix` → addresses; exact before suffix, the longest suffix wins. */
  readonly endpoints: Readonly<Record<string, readonly string[]>>;
}

/** How an authority is to be reached, before any name is looked up. */
export interface Plan {
  readonly scheme: 'http' | 'https';
  /** Name or address that is dialled. */
  readonly host: string;
  readonly port: number;
  /** Given by an endpoint override: no name is looked up. */
  readonly addresses: readonly string[] | undefined;
  /** Name that the certificate must have (the caller's host, whatever is dialled), and whether it is checked. */
  readonly tls: { readonly name: string; readonly validate: boolean } | undefined;
  /** The person named this destination in an override: the rules for destinations (design 12) don't apply. */
  readonly named: boolean;
  /** It was an upstream override. */
  readonly overridden: boolean;
  readonly s3: boolean;
  /** Bytes of the client's own, in a tunnel. */
  readonly tunnel: boolean;
}

/** Pure: what overrides, and failing those the rules for S3 and other hosts, say about an authority. */
export function plan(authority: Authority, scheme: 'http' | 'https', overrides: Overrides, s3: boolean): Plan {
  const { host } = authority;
  const asked = authority.port ?? defaultPort(scheme);
  const override = upstreamOverride(host, authority.ip, asked, overrides.upstreams);
  const addresses = endpointOverride(host, overrides.endpoints);
  if (override) {
    const target = override.address === undefined ? undefined : parseAuthority(override.address);
    return {
      scheme: override.scheme,
      host: target?.host ?? host,
      port: target?.port ?? (asked === defaultPort(scheme) ? defaultPort(override.scheme) : asked),
      addresses: target ? undefined : addresses,
      tls: override.scheme === 'https' ? { name: host, validate: override.validate_tls } : undefined,
      named: true,
      overridden: true,
      s3,
      tunnel: false,
    };
  }
  // S3 is reached by verified TLS, whatever scheme the client used to reach Cistern.
  const reached = s3 ? 'https' : scheme;
  return {
    scheme: reached,
    host,
    port: s3 ? 443 : asked,
    addresses,
    tls: reached === 'https' ? { name: host, validate: true } : undefined,
    named: addresses !== undefined,
    overridden: false,
    s3,
    tunnel: false,
  };
}

export function upstreamOverride(
  host: string,
  ip: 0 | 4 | 6,
  port: number,
  overrides: Overrides['upstreams'],
): UpstreamOverride | undefined {
  if (ip === 6) return own(overrides, `[${host}]:${port}`);
  if (ip === 4) return own(overrides, `${host}:${port}`);
  for (let name: string | undefined = host; name !== undefined; name = parent(name)) {
    const found = own(overrides, `${name}:${port}`);
    if (found) return found;
  }
  return undefined;
}

export function endpointOverride(host: string, overrides: Overrides['endpoints']): readonly string[] | undefined {
  const exact = own(overrides, host);
  if (exact) return exact;
  for (let name = parent(host); name !== undefined; name = parent(name)) {
    const found = own(overrides, `*.${name}`);
    if (found) return found;
  }
  return undefined;
}

/** `b.example.com` → `example.com`; a suffix is whole labels, so `*.foo.com` never covers `evilfoo.com`. */
function parent(name: string): string | undefined {
  const dot = name.indexOf('.');
  return dot < 0 ? undefined : name.slice(dot + 1);
}

/** `constructor` and its like are names that hosts can have, too. */
function own<T>(map: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(map, key) ? map[key] : undefined;
}
