import { BlockList, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

/** An address that Cistern listens on. */
export interface OwnAddress {
  readonly address: string;
  readonly port: number;
}

export interface Destination {
  readonly ip: string;
  readonly port: number;
  readonly s3: boolean;
  /** Named by an override. */
  readonly named: boolean;
}

export interface DestinationPolicy {
  /** On a loopback listener any host may be reached; on a wider one S3 and what overrides name. */
  readonly anyHost: boolean;
  readonly own: readonly OwnAddress[];
}

/**
 * Whether an address may be dialled (design 12, last paragraph). Pure but for the machine's own addresses, which decide
 * what a listener on a wildcard address covers.
 */
export function checkDestination(
  to: Destination,
  policy: DestinationPolicy,
  machine: () => readonly string[] = machineAddresses,
): 'allowed' | 'LoopDetected' | 'AccessDenied' {
  const ip = unmapped(to.ip);
  if (policy.own.some(own => own.port === to.port && covers(unmapped(own.address), ip, machine))) return 'LoopDetected';
  if (to.named) return 'allowed';
  if (isNever(ip)) return 'AccessDenied';
  return policy.anyHost || to.s3 ? 'allowed' : 'AccessDenied';
}

/** Loopback, link-local (instance metadata with it), unspecified, multicast and broadcast addresses. */
export function isNever(ip: string): boolean {
  return never.check(ip, isIP(ip) === 6 ? 'ipv6' : 'ipv4');
}

const never = new BlockList();
never.addSubnet('0.0.0.0', 8);
never.addSubnet('127.0.0.0', 8);
never.addSubnet('169.254.0.0', 16);
never.addSubnet('224.0.0.0', 4);
never.addAddress('255.255.255.255');
// EC2's instance metadata and container credentials over IPv6, and the metadata of Alibaba and Oracle clouds over IPv4.
never.addAddress('fd00:ec2::254', 'ipv6');
never.addAddress('fd00:ec2::23', 'ipv6');
never.addAddress('100.100.100.200');
never.addAddress('192.0.0.192');
never.addSubnet('::', 127, 'ipv6');
never.addSubnet('fe80::', 10, 'ipv6');
never.addSubnet('ff00::', 8, 'ipv6');

function covers(own: string, ip: string, machine: () => readonly string[]): boolean {
  if (own === ip) return true;
  if (own !== '0.0.0.0' && own !== '::') return false;
  return ip === '0.0.0.0' || ip === '::' || ip === '::1' || ip.startsWith('127.') || machine().includes(ip);
}

/** `::ffff:127.0.0.1`, also spelled in hex, and NAT64's `64:ff9b::127.0.0.1` are `127.0.0.1`; others in their shortest form. */
function unmapped(ip: string): string {
  if (isIP(ip) !== 6) return ip;
  const short = new URL(`http://[${ip.replace(/%.*$/, '')}]`).hostname.slice(1, -1);
  const inner = /^(?:::ffff:|64:ff9b::)([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(short);
  if (!inner) return short;
  const [high, low] = [Number.parseInt(inner[1]!, 16), Number.parseInt(inner[2]!, 16)];
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

function machineAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap(list => list?.map(entry => unmapped(entry.address)) ?? []);
}
