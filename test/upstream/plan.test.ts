import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkDestination, hostPort, parseAuthority, sameAuthority } from '../../proxy-core/upstream/index.ts';
import { endpointOverride, type Overrides, plan, upstreamOverride } from '../../proxy-core/upstream/overrides.ts';

describe('an authority', () => {
  test.each([
    ['Example.COM', { host: 'example.com', port: undefined, ip: 0 }],
    ['example.com.:80', { host: 'example.com', port: 80, ip: 0 }],
    ['my_bucket.s3.amazonaws.com', { host: 'my_bucket.s3.amazonaws.com', port: undefined, ip: 0 }],
    ['10.0.0.1:9000', { host: '10.0.0.1', port: 9000, ip: 4 }],
    ['[::1]:9000', { host: '::1', port: 9000, ip: 6 }],
    ['[FE80::1]', { host: 'fe80::1', port: undefined, ip: 6 }],
  ])('%s is read', (text, expected) => {
    expect(parseAuthority(text)).toEqual(expected);
  });

  test.each(
    [
      '',
      ':80',
      'a:',
      'a:0',
      'a:65536',
      'a:b',
      'a b',
      'a,b',
      'u@a',
      '::1',
      '[::1',
      '[a]',
      '[1.2.3.4]',
      '-a',
      'a-.b',
      'a..b',
      '.a',
    ].concat([
      '127.1',
      '0x7f.1',
      '2130706433',
      '1.2.3.4.5',
      '010.0.0.1',
      '1.2.3.0x4',
      'a/b',
      'a%2eb',
      'a\u00e9',
      'a'.repeat(255),
    ]),
  )('%j is none', text => {
    expect(parseAuthority(text)).toBeUndefined();
  });

  test('is the same with and without the default port, in any case', () => {
    expect(sameAuthority('A.b', 'a.B:80', 'http')).toBe(true);
    expect(sameAuthority('a.b', 'a.b:80', 'https')).toBe(false);
    expect(sameAuthority('a.b', 'a.b:81', 'http')).toBe(false);
  });

  test('survives being read and written', () => {
    fc.assert(
      fc.property(fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6()), fc.integer({ min: 1, max: 65_535 }), (host, port) => {
        const parsed = parseAuthority(hostPort(host, port));
        expect(parsed).toMatchObject({ host: host.toLowerCase(), port });
      }),
    );
  });
});

const http = { scheme: 'http', validate_tls: true } as const;

describe('upstream overrides', () => {
  const overrides = {
    'minio.local:9000': http,
    'b.minio.local:9000': { ...http, scheme: 'https' },
    '10.0.0.1:80': http,
  } as const;
  const find = (host: string, ip: 0 | 4, port: number) => upstreamOverride(host, ip, port, overrides)?.scheme;

  test('cover their name and its subdomains, the longest first, and only their port', () => {
    expect(find('minio.local', 0, 9000)).toBe('http');
    expect(find('x.minio.local', 0, 9000)).toBe('http');
    expect(find('x.b.minio.local', 0, 9000)).toBe('https');
    expect(find('minio.local', 0, 80)).toBeUndefined();
    expect(find('evilminio.local', 0, 9000)).toBeUndefined();
    expect(find('constructor', 0, 9000)).toBeUndefined();
  });

  test('of an address are for it alone', () => {
    expect(find('10.0.0.1', 4, 80)).toBe('http');
    expect(parseAuthority('1.10.0.0.1')).toBeUndefined();
  });
});

test('endpoint overrides: exact before suffix, the longest suffix first, whole labels only', () => {
  const overrides = { 's3.example': ['1.1.1.1'], '*.example': ['2.2.2.2'], '*.s3.example': ['3.3.3.3'] };
  expect(endpointOverride('s3.example', overrides)).toEqual(['1.1.1.1']);
  expect(endpointOverride('b.s3.example', overrides)).toEqual(['3.3.3.3']);
  expect(endpointOverride('a.b.s3.example', overrides)).toEqual(['3.3.3.3']);
  expect(endpointOverride('x.example', overrides)).toEqual(['2.2.2.2']);
  expect(endpointOverride('example', overrides)).toBeUndefined();
  expect(endpointOverride('badexample', overrides)).toBeUndefined();
});

