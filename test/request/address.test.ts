import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compatibleHosts, TargetParser } from '../../proxy-core/request/index.ts';

const parser = new TargetParser();
const store = new TargetParser({
  isS3Compatible: compatibleHosts(['minio.local:9000', '127.0.0.1:9001', 'Plain.Store']),
});

describe('an object in each of the host forms', () => {
  const bucket = 'my-bucket';
  const pathStyle: [host: string, origin: string, region: string | undefined][] = [
    ['s3.amazonaws.com', 'aws', undefined],
    ['s3-external-1.amazonaws.com', 'aws', 'us-east-1'],
    ['s3.us-west-2.amazonaws.com', 'aws', 'us-west-2'],
    ['s3-us-west-2.amazonaws.com', 'aws', 'us-west-2'],
    ['s3.dualstack.eu-central-1.amazonaws.com', 'aws', 'eu-central-1'],
    ['s3-fips.us-east-2.amazonaws.com', 'aws', 'us-east-2'],
    ['s3-fips.dualstack.us-east-2.amazonaws.com', 'aws', 'us-east-2'],
    ['s3.us-gov-west-1.amazonaws.com', 'aws-us-gov', 'us-gov-west-1'],
    ['s3-us-gov-west-1.amazonaws.com', 'aws-us-gov', 'us-gov-west-1'],
    ['s3-fips-us-gov-west-1.amazonaws.com', 'aws-us-gov', 'us-gov-west-1'],
    ['s3-fips.us-gov-east-1.amazonaws.com', 'aws-us-gov', 'us-gov-east-1'],
    ['s3.cn-north-1.amazonaws.com.cn', 'aws-cn', 'cn-north-1'],
    ['s3.dualstack.cn-northwest-1.amazonaws.com.cn', 'aws-cn', 'cn-northwest-1'],
    ['s3.eusc-de-east-1.amazonaws.eu', 'aws-eusc', 'eusc-de-east-1'],
    ['bucket.vpce-1a2b3c4d-5e6f.s3.us-east-1.vpce.amazonaws.com', 'aws', 'us-east-1'],
    ['vpce-1a2b3c4d-5e6f-us-east-1a.s3.us-east-1.vpce.amazonaws.com', 'aws', 'us-east-1'],
    ['bucket.vpce-1a2b3c4d-5e6f.s3.us-gov-west-1.vpce.amazonaws.com', 'aws-us-gov', 'us-gov-west-1'],
  ];
  it.each(pathStyle)('%s by path', (host, origin, region) => {
    const target = parser.parse(host, `/${bucket}/a/b.txt`);
    expect(target).toMatchObject({ origin, bucket, region, ambiguous: [], otherParameters: [], presigned: false });
    expect(target.object).toEqual({ origin, bucket, key: 'a/b.txt', storeKey: `${origin}\0${bucket}\0a/b.txt` });
    expect(target.relayOnly).toBeUndefined();
  });
  it.each(pathStyle.filter(([host]) => !host.startsWith('vpce-')))(
    '%s by host, with and without dots',
    (host, origin, region) => {
      for (const name of [bucket, 'dotted.bucket.name', 'a.s3', 's3', 'x.s3.us-east-1', 'vpce']) {
        const target = parser.parse(`${name}.${host}`, '/a/b.txt');
        expect(target).toMatchObject({ origin, bucket: name, region });
        expect(target.object?.storeKey).toBe(`${origin}\0${name}\0a/b.txt`);
      }
    },
  );
  it.each([
    ['my-bucket.s3-accelerate.amazonaws.com', 'my-bucket', undefined],
    ['my-bucket.s3-accelerate.dualstack.amazonaws.com', 'my-bucket', undefined],
    ['ap-123456789012.s3-accesspoint.us-east-1.amazonaws.com', 'ap-123456789012.us-east-1-s3alias', 'us-east-1'],
    [
      'ap-123456789012.s3-accesspoint.dualstack.us-east-1.amazonaws.com',
      'ap-123456789012.us-east-1-s3alias',
      'us-east-1',
    ],
    ['ap-123456789012.s3-accesspoint-fips.us-east-1.amazonaws.com', 'ap-123456789012.us-east-1-s3alias', 'us-east-1'],
    [
      'ap-123456789012.s3-accesspoint-fips.dualstack.us-east-1.amazonaws.com',
      'ap-123456789012.us-east-1-s3alias',
      'us-east-1',
    ],
    [
      'ap-123456789012.accesspoint.vpce-1a2b-3c.s3.us-east-1.vpce.amazonaws.com',
      'ap-123456789012.us-east-1-s3alias',
      'us-east-1',
    ],
    ['mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com', 'mfzwi23gnjvgw.mrap', undefined],
  ])('%s', (host, bucket, region) => {
    const target = parser.parse(host, '/key');
    expect(target).toMatchObject({ origin: 'aws', bucket, region });
    expect(target.object?.key).toBe('key');
    expect(target.relayOnly).toBeUndefined();
  });
});

