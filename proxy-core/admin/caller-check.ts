import { isIP } from 'node:net';

/** What of a dashboard request tells who is asking. */
export interface CallerFacts {
  readonly host: string | undefined;
  readonly origin: string | undefined;
  /** The address the connection came in on. */
  readonly localAddress: string | undefined;
}

/**
 * Whether a request may see the dashboard: undefined when it may, else why not.
 *
 * Against DNS rebinding, the Host must be a name that no outsider can point at this machine: localhost, the bound
 * address, or the very IP address the connection arrived on. Against other pages in the person's browser, an Origin must
 * be the dashboard's own.
 */
export function refuseCaller(facts: CallerFacts, bindAddress: string): string | undefined {
  const host = facts.host?.toLowerCase();
  const name = host === undefined ? undefined : hostName(host);
  if (name === undefined) return 'The request has no valid Host header.';
  const bound = bindAddress.toLowerCase();
  const known =
    name === 'localhost' ||
    name === '127.0.0.1' ||
    name === '::1' ||
    name === bound ||
    (isIP(name) !== 0 && name === plainAddress(facts.localAddress));
  if (!known) return `The dashboard is not served under the name ${name}. Use its IP address, or localhost.`;
  if (facts.origin !== undefined && facts.origin.toLowerCase() !== `http://${host}`) {
    return 'The dashboard answers only its own pages.';
  }
  return undefined;
}

/** The name of `name`, `name:port` or `[ipv6]:port`, without brackets. */
function hostName(host: string): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^\s:/@[\]]+))(?::\d{1,5})?$/.exec(host);
  return match?.[1] ?? match?.[2];
}

/** IPv4 peers of a dual-stack socket are written `::ffff:192.0.2.1`. */
function plainAddress(address: string | undefined): string | undefined {
  return address?.toLowerCase().replace(/^::ffff:(?=\d+\.)/, '');
}
