import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AwsChunkedDecoder, decodeAwsChunked, isAwsChunked } from '../../proxy-core/write/index.ts';

const SIGNATURE = ';chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648';
const chunked = (chunks: Buffer[], extension = '', end = '\r\n') =>
  Buffer.concat([
    ...chunks.map(chunk =>
      Buffer.concat([Buffer.from(`${chunk.length.toString(16)}${extension}\r\n`), chunk, Buffer.from('\r\n')]),
    ),
    Buffer.from(`0${extension}\r\n${end}`),
  ]);
const text = (...parts: string[]) => parts.map(part => Buffer.from(part));

function decode(...pieces: Buffer[]) {
  const decoder = new AwsChunkedDecoder();
  const content = Buffer.concat(pieces.flatMap(piece => decoder.push(piece))).toString('latin1');
  return { content, complete: decoder.complete, problem: decoder.problem, trailers: decoder.trailers };
}

const SUM = ['x-amz-checksum-crc32', 'sOO8/Q=='];
const TRAILER = 'x-amz-checksum-crc32:sOO8/Q==\r\n';
const SIGNED_TRAILER = `${TRAILER}x-amz-trailer-signature:d81f82fc\r\n`;
const forms: [string, Buffer, string[]][] = [
  ['signed', chunked(text('hello ', 'world'), SIGNATURE), []],
  ['unsigned', chunked(text('hello ', 'world')), []],
  ['unsigned with trailer', chunked(text('hello ', 'world'), '', `${TRAILER}\r\n`), SUM],
  [
    'signed with trailer',
    chunked(text('hello world'), SIGNATURE, `${SIGNED_TRAILER}\r\n`),
    [...SUM, 'x-amz-trailer-signature', 'd81f82fc'],
  ],
  [
    'with a bare newline after the trailer',
    chunked(text('hello world'), '', 'x-amz-checksum-crc32:sOO8/Q==\n\r\n'),
    SUM,
  ],
  [
    'with an empty line among the trailers',
    chunked(text('hello world'), '', `${TRAILER}\r\nx-amz-trailer-signature: d81f82fc\r\n\r\n`),
    [...SUM, 'x-amz-trailer-signature', 'd81f82fc'],
  ],
  ['with line ends as content', chunked(text('hello ', 'world')), []],
];

describe.each(forms)('%s', (_, body, trailers) => {
  const whole = { content: 'hello world', complete: true, problem: undefined, trailers };
  it('in one piece', () => expect(decode(body)).toEqual(whole));
  it('byte by byte', () => expect(decode(...Array.from(body, byte => Buffer.of(byte)))).toEqual(whole));
  it('cut in two at every place', () => {
    for (let at = 0; at <= body.length; at++) expect(decode(body.subarray(0, at), body.subarray(at))).toEqual(whole);
  });
  it('is not complete before its end', () => {
    const content = body.subarray(0, body.lastIndexOf('\r\n0') + 2);
    expect(decode(content)).toMatchObject({ complete: false, problem: undefined, content: 'hello world' });
  });
});

it('any content in any chunks, cut anywhere, comes back', () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 }).map(b => Buffer.from(b));
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 6 }), fc.boolean(), fc.nat(2000), (chunks, signed, cut) => {
      const body = chunked(chunks, signed ? SIGNATURE : '', signed ? '\r\n' : `${TRAILER}\r\n`);
      const expected = Buffer.concat(chunks).toString('latin1');
      expect(decode(body.subarray(0, cut), body.subarray(cut))).toMatchObject({ content: expected, complete: true });
    }),
  );
});

describe('what is not aws-chunked is a problem and no exception', () => {
  it.each([
    ['plain content', 'hello world\n'],
    ['no size', ';chunk-signature=a\r\n'],
    ['an empty size', '\r\n'],
    ['a negative size', '-1\r\n'],
    ['a size past 2^52', 'fffffffffffffff\r\n'],
    ['a chunk longer than its size', '3\r\nabcd\r\n0\r\n\r\n'],
    ['a chunk shorter than its size', '5\r\nabc\r\n0\r\n\r\n'],
    ['a trailer without a name', '0\r\nnothing\r\n\r\n'],
    ['content after the end', '0\r\n\r\nxyz\r\n'],
    ['an endless line', `1;${'a'.repeat(5000)}`],
    ['endless trailers', `0\r\n${'a:b\r\n'.repeat(33)}`],
  ])('%s', (_, body) => {
    expect(decode(Buffer.from(body)).problem).toBeTypeOf('string');
    expect(decode(Buffer.from(body)).complete).toBe(false);
    expect(decodeAwsChunked(Buffer.from(body))).toBeUndefined();
  });
  it('anything at all', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.nat(50), (bytes, cut) => {
        const body = Buffer.from(bytes);
        expect(decode(body.subarray(0, cut), body.subarray(cut))).toEqual(decode(body));
      }),
    );
  });
});

it.each([
  ['STREAMING-AWS4-HMAC-SHA256-PAYLOAD', undefined, true],
  ['STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER', undefined, true],
  ['STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD', undefined, true],
  ['STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER', 'gzip', true],
  ['STREAMING-UNSIGNED-PAYLOAD-TRAILER', undefined, true],
  ['UNSIGNED-PAYLOAD', undefined, false],
  [undefined, 'aws-chunked', true],
  [undefined, 'gzip, AWS-chunked', true],
  [undefined, 'gzip', false],
  [undefined, undefined, false],
])('%s with Content-Encoding %s: %s', (sha256, encoding, expected) => {
  expect(isAwsChunked(sha256, encoding)).toBe(expected);
});
