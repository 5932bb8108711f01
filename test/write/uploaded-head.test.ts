import { describe, expect, it } from 'vitest';
import { type RawHeaders, setHeader } from '../../proxy-core/request/index.ts';
import { versionId } from '../../proxy-core/store/index.ts';
import { checksumHeaders, strongEtag, uploadedHead, uploadFacts } from '../../proxy-core/write/uploaded-head.ts';

const ETAG = '"0cc175b9c0f1b6a831c399e269772661"';
const ANSWER = ['x-amz-id-2', 'i', 'x-amz-request-id', 'r', 'Date', 'Sun, 06 Nov 1994 08:49:37 GMT', 'ETag', ETAG];
const TYPE = ['Content-Type', 'text/plain'];

function factsOf(headers: RawHeaders, knownStore = true, moved: RawHeaders = []) {
  return uploadFacts({ headers, moved }, knownStore);
}

function headOf(request: RawHeaders, answer: RawHeaders = ANSWER, knownStore = true) {
  const facts = factsOf(request, knownStore);
  return uploadedHead({ facts, etag: ETAG, length: 1, answer, checksums: checksumHeaders(answer), took: 1000 });
}

describe('the head of an object that was just written', () => {
  it('has what request and answer tell of a GET, as S3 spells and orders it', () => {
    const request = [
      ...['Host', 'b.s3.amazonaws.com', 'Authorization', 'AWS4…', 'x-amz-content-sha256', 'abc', 'Content-MD5', 'x'],
      ...['content-type', 'text/csv; charset=utf-8', 'Content-Encoding', 'gzip', 'CONTENT-DISPOSITION', 'attachment'],
      ...['Content-Language', 'de, en', 'cache-control', 'max-age=60', 'Expires', '0', 'Content-Length', '1'],
      ...['X-Amz-Meta-Who', 'me  you', 'x-amz-meta-n', '7', 'x-amz-website-redirect-location', '/other'],
      ...['x-amz-storage-class', 'STANDARD_IA', 'x-amz-tagging', 'a=b&c=d%26', 'x-amz-acl', 'private'],
      ...['x-amz-server-side-encryption', 'aws:kms', 'x-amz-server-side-encryption-context', 'e30='],
    ];
    const answer = [
      ...[...ANSWER, 'x-amz-server-side-encryption', 'aws:kms', 'x-amz-server-side-encryption-aws-kms-key-id', 'arn'],
      ...['x-amz-server-side-encryption-context', 'e30=', 'x-amz-server-side-encryption-bucket-key-enabled', 'true'],
      ...['x-amz-version-id', 'v1', 'x-amz-expiration', 'expiry-date="…", rule-id="r"', 'Server', 'AmazonS3'],
      ...['x-amz-checksum-crc32', 'sOO8/Q==', 'x-amz-checksum-type', 'FULL_OBJECT', 'Content-Length', '0'],
    ];
    const head = headOf(request, answer);
    expect(head).toMatchObject({ etag: ETAG, length: 1, version: versionId(ETAG, 1), checksumsKnown: true });
    expect(head).toMatchObject({ lastModified: undefined, written: Date.UTC(1994, 10, 6, 8, 49, 37) });
    expect(head.headers).toEqual([
      ...['Date', '', 'x-amz-expiration', 'expiry-date="…", rule-id="r"', 'ETag', ETAG, 'x-amz-tagging-count', '2'],
      ...['x-amz-server-side-encryption', 'aws:kms', 'x-amz-server-side-encryption-aws-kms-key-id', 'arn'],
      ...['x-amz-server-side-encryption-bucket-key-enabled', 'true', 'x-amz-meta-who', 'me  you', 'x-amz-meta-n', '7'],
      ...['x-amz-website-redirect-location', '/other', 'x-amz-storage-class', 'STANDARD_IA', 'x-amz-version-id', 'v1'],
      ...['x-amz-checksum-crc32', 'sOO8/Q==', 'x-amz-checksum-type', 'FULL_OBJECT', 'Cache-Control', 'max-age=60'],
      ...['Content-Disposition', 'attachment', 'Content-Encoding', 'gzip', 'Content-Language', 'de, en'],
      ...['Expires', '0', 'Accept-Ranges', 'bytes', 'Content-Type', 'text/csv; charset=utf-8', 'Content-Length', ''],
      ...['Server', 'AmazonS3'],
    ]);
  });
  it('tells no more than is known', () => {
    expect(headOf(['x-amz-storage-class', 'STANDARD', 'x-amz-tagging', '', ...TYPE]).headers).not.toContain('STANDARD');
    expect(headOf(TYPE)).toMatchObject({
      headers: ['Date', '', 'ETag', ETAG, 'Accept-Ranges', 'bytes', ...TYPE, 'Content-Length', ''],
      checksumsKnown: false,
    });
  });
  it('has the time of this machine where the answer has none', () => {
    const before = Date.now();
    const { written, begun } = headOf(TYPE, ['Date', 'soon', 'ETag', ETAG]);
    expect(begun).toBeUndefined();
    expect(written).toBeGreaterThanOrEqual(before);
    expect(written).toBeLessThanOrEqual(Date.now());
  });
});

