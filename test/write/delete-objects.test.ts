import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { WriteKind } from '../../proxy-core/request/index.ts';
import { play } from './helpers.ts';

const write: WriteKind = { kind: 'delete_objects', origin: 'aws', bucket: 'b' };
const latin1 = (text: string) => Buffer.from(text, 'utf8').toString('latin1');
const escapeXml = (text: string) =>
  text.replace(/[&<>"'\u0000-\u001f]/g, c =>
    c.charCodeAt(0) < 32
      ? `&#x${c.charCodeAt(0).toString(16)};`
      : { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' }[c]!,
  );
const request = (...keys: string[]) =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${keys.map(key => `<Object><Key>${escapeXml(key)}</Key></Object>`).join('\n')}<Quiet>true</Quiet></Delete>`;
const answer = (...entries: string[]) =>
  `<?xml version="1.0"?>\n<DeleteResult xmlns="http://s3">${entries.join('')}</DeleteResult>`;
const error = (key: string, code = 'AccessDenied') => `<Error><Key>${escapeXml(key)}</Key><Code>${code}</Code></Error>`;
const deleted = (key: string) => `<Deleted><Key>${escapeXml(key)}</Key></Deleted>`;

describe('the keys of the request', () => {
  it('are moved on before the end, quiet or not', async () => {
    const quiet = await play({ write, request: request('a', 'b'), answer: answer() });
    expect(quiet).toEqual({
      beforeHeaders: [],
      beforeEnd: ['a', 'b'],
      forgotten: ['a', 'b'],
      problems: [],
      holdsEnd: true,
    });
    const loud = await play({ write, request: request('a', 'b'), answer: answer(deleted('a'), deleted('b')) });
    expect(new Set(loud.beforeEnd)).toEqual(new Set(['a', 'b']));
  });
  it('but for those with an error', async () => {
    const { beforeEnd } = await play({
      write,
      request: request('a', 'b', 'c'),
      answer: answer(error('b'), deleted('c')),
    });
    expect(new Set(beforeEnd)).toEqual(new Set(['a', 'c']));
  });
  it("an error of S3's own tells nothing: moved on", async () => {
    const { beforeEnd } = await play({ write, request: request('a'), answer: answer(error('a', 'InternalError')) });
    expect(beforeEnd).toEqual(['a']);
  });
  it('one key in several versions is moved on unless each failed', async () => {
    const once = await play({ write, request: request('a', 'a'), answer: answer(error('a')) });
    expect(once.beforeEnd).toEqual(['a']);
    const never = await play({ write, request: request('a', 'a'), answer: answer(error('a'), error('a')) });
    expect(never.beforeEnd).toEqual([]);
  });
  it('what is certainly gone need not be kept: no version by its id, no error, and an answer that says so', async () => {
    const versioned = request('a', 'b', 'c').replace('<Key>a</Key>', '<Key>a</Key><VersionId>1</VersionId>');
    const some = await play({ write, request: versioned, answer: answer(deleted('a'), error('b', 'InternalError')) });
    expect(some).toMatchObject({ beforeEnd: ['a', 'b', 'c'], forgotten: ['c'] });
    expect((await play({ write, request: request('a'), answer: 'x' })).forgotten).toEqual([]);
    expect((await play({ write, request: request('a'), dies: 'before_headers' })).forgotten).toEqual([]);
  });
  it('with bodies cut at every place', async () => {
    const keys = ['ä&b', '<c>'];
    const [sent, got] = [request(...keys), answer(error('<c>'))];
    for (let cut = 0; cut <= Buffer.byteLength(sent); cut++) {
      expect((await play({ write, request: sent, answer: got, cut })).beforeEnd).toEqual([latin1('ä&b')]);
    }
  });
  it.each([
    ['escapes', '&amp;lt;&#228;&#xE4;&#10;&#x1;&quot;&apos;', '&lt;ää\n\u0001"\''],
    ['an unknown entity', '&copy;&#x110000;', '&copy;&#x110000;'],
    ['references with zeros before', '&#x0000026;&#00000038;', '&&'],
    ['white space', '  a b  ', '  a b  '],
    ['only white space', ' ', ' '],
    ['digits', '007', '007'],
    ['CDATA', 'a<![CDATA[<&amp;>]]>b', 'a<&amp;>b'],
    ['a comment', 'a<!-- x -->b', 'ab'],
    ['UTF-8', 'ключ/😀', 'ключ/😀'],
    ['names that JavaScript knows', '__proto__', '__proto__'],
    ['more such names', 'constructor', 'constructor'],
  ])('%s', async (_, xml, key) => {
    const { beforeEnd } = await play({
      write,
      request: `<Delete><Object><Key>${xml}</Key></Object></Delete>`,
      answer: answer(),
    });
    expect(beforeEnd).toEqual([latin1(key)]);
  });
  it('any key comes back from its XML', async () => {
    const key = fc.string({ unit: 'grapheme', minLength: 1 });
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(key, { minLength: 1 }), async keys => {
        const { beforeEnd } = await play({ write, request: request(...keys), answer: answer() });
        expect(beforeEnd).toEqual(keys.map(latin1));
      }),
    );
  });
  it('a thousand of the longest, in their longest spelling', async () => {
    const keys = Array.from({ length: 1000 }, (_, i) => `${String(i).padStart(4, '0')}${'"'.repeat(1020)}`);
    const { beforeEnd, problems } = await play({ write, request: request(...keys), answer: answer() });
    expect(beforeEnd).toEqual(keys);
    expect(problems).toEqual([]);
  });
  it.each(['STREAMING-UNSIGNED-PAYLOAD-TRAILER', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD'])(
    'in an aws-chunked body (%s)',
    async contentSha256 => {
      const xml = Buffer.from(request('a', 'ä'));
      const half = Math.floor(xml.length / 2);
      const chunk = (part: Buffer) =>
        Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')]);
      const body = Buffer.concat([
        chunk(xml.subarray(0, half)),
        chunk(xml.subarray(half)),
        Buffer.from('0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n'),
      ]);
      const { beforeEnd } = await play({ write, request: body, answer: answer(), facts: { contentSha256 } });
      expect(beforeEnd).toEqual(['a', latin1('ä')]);
    },
  );
});

describe('outcomes', () => {
  it.each([400, 403, 404, 411])('%i: nothing changed', async status => {
    const played = await play({
      write,
      request: request('a'),
      status,
      answer: '<Error><Code>MalformedXML</Code></Error>',
    });
    expect(played).toMatchObject({ beforeHeaders: [], beforeEnd: [], problems: [] });
  });
  it('a 200 with <Error> changed nothing, unless it is an error of S3 itself', async () => {
    const plain = await play({ write, request: request('a'), answer: '<Error><Code>AccessDenied</Code></Error>' });
    expect(plain.beforeEnd).toEqual([]);
    const internal = await play({ write, request: request('a'), answer: '<Error><Code>InternalError</Code></Error>' });
    expect(internal.beforeEnd).toEqual(['a']);
  });
  it('503: each is moved on before the headers', async () => {
    expect(await play({ write, request: request('a', 'b'), status: 503 })).toMatchObject({
      beforeHeaders: ['a', 'b'],
      beforeEnd: [],
    });
  });
  it('the connection dies before the answer or in it: each is moved on', async () => {
    expect((await play({ write, request: request('a', 'b'), dies: 'before_headers' })).beforeHeaders).toEqual([
      'a',
      'b',
    ]);
    const inBody = await play({
      write,
      request: request('a', 'b'),
      answer: answer(error('a')).slice(0, -5),
      dies: 'in_body',
    });
    expect(inBody.beforeEnd).toEqual(['a', 'b']);
  });
  it.each(['', 'done', '<Other/>'])('an answer that cannot be read ("%s"): each is moved on', async got => {
    expect((await play({ write, request: request('a', 'b'), answer: got })).beforeEnd).toEqual(['a', 'b']);
  });
  it.each([
    ['unreadable', 'no xml'],
    ['too large', Buffer.alloc(16 * 2 ** 20 + 1, 'a')],
    ['not chunked as it says', request('x')],
  ])('a request that is %s but accepted is reported, and what the answer names is moved on', async (_, body) => {
    const facts = { contentSha256: _ === 'not chunked as it says' ? 'STREAMING-UNSIGNED-PAYLOAD-TRAILER' : undefined };
    const { beforeEnd, problems } = await play({
      write,
      facts,
      request: body,
      answer: answer(deleted('a'), error('c')),
    });
    expect(beforeEnd).toEqual(['a']);
    expect(problems).toEqual([expect.stringContaining('bucket b')]);
  });
  it('an unreadable request of unknown outcome is not reported: S3 cannot have read it either', async () => {
    const sent = request('a');
    expect(await play({ write, request: 'no xml', dies: 'before_headers' })).toMatchObject({
      beforeHeaders: [],
      problems: [],
    });
    expect((await play({ write, request: sent, dies: 'before_headers' })).beforeHeaders).toEqual(['a']);
  });
});
