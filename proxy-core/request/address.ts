import { LRUCache } from 'lru-cache';
import { type CompatibleHost, splitAuthority } from './compatible.ts';
import { awsHost, type HostFacts } from './host.ts';
import { isBucketName, keyReadings, objectAddress, percentDecode } from './key.ts';
import { NO_QUERY, type QueryFacts, readQuery } from './query.ts';
import type { ObjectAddress, TargetFacts } from './types.ts';

export interface TargetParserOptions {
  /** Names S3-compatible stores; usually {@link compatibleHosts} of the override keys. AWS's own names are known without. */
  readonly isS3Compatible?: ((authority: string) => CompatibleHost | undefined) | undefined;
  /** Targets remembered (default 4,096) */
  readonly remembered?: number | undefined;
}

/** Reads where a request goes from its authority and its raw path and query. Remembers, as the same few come again. */
export class TargetParser {
  readonly #isS3Compatible: (authority: string) => CompatibleHost | undefined;
  readonly #targets: LRUCache<string, TargetFacts>;
  readonly #hosts = new LRUCache<string, { readonly facts: HostFacts | undefined }>({ max: 1024 });

  constructor(options: TargetParserOptions = {}) {
    this.#isS3Compatible = options.isS3Compatible ?? (() => undefined);
    this.#targets = new LRUCache({ max: options.remembered ?? 4096 });
  }

  /** `authority` as in Host: `name` or `name:port`. `target` starts with `/`; anything else (`*`) names nothing. */
  parse(authority: string, target: string): TargetFacts {
    if (target.charCodeAt(0) !== 47) return parseTarget(this.#host(authority), '/');
    // A long target is a presigned one, which rarely comes again as it is: it would only push out others.
    if (target.length > 2048) return parseTarget(this.#host(authority), target);
    const name = authority + target;
    const known = this.#targets.get(name);
    if (known !== undefined) return known;
    const facts = parseTarget(this.#host(authority), target);
    this.#targets.set(name, facts);
    return facts;
  }

  #host(authority: string): HostFacts | undefined {
    let known = this.#hosts.get(authority);
    if (known === undefined) {
      known = { facts: readHost(authority, this.#isS3Compatible) };
      this.#hosts.set(authority, known);
    }
    return known.facts;
  }
}

/** AWS's names come first: an override of one changes the way there, not whose bucket it is. */
function readHost(
  authority: string,
  isS3Compatible: (authority: string) => CompatibleHost | undefined,
): HostFacts | undefined {
  const { host, port } = splitAuthority(authority);
  const aws = port === undefined || port === '80' || port === '443' ? awsHost(host) : undefined;
  if (aws !== undefined) return aws;
  const store = isS3Compatible(authority);
  if (store === undefined) return undefined;
  return {
    origin: store.origin,
    style: store.style === 'virtual' ? 'bucket' : 'path',
    bucket: store.bucket,
    region: undefined,
    relayOnly: undefined,
  };
}

function parseTarget(host: HostFacts | undefined, target: string): TargetFacts {
  const mark = target.indexOf('?');
  const path = mark < 0 ? target : target.slice(0, mark);
  const query = mark < 0 ? NO_QUERY : readQuery(target.slice(mark + 1));
  if (host === undefined) return facts(undefined, undefined, undefined, [], query);
  if (host.style === 'none') return facts(host, undefined, undefined, [], query);

  if (host.style === 'bucket') {
    const bucket = host.bucket!;
    return isBucketName(bucket)
      ? inBucket(host, bucket, path.slice(1), query)
      : facts(host, undefined, undefined, [], query);
  }
  const slash = path.indexOf('/', 1);
  const segment = slash < 0 ? path.slice(1) : path.slice(1, slash);
  if (isBucketName(segment)) return inBucket(host, segment, slash < 0 ? '' : path.slice(slash + 1), query);
  return oddBucket(host, path.slice(1), query);
}

function inBucket(host: HostFacts, bucket: string, rawKey: string, query: QueryFacts): TargetFacts {
  if (rawKey === '') return facts(host, bucket, undefined, [], query);
  const { bytes, malformed } = percentDecode(rawKey);
  if (!malformed && !rawKey.includes('+') && !rawKey.includes('#')) {
    return facts(host, bucket, objectAddress(host.origin, bucket, bytes), [], query);
  }
  const readings = keyReadings(rawKey).map(key => objectAddress(host.origin, bucket, key));
  return facts(host, bucket, undefined, readings, query);
}

/**
 * A path-style bucket in escapes (`/my%2Dbucket/key`, `/bucket%2Fkey`): never cached, but a server that decodes first would
 * take a write for this object's, and a DeleteObjects or form for this bucket's.
 */
function oddBucket(host: HostFacts, rawPath: string, query: QueryFacts): TargetFacts {
  const readings: ObjectAddress[] = [];
  let bucket: string | undefined;
  for (const path of rawPath.includes('%') ? keyReadings(rawPath) : []) {
    const slash = path.indexOf('/');
    const name = slash < 0 ? path : path.slice(0, slash);
    if (!isBucketName(name)) continue;
    const key = slash < 0 ? '' : path.slice(slash + 1);
    if (key === '') bucket = name;
    else readings.push(objectAddress(host.origin, name, key));
  }
  return facts(host, bucket, undefined, readings, query);
}

function facts(
  host: HostFacts | undefined,
  bucket: string | undefined,
  object: ObjectAddress | undefined,
  ambiguous: readonly ObjectAddress[],
  query: QueryFacts,
): TargetFacts {
  return {
    origin: host?.origin,
    bucket,
    region: host?.region,
    object,
    ambiguous,
    partNumber: query.partNumber,
    otherParameters: query.otherParameters,
    relayOnly: host?.relayOnly ?? reservedBucket(bucket),
    presigned: query.presigned,
    query: query.query,
  };
}

/** Bucket-like names that stand for something else: S3 User Guide, "General purpose bucket naming rules". */
function reservedBucket(bucket: string | undefined): string | undefined {
  if (bucket === undefined) return undefined;
  if (bucket.endsWith('--ol-s3')) return 's3_object_lambda';
  if (bucket.endsWith('--x-s3') || bucket.endsWith('-xa-s3')) return 's3_express';
  return bucket.endsWith('--op-s3') ? 's3_outposts' : undefined;
}
