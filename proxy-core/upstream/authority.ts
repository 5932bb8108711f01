import { isIP } from 'node:net';

/** What `Host`, an absolute-form target or a CONNECT target names. */
export interface Authority {
  /** Lower case, without brackets or a trailing dot. */
  readonly host: string;
  /** Undefined where none is spelled. */
  readonly port: number | undefined;
  readonly ip: 0 | 4 | 6;
}

/**
 * `name`, `name:port`, `1.2.3.4:port`, `[::1]:port` (RFC 9112 section 3.2, RFC 3986 section 3.2.2); undefined when it is
 * none of these. User information is refused (RFC 9110 section 4.2.4).
 */
export function parseAuthority(text: string): Authority | undefined {
  const known = memo.get(text);
  if (known) return known;
  const parsed = parse(text);
  if (parsed) {
    if (memo.size >= MEMO_LIMIT) memo.clear();
    memo.set(text, parsed);
  }
  return parsed;
}

/** The same two hosts and ports, whatever the case and whether the scheme's default port is spelled or not. */
export function sameAuthority(a: string, b: string, scheme: 'http' | 'https'): boolean {
  if (a === b) return true;
  const left = parseAuthority(a);
  const right = parseAuthority(b);
  const standard = defaultPort(scheme);
  return !!left && !!right && left.host === right.host && (left.port ?? standard) === (right.port ?? standard);
}

export function defaultPort(scheme: 'http' | 'https'): number {
  return scheme === 'https' ? 443 : 80;
}

/** `host:port`, with brackets where the host is an IPv6 address. */
export function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

// Clients ask for the same few hosts again and again; the bound is for those that don't.
const MEMO_LIMIT = 4096;
const memo = new Map<string, Authority>();

// Underscores are no letters of host names, but bucket names once had them. Percent escapes are left out on purpose.
const NAME = /^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?$/i;

function parse(text: string): Authority | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]@/?#\s]+))(?::(\d{1,5}))?$/i.exec(text);
  if (!match) return undefined;
  const port = match[3] === undefined ? undefined : Number(match[3]);
  if (port !== undefined && (port < 1 || port > 65_535)) return undefined;
  const [, v6, name] = match;
  if (v6 !== undefined) return isIP(v6) === 6 ? { host: v6.toLowerCase(), port, ip: 6 } : undefined;
  if (isIP(name!) === 4) return { host: name!, port, ip: 4 };
  // `127.1`, `0x7f.1` and `2130706433` are addresses to a resolver, and no names: none may slip past the policy as a name.
  if (/(^|\.)(\d+|0x[0-9a-f]*)\.?$/i.test(name!) || name!.length > 254 || !NAME.test(name!)) return undefined;
  return { host: name!.toLowerCase().replace(/\.$/, ''), port, ip: 0 };
}