describe('what S3 decides is not guessed: there is no Content-Type', () => {
  const umlaut = Buffer.from('ä', 'utf8').toString('latin1');
  it.each<[string, RawHeaders]>([
    ['no type', []],
    ['an empty type', ['Content-Type', '']],
    ['metadata in UTF-8', [...TYPE, 'x-amz-meta-a', umlaut]],
    ['metadata in coded words', [...TYPE, 'x-amz-meta-a', '=?UTF-8?B?w6Q=?=']],
    ['empty metadata', [...TYPE, 'x-amz-meta-a', '']],
    ['metadata without a name', [...TYPE, 'x-amz-meta-', '1']],
    ['metadata that came twice', [...TYPE, 'x-amz-meta-a', '1', 'X-Amz-Meta-A', '2']],
    ['a disposition in UTF-8', [...TYPE, 'Content-Disposition', `attachment; filename=${umlaut}`]],
    ['an object lock', [...TYPE, 'x-amz-object-lock-mode', 'GOVERNANCE']],
    ['codings around aws-chunked', [...TYPE, 'Content-Encoding', 'gzip, aws-chunked, br']],
  ])('%s', (_, request) => {
    expect(factsOf(request, true).unknowable).toBe(true);
    expect(headOf(request).headers).not.toContain('Content-Type');
  });
  it('what a presigned URL carries in its query', () => {
    expect(factsOf(TYPE, true, ['x-amz-meta-a', '1'])).toEqual({ headers: TYPE, unknowable: true });
    expect(factsOf(TYPE, true, ['X-Amz-Content-Sha256', 'x'])).toEqual({ headers: TYPE, unknowable: false });
  });
});

describe('aws-chunked is no coding of the object', () => {
  it.each([
    ['aws-chunked', undefined],
    ['AWS-Chunked', undefined],
    ['aws-chunked,gzip', 'gzip'],
    ['gzip, aws-chunked', 'gzip'],
    ['gzip', 'gzip'],
    ['gzip, br', 'gzip, br'],
  ])('%s: %s', (came, kept) => {
    const request = [...TYPE, 'Content-Encoding', came];
    const expected = headOf(kept === undefined ? TYPE : setHeader(request, 'Content-Encoding', kept)).headers;
    expect(headOf(request).headers).toEqual(expected);
    expect(factsOf(request, true).unknowable).toBe(false);
  });
  it('but another store than AWS may think otherwise', () => {
    expect(factsOf([...TYPE, 'Content-Encoding', 'aws-chunked'], false).unknowable).toBe(true);
    expect(factsOf([...TYPE, 'Content-Encoding', 'gzip'], false).unknowable).toBe(false);
  });
});

it('checksums are known where an answer has one', () => {
  expect(checksumHeaders(['x-amz-checksum-type', 'FULL_OBJECT'])).toEqual([]);
  expect(checksumHeaders(['ETag', 'e', 'X-Amz-Checksum-SHA256', 'x'])).toEqual(['X-Amz-Checksum-SHA256', 'x']);
});

it.each([
  ['"a"', '"a"'],
  ['W/"a"', undefined],
  ['a', undefined],
  ['""', undefined],
  [undefined, undefined],
])('strong ETag of %s: %s', (etag, expected) => expect(strongEtag(etag)).toBe(expected));
