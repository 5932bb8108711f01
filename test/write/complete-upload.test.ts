import { describe, expect, it } from 'vitest';
import { completedUpload, countParts, namedParts } from '../../proxy-core/write/complete-upload.ts';

const request = (...parts: string[]) =>
  Buffer.from(
    `<?xml version="1.0"?><CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${parts.map(part => `<Part>${part}</Part>`).join('\n')}</CompleteMultipartUpload>`,
  );
const part = (number: number | string, etag: string) => `<PartNumber>${number}</PartNumber><ETag>${etag}</ETag>`;

describe('the parts that a completion names', () => {
  it('with quotes, coded or not, and without them; checksums beside them', () => {
    const body = request(
      part(1, '"a"'),
      part(3, '&quot;b&quot;'),
      `<ChecksumCRC32>x</ChecksumCRC32><ETag>c</ETag><PartNumber> 10000 </PartNumber>`,
    );
    expect(namedParts(body)).toEqual([
      { number: 1, etag: '"a"' },
      { number: 3, etag: '"b"' },
      { number: 10_000, etag: '"c"' },
    ]);
    expect(countParts(body)).toBe(3);
  });
  it.each([
    ['nothing', undefined],
    ['no XML', Buffer.from('x')],
    ['another root', Buffer.from('<Complete><Part/></Complete>')],
    ['no part', request()],
    ['a part without a number', request('<ETag>a</ETag>')],
    ['a part without an ETag', request('<PartNumber>1</PartNumber>')],
    ['an empty ETag', request(part(1, ''))],
    ['part 0', request(part(0, 'a'))],
    ['a number that is none', request(part('1e1', 'a'))],
    ['parts out of order', request(part(2, 'a'), part(1, 'b'))],
    ['a part twice', request(part(1, 'a'), part(1, 'b'))],
  ])('%s: not as S3 asks for', (_, body) => expect(namedParts(body)).toBeUndefined());
});

describe('what a completion is answered', () => {
  const answer = (inner: string) =>
    Buffer.from(
      `\n \n<?xml version="1.0" encoding="UTF-8"?>\n\n<CompleteMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Location>http://b.s3.amazonaws.com/k</Location>${inner}</CompleteMultipartUploadResult>`,
    );
  it('the ETag, how many parts it counts, and checksums', () => {
    const inner =
      '<ETag>&quot;ab-2&quot;</ETag><ChecksumCRC64NVME>AAAAAAAAAAA=</ChecksumCRC64NVME><ChecksumType>FULL_OBJECT</ChecksumType>';
    expect(completedUpload(answer(inner))).toEqual({
      etag: '"ab-2"',
      count: 2,
      checksums: ['x-amz-checksum-crc64nvme', 'AAAAAAAAAAA=', 'x-amz-checksum-type', 'FULL_OBJECT'],
    });
  });
  it('an ETag that counts nothing, and a type of no checksum', () => {
    const inner = '<ETag>ab</ETag><ChecksumType>COMPOSITE</ChecksumType>';
    expect(completedUpload(answer(inner))).toEqual({ etag: '"ab"', count: undefined, checksums: [] });
  });
  it.each([
    ['nothing', undefined],
    ['an error', Buffer.from('<Error><Code>InternalError</Code></Error>')],
    ['no ETag', answer('')],
    ['a weak ETag', answer('<ETag>W/"a"</ETag>')],
  ])('%s: nothing to go by', (_, body) => expect(completedUpload(body)).toBeUndefined());
});
