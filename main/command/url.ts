import { isIPv6 } from 'node:net';

/** URL at which this machine reaches a listener bound to `address`. */
export function reachable(address: string, port: number): string {
  const host = address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address;
  return `http://${isIPv6(host) ? `[${host}]` : host}:${port}`;
}
