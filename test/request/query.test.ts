import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TargetParser } from '../../proxy-core/request/index.ts';

const parser = new TargetParser();

describe('query', () => {
  const query = (text: string) => parser.parse('b.s3.amazonaws.com', `/k?${text}`);
  const v4 =
    'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aa';
  it.each([
    ['', [], false, undefined],
    ['&&', [], false, undefined],
    ['x-id=GetObject', [], false, undefined],
    ['partNumber=1', [], false, 1],
    ['partNumber=10000&x-id=GetObject', [], false, 10000],
    ['partNumber=0', ['partnumber'], false, undefined],
    ['partNumber=10001', ['partnumber'], false, undefined],
    ['partNumber=01', ['partnumber'], false, undefined],
    ['partNumber=-1', ['partnumber'], false, undefined],
    ['partNumber=1e3', ['partnumber'], false, undefined],
    ['partNumber=', ['partnumber'], false, undefined],
    ['partNumber', ['partnumber'], false, undefined],
    ['partNumber=1&partNumber=1', ['partnumber'], false, undefined],
    ['partNumber=1&partNumber=2', ['partnumber'], false, undefined],
    ['partnumber=1', ['partnumber'], false, undefined],
    ['versionId=x', ['versionid'], false, undefined],
    ['%76ersionId=x', ['versionid'], false, undefined],
    ['acl', ['acl'], false, undefined],
    ['response-content-type=text%2Fplain', ['response-content-type'], false, undefined],
    [v4, [], true, undefined],
    [`${v4}&X-Amz-Security-Token=t&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&x-id=GetObject`, [], true, undefined],
    [`${v4}&x-amz-checksum-mode=ENABLED`, [], true, undefined],
    ['x-amz-checksum-mode=ENABLED', ['x-amz-checksum-mode'], false, undefined],
    [`${v4}&versionId=1`, ['versionid'], true, undefined],
    [`${v4}&X-Amz-Expires=1`, ['x-amz-expires'], true, undefined],
    ['AWSAccessKeyId=AK&Signature=s&Expires=1', [], true, undefined],
    ['AWSAccessKeyId=AK&Signature=s&Expires=1&x-amz-security-token=t', [], true, undefined],
    ['AWSAccessKeyId=AK', ['awsaccesskeyid'], false, undefined],
    ['X-Amz-Expires=60', ['x-amz-expires'], false, undefined],
    ['Expires=60', ['expires'], false, undefined],
  ])('%s', (text, otherParameters, presigned, partNumber) => {
    expect(query(text)).toMatchObject({ otherParameters, presigned, partNumber });
    expect(query(text).object?.key).toBe('k');
  });
  it('keeps decoded values, the first of each name', () => {
    expect([...query('a=1%2B2&a=3&b&c=x%20y+z').query]).toEqual([
      ['a', '1+2'],
      ['b', ''],
      ['c', 'x y z'],
    ]);
  });
  it('any name outside the allow list is among the others', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z-]{1,20}$/), name => {
        fc.pre(name !== 'x-id' && name !== 'partNumber');
        expect(query(`${name}=1`).otherParameters).toEqual([name.toLowerCase()]);
      }),
    );
  });
});
