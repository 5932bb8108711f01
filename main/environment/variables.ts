/** Names and values that point AWS tools at the proxy. */
export type Variables = readonly (readonly [name: string, value: string])[];

// Credentials of an instance or container come from these, never through a proxy.
const DIRECT = ['169.254.169.254', '169.254.170.2', 'localhost', '127.0.0.1'];

export interface Target {
  /** e.g. `http://127.0.0.1:3128` */
  readonly proxy: string;
  readonly region: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * HTTP_PROXY leads plain HTTP through the proxy, and AWS_ENDPOINT_URL_S3 makes S3 calls plain HTTP on the way there: over
 * HTTPS the proxy would see nothing. What the person has in NO_PROXY stays. curl reads only the lower-case http_proxy.
 */
export function variables({ proxy, region, env }: Target): Variables {
  const kept = (env.NO_PROXY ?? env.no_proxy ?? '').split(',').map(name => name.trim());
  const direct = [...new Set([...DIRECT, ...kept.filter(name => /^[\w.:*/[\]-]+$/.test(name))])].join(',');
  return [
    ['HTTP_PROXY', proxy],
    ['http_proxy', proxy],
    ['NO_PROXY', direct],
    ['no_proxy', direct],
    ...(region === undefined ? [] : [['AWS_ENDPOINT_URL_S3', endpointOf(region)] as const]),
  ];
}

/** The Region's S3 endpoint, over plain HTTP; the proxy itself reaches it over verified TLS. */
export function endpointOf(region: string): string {
  return `http://s3.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;
}