describe('the plan', () => {
  const none: Overrides = { upstreams: {}, endpoints: {} };
  const of = (text: string, scheme: 'http' | 'https', overrides = none, s3 = false) =>
    plan(parseAuthority(text)!, scheme, overrides, s3);

  test('S3 is reached by verified TLS on 443, whatever the client used', () => {
    for (const asked of ['s3.amazonaws.com', 's3.amazonaws.com:80', 's3.amazonaws.com:443']) {
      expect(of(asked, 'http', none, true)).toMatchObject({
        scheme: 'https',
        port: 443,
        tls: { name: 's3.amazonaws.com', validate: true },
        named: false,
      });
    }
  });

  test('other hosts are reached as the client asked', () => {
    expect(of('a.example', 'http')).toMatchObject({ scheme: 'http', port: 80, tls: undefined });
    expect(of('a.example:81', 'http')).toMatchObject({ port: 81 });
    expect(of('a.example', 'https')).toMatchObject({ port: 443, tls: { name: 'a.example', validate: true } });
  });

  test('an upstream override says scheme, address and validation; the TLS name stays the caller’s', () => {
    const upstreams = { 'minio.local:80': { scheme: 'https', address: '10.1.1.1:9443', validate_tls: false } } as const;
    expect(of('b.minio.local', 'http', { ...none, upstreams }, true)).toMatchObject({
      scheme: 'https',
      host: '10.1.1.1',
      port: 9443,
      tls: { name: 'b.minio.local', validate: false },
      named: true,
    });
  });

  test('an override without a port keeps the one asked for, but not the default of the other scheme', () => {
    const https = { scheme: 'https', validate_tls: true } as const;
    const upstreams = { 'a.example:80': https, 'a.example:9000': https };
    expect(of('a.example', 'http', { ...none, upstreams }).port).toBe(443);
    expect(of('a.example:9000', 'http', { ...none, upstreams }).port).toBe(9000);
  });

  test('an endpoint override changes the addresses only', () => {
    const endpoints = { '*.amazonaws.com': ['10.0.0.7'] };
    expect(of('s3.amazonaws.com', 'http', { ...none, endpoints }, true)).toMatchObject({
      host: 's3.amazonaws.com',
      port: 443,
      addresses: ['10.0.0.7'],
      tls: { name: 's3.amazonaws.com' },
      named: true,
    });
  });
});

describe('a destination', () => {
  const own = [{ address: '0.0.0.0', port: 3128 }];
  const check = (ip: string, what: { port?: number; s3?: boolean; named?: boolean; anyHost?: boolean } = {}) =>
    checkDestination(
      { ip, port: what.port ?? 443, s3: what.s3 ?? false, named: what.named ?? false },
      { anyHost: what.anyHost ?? true, own },
      () => ['192.168.1.5'],
    );

  test.each(
    [
      '127.0.0.1',
      '127.9.9.9',
      '0.0.0.0',
      '169.254.169.254',
      '169.254.170.2',
      '224.0.0.1',
      '255.255.255.255',
      '::1',
      '::',
    ].concat([
      'fe80::1',
      'ff02::1',
      'fd00:ec2::254',
      '::ffff:127.0.0.1',
      '::ffff:7f00:1',
      '64:ff9b::7f00:1',
      '::ffff:169.254.169.254',
    ]),
  )('%s is never dialled, unless an override names it', ip => {
    expect(check(ip)).toBe('AccessDenied');
    expect(check(ip, { s3: true })).toBe('AccessDenied');
    expect(check(ip, { named: true })).toBe('allowed');
  });

  test.each(['10.0.0.1', '192.168.1.1', '8.8.8.8', '2001:db8::1', 'fd00::1'])(
    '%s is for S3, and on a loopback listener for any host',
    ip => {
      expect(check(ip)).toBe('allowed');
      expect(check(ip, { anyHost: false })).toBe('AccessDenied');
      expect(check(ip, { anyHost: false, s3: true })).toBe('allowed');
      expect(check(ip, { anyHost: false, named: true })).toBe('allowed');
    },
  );

  test.each(['127.0.0.1', '192.168.1.5', '0.0.0.0', '::1', '::ffff:127.0.0.1', '::ffff:192.168.1.5'])(
    'our own listener at %s is a loop, also where an override names it',
    ip => {
      expect(check(ip, { port: 3128, named: true })).toBe('LoopDetected');
      expect(check(ip, { port: 3129, named: true })).toBe('allowed');
    },
  );
});