it('one access point name in two Regions is two objects', () => {
  const a = parser.parse('ap-123456789012.s3-accesspoint.us-east-1.amazonaws.com', '/k').object?.storeKey;
  const b = parser.parse('ap-123456789012.s3-accesspoint.us-west-2.amazonaws.com', '/k').object?.storeKey;
  expect(a).not.toBe(b);
});

it.each([
  ['example.com', '/b/k'],
  ['amazonaws.com', '/b/k'],
  ['s3.amazonaws.com.evil.example', '/b/k'],
  ['evils3.amazonaws.com', '/b/k'],
  ['s3.us-east-1.amazonaws.com:8443', '/b/k'],
  ['ec2.us-east-1.amazonaws.com', '/b/k'],
  ['sts.amazonaws.com', '/'],
  ['my-bucket.s3-website-us-east-1.amazonaws.com', '/k'],
  ['my-bucket.s3-website.eu-central-1.amazonaws.com', '/k'],
  ['my-bucket.s3-website.cn-north-1.amazonaws.com.cn', '/k'],
  ['vpce-1.sqs.us-east-1.vpce.amazonaws.com', '/k'],
  ['localhost:9000', '/b/k'],
  ['[::1]:9000', '/b/k'],
  ['', '/b/k'],
])('%s is not S3', (host, path) => {
  expect(parser.parse(host, path)).toMatchObject({ origin: undefined, bucket: undefined, object: undefined });
});

it.each([
  ['my--usw2-az1--x-s3.s3express-usw2-az1.us-west-2.amazonaws.com', 's3_express'],
  ['s3express-control.us-west-2.amazonaws.com', 's3_control'],
  ['123456789012.s3-control.us-west-2.amazonaws.com', 's3_control'],
  ['123456789012.s3-control-fips.dualstack.us-west-2.amazonaws.com', 's3_control'],
  ['control.vpce-1a-2b.s3.us-east-1.vpce.amazonaws.com', 's3_control'],
  ['ap-123456789012.op-01ac5d28a6a232904.s3-outposts.us-west-2.amazonaws.com', 's3_outposts'],
  ['ol-123456789012.s3-object-lambda.us-west-2.amazonaws.com', 's3_object_lambda'],
  ['alias--ol-s3.s3.us-west-2.amazonaws.com', 's3_object_lambda'],
  ['s3-accesspoint.us-west-2.amazonaws.com', 'access_point'],
  ['mrap.accesspoint.s3-global.amazonaws.com', 'access_point'],
  ['s3-accelerate.amazonaws.com', 's3_accelerate'],
  ['dotted.bucket.s3-accelerate.amazonaws.com', 's3_accelerate'],
  ['unknown.vpce-1a-2b.s3.us-east-1.vpce.amazonaws.com', 'vpc_endpoint'],
])('%s is S3 but only relayed', (host, relayOnly) => {
  const target = parser.parse(host, '/k');
  expect(target.origin).toBe('aws');
  expect(target.relayOnly).toBe(relayOnly);
});

describe('spelling of the authority', () => {
  it.each([
    'S3.US-East-1.AmazonAWS.com',
    's3.us-east-1.amazonaws.com:80',
    's3.us-east-1.amazonaws.com:443',
    's3.us-east-1.amazonaws.com.',
    's3.us-east-1.amazonaws.com.:443',
  ])('%s is the same host', host => {
    expect(parser.parse(host, '/b/k').object?.storeKey).toBe('aws\0b\0k');
  });
  it('virtual-hosted and path style of one object share a store key', () => {
    expect(parser.parse('b.s3.us-east-1.amazonaws.com', '/k').object).toEqual(
      parser.parse('s3.eu-west-1.amazonaws.com', '/b/k').object,
    );
  });
  it('partitions do not', () => {
    const keys = ['s3.us-east-1.amazonaws.com', 's3.cn-north-1.amazonaws.com.cn', 's3.us-gov-west-1.amazonaws.com'].map(
      host => parser.parse(host, '/b/k').object?.storeKey,
    );
    expect(new Set(keys).size).toBe(3);
  });
});

