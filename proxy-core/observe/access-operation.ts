/** What S3 calls the resource that a sub-resource in the query names, where it isn't the name in capitals. */
const RESOURCES: Readonly<Record<string, string>> = {
  accelerate: 'ACCELERATE',
  acl: 'ACL',
  analytics: 'ANALYTICS',
  attributes: 'OBJECT_ATTRIBUTES',
  cors: 'CORS',
  delete: 'MULTI_OBJECT_DELETE',
  encryption: 'ENCRYPTION',
  'intelligent-tiering': 'INTELLIGENT_TIERING',
  inventory: 'INVENTORY',
  'legal-hold': 'OBJECT_LOCK_LEGALHOLD',
  lifecycle: 'LIFECYCLE',
  location: 'LOCATION',
  logging: 'LOGGING_STATUS',
  metrics: 'METRICS',
  notification: 'NOTIFICATION',
  'object-lock': 'OBJECT_LOCK_CONFIGURATION',
  ownershipControls: 'OWNERSHIP_CONTROLS',
  policy: 'BUCKETPOLICY',
  policyStatus: 'POLICY_STATUS',
  publicAccessBlock: 'PUBLIC_ACCESS_BLOCK',
  replication: 'REPLICATION',
  requestPayment: 'REQUEST_PAYMENT',
  restore: 'RESTORE',
  retention: 'OBJECT_LOCK_RETENTION',
  select: 'SELECT',
  tagging: 'TAGGING',
  torrent: 'OBJECT_TORRENT',
  uploads: 'UPLOADS',
  versioning: 'VERSIONING',
  versions: 'BUCKETVERSIONS',
  website: 'WEBSITE',
};

export interface OperationFacts {
  readonly method: string;
  /** Raw request target. */
  readonly target: string;
  readonly origin: string | undefined;
  readonly bucket: string | undefined;
  /** Undefined where the target names no object. */
  readonly key: string | undefined;
  readonly isCopy: boolean;
}

/** `REST.<method>.<resource>` (S3 server access log format, "Operation"); undefined for what is not a request to S3. */
export function operationOf({ method, target, origin, bucket, key, isCopy }: OperationFacts): string | undefined {
  if (origin === undefined) return undefined;
  const verb = isCopy && method === 'PUT' ? 'COPY' : method;
  return `REST.${verb}.${bucket === undefined ? 'SERVICE' : resourceOf(method, target, key !== undefined)}`;
}

function resourceOf(method: string, target: string, isObject: boolean): string {
  const plain = isObject ? 'OBJECT' : 'BUCKET';
  const start = target.indexOf('?');
  if (start < 0) return plain;
  const names = target
    .slice(start + 1)
    .split('&')
    .map(nameOf);
  if (names.includes('uploadId')) return method === 'PUT' && names.includes('partNumber') ? 'PART' : 'UPLOAD';
  for (const name of names) {
    if (!Object.hasOwn(RESOURCES, name)) continue;
    return name === 'tagging' && isObject ? 'OBJECT_TAGGING' : RESOURCES[name]!;
  }
  return plain;
}

function nameOf(parameter: string): string {
  const equals = parameter.indexOf('=');
  return equals < 0 ? parameter : parameter.slice(0, equals);
}
