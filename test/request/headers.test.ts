import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  endToEnd,
  type HeaderFacts,
  headerValue,
  headerValues,
  readHeaderFacts,
  setHeader,
  TargetParser,
  withoutHeaders,
  withPresignedHeaders,
} from '../../proxy-core/request/index.ts';
import { factsOf } from './helpers.ts';

const NONE = factsOf();

describe('facts', () => {
  it('are all absent without headers', () => {
    for (const [name, value] of Object.entries(NONE))
      expect([name, value]).toEqual([name, value === false ? false : undefined]);
  });
  const texts: [header: string, fact: keyof HeaderFacts][] = [
    ['Host', 'host'],
    ['Range', 'range'],
    ['If-Match', 'ifMatch'],
    ['If-None-Match', 'ifNoneMatch'],
    ['If-Modified-Since', 'ifModifiedSince'],
    ['If-Unmodified-Since', 'ifUnmodifiedSince'],
    ['If-Range', 'ifRange'],
    ['Origin', 'originHeader'],
    ['Authorization', 'authorization'],
    ['X-Amz-Security-Token', 'securityToken'],
    ['X-Amz-Date', 'amzDate'],
    ['Date', 'date'],
    ['X-Amz-Copy-Source', 'copySource'],
    ['X-Amz-Rename-Source', 'renameSource'],
    ['Content-Type', 'contentType'],
    ['Content-Length', 'contentLength'],
    ['X-Amz-Content-SHA256', 'contentSha256'],
    ['User-Agent', 'userAgent'],
    ['Referer', 'referer'],
  ];
  it.each(texts)('%s in any case; repeated lines are joined', (header, fact) => {
    for (const name of [header, header.toLowerCase(), header.toUpperCase()]) {
      expect(factsOf({ [name]: 'V' })).toEqual({ ...NONE, [fact]: 'V' });
    }
    expect(factsOf({ [header]: ['V', 'W'] })).toEqual({ ...NONE, [fact]: 'V, W' });
  });
  it.each<[header: string, value: string, fact: keyof HeaderFacts, expected: boolean]>([
    ['Cache-Control', 'no-store', 'noStore', true],
    ['Cache-Control', 'max-age=0, No-Store', 'noStore', true],
    ['Cache-Control', 'x-no-store', 'noStore', false],
    ['Cache-Control', 'no-cache', 'noCache', true],
    ['Cache-Control', 'no-cache="a"', 'noCache', true],
    ['Cache-Control', 'max-age=0', 'noCache', false],
    ['Pragma', 'No-Cache', 'noCache', true],
    ['Pragma', 'no-store', 'noStore', false],
    ['x-amz-checksum-mode', 'ENABLED', 'checksumMode', true],
    ['x-amz-checksum-mode', 'other', 'checksumMode', false],
    ['x-amz-request-payer', 'requester', 'requestPayer', true],
    ['x-amz-expected-bucket-owner', '123456789012', 'expectedBucketOwner', true],
    ['x-amz-server-side-encryption-customer-algorithm', 'AES256', 'customerKey', true],
    ['X-Amz-Server-Side-Encryption-Customer-Key', 'a', 'customerKey', true],
    ['x-amz-server-side-encryption-customer-key-MD5', 'a', 'customerKey', true],
    ['x-amz-server-side-encryption', 'AES256', 'customerKey', false],
    ['x-amz-server-side-encryption-aws-kms-key-id', 'a', 'customerKey', false],
  ])('%s: %s', (header, value, fact, expected) => {
    expect(factsOf({ [header]: value })).toEqual({ ...NONE, [fact]: expected });
  });
  it('Pragma counts only without Cache-Control', () => {
    expect(factsOf({ Pragma: 'no-cache', 'Cache-Control': 'max-age=1' }).noCache).toBe(false);
  });
  it('other headers of the same length change nothing', () => {
    for (const [header] of texts) expect(factsOf({ [`${header.slice(0, -1)}z`]: 'V' })).toEqual(NONE);
  });
  it('nothing throws, whatever comes', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), raw => {
        readHeaderFacts(raw);
        endToEnd(raw);
        setHeader(raw, 'x', 'y');
      }),
    );
  });
});

describe('helpers', () => {
  const raw = ['Host', 'h', 'X-A', '1', 'x-a', '2', 'ETag', '"e"'];
  it('find values by lower-case name', () => {
    expect(headerValue(raw, 'x-a')).toBe('1');
    expect(headerValue(raw, 'x-b')).toBeUndefined();
    expect(headerValues(raw, 'x-a')).toEqual(['1', '2']);
  });
  it('drop a set of names, and leave the array alone when there is nothing to drop', () => {
    expect(withoutHeaders(raw, new Set(['x-a', 'host']))).toEqual(['ETag', '"e"']);
    expect(withoutHeaders(raw, new Set(['y']))).toBe(raw);
  });
  it('set in place, once, or append', () => {
    expect(setHeader(raw, 'X-a', '3')).toEqual(['Host', 'h', 'X-A', '3', 'ETag', '"e"']);
    expect(setHeader(raw, 'Range', 'r')).toEqual([...raw, 'Range', 'r']);
    expect(raw).toHaveLength(8);
  });
});

describe('end-to-end headers', () => {
  it.each([
    'Connection',
    'Keep-Alive',
    'Proxy-Connection',
    'Proxy-Authorization',
    'Proxy-Authenticate',
    'proxy-anything',
    'TE',
    'Transfer-Encoding',
    'Upgrade',
  ])('%s ends here', name => {
    expect(endToEnd(['Host', 'h', name, 'v', 'X', 'y'])).toEqual(['Host', 'h', 'X', 'y']);
  });
  it('what Connection names ends here, too', () => {
    expect(
      endToEnd(['X-Hop', '1', 'Connection', 'close, x-hop', 'connection', 'X-Other', 'x-other', '2', 'X-Stay', '3']),
    ).toEqual(['X-Stay', '3']);
  });
  it.each([
    'Host',
    'Authorization',
    'Range',
    'If-Match',
    'If-None-Match',
    'Date',
    'Content-Length',
    'Content-MD5',
    'Content-Type',
    'Cache-Control',
    'X-Amz-Date',
    'x-amz-security-token',
    'ETag',
    'Last-Modified',
    'Expect',
    'Origin',
  ])('Connection cannot name %s away', name => {
    expect(endToEnd(['Connection', name, name, 'v'])).toEqual([name, 'v']);
  });
  it('Trailer, and headers without anything to drop, stay', () => {
    const raw = ['Host', 'h', 'Trailer', 'x-amz-checksum-crc32'];
    expect(endToEnd(raw)).toBe(raw);
  });
  it('keeps order, case and duplicates', () => {
    expect(endToEnd(['b', '1', 'A', '2', 'TE', 'trailers', 'B', '3', 'a', '4'])).toEqual([
      'b',
      '1',
      'A',
      '2',
      'B',
      '3',
      'a',
      '4',
    ]);
  });
});

describe('a presigned URL of the JavaScript SDK', () => {
  const target = (query: string) => new TargetParser().parse('b.s3.amazonaws.com', `/k?${query}`);
  const signed = 'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=s';

  it('asks for checksums in its query', () => {
    expect(withPresignedHeaders(NONE, target(`${signed}&x-amz-checksum-mode=ENABLED`)).checksumMode).toBe(true);
  });

  it.each([signed, `${signed}&x-amz-checksum-mode=other`, 'x-amz-checksum-mode=ENABLED'])('does not by %s', query => {
    expect(withPresignedHeaders(NONE, target(query)).checksumMode).toBe(false);
  });
});