describe('S3-compatible stores', () => {
  it.each([
    ['minio.local:9000', '/b/k', 'minio.local:9000', 'b', 'k'],
    ['MinIO.local.:9000', '/b/k', 'minio.local:9000', 'b', 'k'],
    ['b.minio.local:9000', '/k', 'minio.local:9000', 'b', 'k'],
    ['dotted.b.minio.local:9000', '/x/y', 'minio.local:9000', 'dotted.b', 'x/y'],
    ['127.0.0.1:9001', '/b/k', '127.0.0.1:9001', 'b', 'k'],
    ['plain.store', '/b/k', 'plain.store', 'b', 'k'],
    ['plain.store:443', '/b/k', 'plain.store', 'b', 'k'],
    ['b.plain.store:80', '/k', 'plain.store', 'b', 'k'],
  ])('%s%s', (host, path, origin, bucket, key) => {
    expect(store.parse(host, path).object).toEqual({ origin, bucket, key, storeKey: `${origin}\0${bucket}\0${key}` });
  });
  it.each(['minio.local', 'minio.local:9001', 'xminio.local:9000', 'b.127.0.0.1:9001', 'local:9000'])(
    '%s is none',
    host => {
      expect(store.parse(host, '/b/k').origin).toBeUndefined();
    },
  );
  it('the longest key wins', () => {
    const nested = compatibleHosts(['store.local', 'eu.store.local']);
    expect(nested('b.eu.store.local')).toEqual({ origin: 'eu.store.local', style: 'virtual', bucket: 'b' });
    expect(nested('eu.store.local')).toEqual({ origin: 'eu.store.local', style: 'path' });
    expect(nested('us.store.local')).toEqual({ origin: 'store.local', style: 'virtual', bucket: 'us' });
  });
  it('an override of an AWS name leaves the origin AWS', () => {
    const overridden = new TargetParser({ isS3Compatible: compatibleHosts(['s3.us-east-1.amazonaws.com']) });
    expect(overridden.parse('b.s3.us-east-1.amazonaws.com', '/k').object?.storeKey).toBe('aws\0b\0k');
  });
});

describe('bucket and service requests name no object', () => {
  it.each([
    ['s3.amazonaws.com', '/', undefined],
    ['s3.amazonaws.com', '/b', 'b'],
    ['s3.amazonaws.com', '/b/', 'b'],
    ['s3.amazonaws.com', '/b?list-type=2', 'b'],
    ['s3.amazonaws.com', '//k', undefined],
    ['s3.amazonaws.com', '/../k', undefined],
    ['s3.amazonaws.com', '/./k', undefined],
    ['s3.amazonaws.com', '/_x/k', undefined],
    ['s3.amazonaws.com', `/${'b'.repeat(200)}/k`, undefined],
    ['b.s3.amazonaws.com', '/', 'b'],
    ['b.s3.amazonaws.com', '/?delete', 'b'],
    ['b.s3.amazonaws.com', '', 'b'],
    ['b.s3.amazonaws.com', '*', 'b'],
  ])('%s %s', (host, path, bucket) => {
    expect(parser.parse(host, path)).toMatchObject({ origin: 'aws', bucket, object: undefined, ambiguous: [] });
  });
});

describe('memory', () => {
  it('a target that came before is the same object, under its own host only', () => {
    const own = new TargetParser({ remembered: 2 });
    const first = own.parse('a.s3.amazonaws.com', '/k');
    expect(own.parse('a.s3.amazonaws.com', '/k')).toBe(first);
    expect(own.parse('b.s3.amazonaws.com', '/k').bucket).toBe('b');
    own.parse('c.s3.amazonaws.com', '/k');
    expect(own.parse('a.s3.amazonaws.com', '/k')).not.toBe(first);
    expect(own.parse('a.s3.amazonaws.com', '/k')).toEqual(first);
  });
});

it('nothing throws, whatever comes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (authority, target) => {
      store.parse(authority, target);
      store.parse(authority, `/${target}`);
      store.parse('s3.amazonaws.com', `/${target}`);
      store.parse('b.s3.amazonaws.com', `/k?${target}`);
      store.parse(`${authority}.s3.us-east-1.amazonaws.com`, `/${target}`);
    }),
    { numRuns: 500 },
  );
});
