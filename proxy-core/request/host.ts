import type { Origin } from './types.ts';

/** What a host name says, before the path is looked at. */
export interface HostFacts {
  readonly origin: Origin;
  /**
   * `path`: the bucket is the path's first segment. `bucket`: the host names it. `none`: an S3 host without objects of its
   * own, such as that of the control API.
   */
  readonly style: 'path' | 'bucket' | 'none';
  readonly bucket: string | undefined;
  readonly region: string | undefined;
  readonly relayOnly: string | undefined;
}

/**
 * Reads an AWS host name (lower case, without port and trailing dot); undefined when it is none of S3's. Forms: AWS General
 * Reference "Amazon S3 endpoints and quotas", S3 User Guide "Virtual hosting", "Dual-stack endpoints", "Transfer
 * Acceleration", "Access points", "Multi-Region Access Points" and "AWS PrivateLink for Amazon S3".
 * `s3-website` hosts are web servers with another grammar of answers, not the S3 API.
 */
export function awsHost(host: string): HostFacts | undefined {
  for (const [suffix, partition] of SUFFIXES) {
    if (host.endsWith(suffix)) return readLabels(host.slice(0, -suffix.length).split('.'), partition);
  }
  return undefined;
}

const SUFFIXES: readonly (readonly [string, Origin])[] = [
  ['.amazonaws.com', 'aws'],
  ['.amazonaws.com.cn', 'aws-cn'],
  ['.amazonaws.eu', 'aws-eusc'],
];

const REGION = /^(?:[a-z]{2}|eusc)(?:-[a-z]+)+-\d+$/;
const ACCESS_POINT = /^[a-z0-9][a-z0-9-]*-\d{12}$/;

/** From the right, because a bucket's name may hold any number of labels that look like ours. */
function readLabels(labels: readonly string[], partition: Origin): HostFacts | undefined {
  const last = labels.length - 1;
  const tail = labels[last]!;
  if (tail === 'vpce') return interfaceEndpoint(labels.slice(0, last), partition);
  if (tail === 's3') return bucketHost(labels.slice(0, last), partition, undefined);
  if (tail === 's3-external-1') return bucketHost(labels.slice(0, last), partition, 'us-east-1');
  if (tail === 's3-accelerate') return accelerated(labels.slice(0, last), partition);
  if (tail === 'dualstack' && labels[last - 1] === 's3-accelerate') {
    return accelerated(labels.slice(0, last - 1), partition);
  }
  if (tail === 's3-global' && labels[last - 1] === 'accesspoint') {
    return multiRegion(labels.slice(0, last - 1), partition);
  }
  const legacy = /^s3-(?:fips-)?(.+)$/.exec(tail)?.[1];
  if (legacy !== undefined && REGION.test(legacy)) {
    return bucketHost(labels.slice(0, last), inRegion(partition, legacy), legacy);
  }

  if (!REGION.test(tail)) return undefined;
  const origin = inRegion(partition, tail);
  const dual = labels[last - 1] === 'dualstack';
  const at = dual ? last - 2 : last - 1;
  const service = labels[at];
  const before = labels.slice(0, Math.max(0, at));
  switch (service) {
    case 's3':
    case 's3-fips':
      return bucketHost(before, origin, tail);
    case 's3-accesspoint':
    case 's3-accesspoint-fips':
      return accessPoint(before, origin, tail);
    case 's3-control':
    case 's3-control-fips':
    case 's3express-control':
      return relayed(origin, tail, 's3_control');
    case 's3-object-lambda':
    case 's3-object-lambda-fips':
      return relayed(origin, tail, 's3_object_lambda');
    case 's3-outposts':
    case 's3-outposts-fips':
      return relayed(origin, tail, 's3_outposts');
    default:
      return service !== undefined && /^s3express-/.test(service) ? relayed(origin, tail, 's3_express') : undefined;
  }
}

function bucketHost(before: readonly string[], origin: Origin, region: string | undefined): HostFacts {
  if (before.length === 0) return { origin, style: 'path', bucket: undefined, region, relayOnly: undefined };
  return { origin, style: 'bucket', bucket: before.join('.'), region, relayOnly: undefined };
}

/** Acceleration knows virtual-hosted addresses only, and no dots in bucket names. */
function accelerated(before: readonly string[], origin: Origin): HostFacts {
  if (before.length === 1) return bucketHost(before, origin, undefined);
  return relayed(origin, undefined, 's3_accelerate');
}

/**
 * An access point's objects are kept under a name that no bucket can have (`-s3alias` is reserved, and aliases have no dot).
 * It holds the Region, because two access points of one account may differ in nothing else.
 */
function accessPoint(before: readonly string[], origin: Origin, region: string): HostFacts {
  if (before.length !== 1 || !ACCESS_POINT.test(before[0]!)) return relayed(origin, region, 'access_point');
  return { origin, style: 'bucket', bucket: `${before[0]}.${region}-s3alias`, region, relayOnly: undefined };
}

/** The alias ends in `.mrap`, which no bucket name may. */
function multiRegion(before: readonly string[], origin: Origin): HostFacts {
  if (before.length !== 2 || before[1] !== 'mrap') return relayed(origin, undefined, 'access_point');
  return { origin, style: 'bucket', bucket: before.join('.'), region: undefined, relayOnly: undefined };
}

/** `[name.]bucket|accesspoint|control.vpce-<id>.s3.<region>` */
function interfaceEndpoint(labels: readonly string[], partition: Origin): HostFacts | undefined {
  const region = labels[labels.length - 1];
  const endpoint = labels[labels.length - 3];
  if (region === undefined || !REGION.test(region) || labels[labels.length - 2] !== 's3') return undefined;
  if (!endpoint?.startsWith('vpce-')) return undefined;
  const origin = inRegion(partition, region);
  const before = labels.slice(0, -3);
  const kind = before.pop();
  if (kind === undefined || kind === 'bucket') return bucketHost(before, origin, region);
  if (kind === 'accesspoint') return accessPoint(before, origin, region);
  return relayed(origin, region, kind === 'control' ? 's3_control' : 'vpc_endpoint');
}

function relayed(origin: Origin, region: string | undefined, relayOnly: string): HostFacts {
  return { origin, style: 'none', bucket: undefined, region, relayOnly };
}

function inRegion(partition: Origin, region: string): Origin {
  return partition === 'aws' && region.startsWith('us-gov-') ? 'aws-us-gov' : partition;
}
