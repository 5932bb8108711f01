import { isIP } from 'node:net';

/** How a host of an S3-compatible store addresses buckets. `origin` is the override's key in its canonical spelling. */
export interface CompatibleHost {
  readonly origin: string;
  readonly style: 'path' | 'virtual';
  readonly bucket?: string | undefined;
}

/**
 * Makes the question "is this authority an S3-compatible store?" from the keys of `upstream_overrides`. A key is
 * `host:port`; without a port it stands for the scheme's default one. A name also covers what is below it: there the host
 * says the bucket.
 */
export function compatibleHosts(keys: Iterable<string>): (authority: string) => CompatibleHost | undefined {
  const origins = compatibleStores(keys);
  if (origins.size === 0) return () => undefined;
  return authority => {
    const own = canonicalAuthority(authority);
    if (origins.has(own)) return { origin: own, style: 'path' };
    // The longest key wins, so that a store below another's name keeps its own buckets.
    for (let dot = own.indexOf('.'); dot >= 0; dot = own.indexOf('.', dot + 1)) {
      const parent = own.slice(dot + 1);
      if (origins.has(parent) && isIP(splitAuthority(parent).host) === 0) {
        return { origin: parent, style: 'virtual', bucket: own.slice(0, dot) };
      }
    }
    return undefined;
  };
}

/** The S3-compatible stores that override keys name, in their canonical spelling. */
export function compatibleStores(keys: Iterable<string>): ReadonlySet<string> {
  return new Set([...keys].map(canonicalAuthority));
}

/** An authority in one spelling: lower case, no trailing dot, no `:80` or `:443`. */
export function canonicalAuthority(authority: string): string {
  const { host, port } = splitAuthority(authority);
  return port === undefined || port === '80' || port === '443' ? host : `${host}:${port}`;
}

/** Host in lower case (IPv6 in brackets) without its trailing dot, and the port as it is spelled. */
export function splitAuthority(authority: string): { readonly host: string; readonly port: string | undefined } {
  const lower = authority.toLowerCase();
  const colon = lower.indexOf(':', lower.startsWith('[') ? lower.indexOf(']') : 0);
  const name = colon < 0 ? lower : lower.slice(0, colon);
  const port = colon < 0 || colon === lower.length - 1 ? undefined : lower.slice(colon + 1);
  return { host: name.length > 1 && name.endsWith('.') ? name.slice(0, -1) : name, port };
}
