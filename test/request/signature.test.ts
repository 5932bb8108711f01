import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSigned, readSignature, TargetParser } from '../../proxy-core/request/index.ts';
import { factsOf } from './helpers.ts';

const parser = new TargetParser();
const signature = (headers: Record<string, string> = {}, query = '') =>
  readSignature(factsOf(headers), parser.parse('b.s3.amazonaws.com', `/k${query && `?${query}`}`));
const START = Date.UTC(2013, 4, 24);
const v4 = (over: Record<string, string> = {}) =>
  new URLSearchParams({
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': 'AKID/20130524/us-east-1/s3/aws4_request',
    'X-Amz-Date': '20130524T000000Z',
    'X-Amz-Expires': '86400',
    'X-Amz-SignedHeaders': 'host;range',
    'X-Amz-Signature': 'aa',
    ...over,
  }).toString();

describe('header signatures', () => {
  const fields =
    'Credential=AKID/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;Range;x-amz-date,Signature=fe5f';
  it.each([
    ['without spaces', `AWS4-HMAC-SHA256 ${fields}`],
    ['with spaces', `AWS4-HMAC-SHA256 ${fields.replaceAll(',', ', ')}`],
    ['in another order', `AWS4-HMAC-SHA256 Signature=fe5f, ${fields.slice(0, fields.lastIndexOf(','))}`],
  ])('SigV4 %s', (_, authorization) => {
    expect(signature({ authorization, 'x-amz-date': '20130524T000000Z', 'x-amz-security-token': 'tok' })).toEqual({
      scheme: 'sigv4',
      presigned: false,
      accessKeyId: 'AKID',
      sessionToken: 'tok',
      signedHeaders: new Set(['host', 'range', 'x-amz-date']),
      expiresAt: START + 900_000,
    });
  });
  it('SigV4A', () => {
    const authorization = `AWS4-ECDSA-P256-SHA256 ${fields.replace('/us-east-1', '')}`;
    expect(signature({ authorization, 'x-amz-date': '20130524T000000Z' })).toMatchObject({
      scheme: 'sigv4a',
      accessKeyId: 'AKID',
      sessionToken: undefined,
    });
  });
  it.each([
    [
      'x-amz-date',
      { 'x-amz-date': '20130524T010203Z', date: 'Wed, 01 Jan 2025 12:00:00 GMT' },
      Date.UTC(2013, 4, 24, 1, 2, 3),
    ],
    ['Date as HTTP-date', { date: 'Fri, 24 May 2013 00:00:00 GMT' }, START],
    ['Date in ISO form', { date: '20130524T000000Z' }, START],
    ['no date', {}, undefined],
    ['no such day', { 'x-amz-date': '20130231T000000Z' }, undefined],
    ['no such month', { 'x-amz-date': '20131301T000000Z' }, undefined],
    ['no date at all', { 'x-amz-date': '2013-5-24T00:00Z' }, undefined],
  ])('ends 15 minutes after %s', (_, headers, start) => {
    const { expiresAt } = signature({ authorization: `AWS4-HMAC-SHA256 ${fields}`, ...headers });
    expect(expiresAt).toBe(start === undefined ? undefined : start + 900_000);
  });
  it('SigV2', () => {
    const facts = signature({ authorization: 'AWS AKID:c2ln', date: 'Fri, 24 May 2013 00:00:00 GMT' });
    expect(facts).toMatchObject({ scheme: 'sigv2', accessKeyId: 'AKID', expiresAt: START + 900_000, presigned: false });
    expect(['content-md5', 'date', 'x-amz-anything'].map(name => isSigned(facts, name))).toEqual([true, true, true]);
    expect(['range', 'if-match', 'if-none-match'].map(name => isSigned(facts, name))).toEqual([false, false, false]);
  });
  it.each([
    'Bearer ya29.secret',
    'AWS4-HMAC-SHA256',
    'AWS4-HMAC-SHA256 Credential=AKID/x',
    'AWS4-HMAC-SHA256 XCredential=AKID/x, SignedHeaders=host',
    'AWS4-HMAC-SHA512 Credential=AKID/x, SignedHeaders=host, Signature=a',
    'AWS nocolon',
    'AWS :',
    '',
  ])('"%s" is another scheme: all headers count as signed, and the credentials tell callers apart', authorization => {
    const facts = signature({ authorization, 'x-amz-date': '20130524T000000Z' });
    expect(facts).toMatchObject({
      scheme: 'other',
      sessionToken: authorization,
      signedHeaders: 'all',
      expiresAt: undefined,
    });
    expect(isSigned(facts, 'if-none-match')).toBe(true);
  });
});

describe('presigned', () => {
  it('SigV4', () => {
    expect(signature({}, v4({ 'X-Amz-Security-Token': 'a+/=' }))).toEqual({
      scheme: 'sigv4',
      presigned: true,
      accessKeyId: 'AKID',
      sessionToken: 'a+/=',
      signedHeaders: new Set(['host', 'range']),
      expiresAt: START + 86_400_000,
    });
  });
  it('SigV4A', () => {
    const query = v4({ 'X-Amz-Algorithm': 'AWS4-ECDSA-P256-SHA256', 'X-Amz-Region-Set': '*' });
    expect(signature({}, query)).toMatchObject({ scheme: 'sigv4a', presigned: true });
  });
  it('SigV2', () => {
    expect(signature({}, 'AWSAccessKeyId=AKID&Expires=1369353600&Signature=x%3D&x-amz-security-token=t')).toMatchObject(
      {
        scheme: 'sigv2',
        presigned: true,
        accessKeyId: 'AKID',
        sessionToken: 't',
        expiresAt: 1369353600_000,
      },
    );
  });
  it.each(['', '-1', '1.5', 'x', '99999999999'])('an X-Amz-Expires of "%s" gives no end', expires => {
    expect(signature({}, v4({ 'X-Amz-Expires': expires })).expiresAt).toBeUndefined();
  });
  it('an unknown algorithm is another scheme, signed in all headers', () => {
    expect(signature({}, v4({ 'X-Amz-Algorithm': 'X' }))).toMatchObject({ scheme: 'other', signedHeaders: 'all' });
  });
});

it('without a signature the caller is anonymous and no header is signed', () => {
  const facts = signature();
  expect(facts).toMatchObject({ scheme: 'anonymous', accessKeyId: undefined, expiresAt: undefined });
  expect(isSigned(facts, 'range')).toBe(false);
});

it('nothing throws, whatever comes', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.string(), (authorization, date, query) => {
      signature({ authorization, date });
      signature({ authorization: `AWS4-HMAC-SHA256 ${authorization}`, 'x-amz-date': date });
      signature({}, `X-Amz-Algorithm=AWS4-HMAC-SHA256&${query}`);
    }),
  );
});
