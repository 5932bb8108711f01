import { describe, expect, it } from 'vitest';
import { endToEnd, type RawHeaders, TargetParser } from '../../proxy-core/request/index.ts';
import { headersOfWrite, uploadContent } from '../../proxy-core/write/upload-content.ts';
import { framingOf } from './helpers.ts';

const contentOf = (sent: RawHeaders, moved: RawHeaders = []) =>
  uploadContent({ headers: endToEnd(sent), moved }, framingOf(sent));
const SHA = 'x-amz-content-sha256';
const DECODED = 'x-amz-decoded-content-length';
const LENGTH = ['Content-Length', '100'];

describe('the content of an upload', () => {
  it.each<[string, RawHeaders, boolean, number | undefined]>([
    ['of a length', LENGTH, false, 100],
    ['of zero bytes', ['Content-Length', '0'], false, 0],
    ['without a body', [], false, 0],
    ['in chunked transfer', ['Transfer-Encoding', 'chunked'], false, undefined],
    ['unsigned', [...LENGTH, SHA, 'UNSIGNED-PAYLOAD'], false, 100],
    ['decoded length said for nothing', [...LENGTH, DECODED, '100'], false, 100],
    ['aws-chunked', [...LENGTH, SHA, 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD', DECODED, '9'], true, 9],
    ['with a trailer', [...LENGTH, SHA, 'STREAMING-UNSIGNED-PAYLOAD-TRAILER', DECODED, '9'], true, 9],
    ['in both chunks', ['Transfer-Encoding', 'chunked', SHA, 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'], true, undefined],
    ['by Content-Encoding', [...LENGTH, 'Content-Encoding', 'gzip,aws-chunked', DECODED, '9'], true, 9],
  ])('%s', (_, headers, chunked, length) => expect(contentOf(headers)).toEqual({ chunked, length }));

  it.each<[string, RawHeaders]>([
    ['sse_c', [...LENGTH, 'X-Amz-Server-Side-Encryption-Customer-Algorithm', 'AES256']],
    ['write_offset', [...LENGTH, 'x-amz-write-offset-bytes', '100']],
    ['archived', [...LENGTH, 'x-amz-storage-class', 'GLACIER']],
    ['archived', [...LENGTH, 'x-amz-storage-class', 'DEEP_ARCHIVE']],
    ['unclear_length', [...LENGTH, DECODED, '99']],
    ['unclear_length', ['Content-Length', '+1']],
    ['unclear_length', ['Transfer-Encoding', 'chunked', DECODED, '99']],
    ['unclear_length', [...LENGTH, SHA, 'STREAMING-UNSIGNED-PAYLOAD-TRAILER', DECODED, '1e2']],
    ['unclear_length', [...LENGTH, DECODED, '100', DECODED, '100']],
    ['unclear_length', [...LENGTH, 'Content-Encoding', 'aws-chunked', SHA, 'UNSIGNED-PAYLOAD']],
  ])('%s: %j', (reason, headers) => expect(contentOf(headers)).toEqual({ reason }));

  it.each<[string, RawHeaders]>([
    ['sse_c', ['x-amz-server-side-encryption-customer-algorithm', 'AES256']],
    ['archived', ['x-amz-storage-class', 'GLACIER']],
    ['unclear_length', ['X-Amz-Content-Sha256', 'STREAMING-UNSIGNED-PAYLOAD-TRAILER']],
    ['unclear_length', [DECODED, '99']],
  ])('%s, moved into the query: %j', (reason, moved) => expect(contentOf(LENGTH, moved)).toEqual({ reason }));
});

describe('the headers of a write', () => {
  const parser = new TargetParser();
  const headersOf = (target: string) => headersOfWrite(['Host', 'h'], parser.parse('s3.amazonaws.com', target));
  const SIGNATURE = 'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=d&X-Amz-Expires=9&X-Amz-Signature=s';

  it('are in the query, too, where it is presigned', () => {
    const target = `/b/k?${SIGNATURE}&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&x-amz-meta-a=1%202&x-id=PutObject`;
    const moved = ['X-Amz-Content-Sha256', 'UNSIGNED-PAYLOAD', 'x-amz-meta-a', '1 2'];
    expect(headersOf(target)).toEqual({ headers: ['Host', 'h'], moved });
    expect(headersOf(`/b/k?${SIGNATURE}`).moved).toEqual([]);
  });
  it('and nowhere else', () => expect(headersOf('/b/k?x-amz-meta-a=1').moved).toEqual([]));
});
