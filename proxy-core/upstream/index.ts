export { type Authority, defaultPort, hostPort, parseAuthority, sameAuthority } from './authority.ts';
export { checkDestination, type OwnAddress } from './destination.ts';
export { DialError, isConnectionLost, toCisternError } from './errors.ts';
export type { UpstreamOverride } from './overrides.ts';
export * from './types.ts';
export { createUpstream, type RelayRoute, type S3Upstream, type UpstreamOptions } from './upstream.ts';
export { Watchdog, type Watched } from './watchdog.ts';
