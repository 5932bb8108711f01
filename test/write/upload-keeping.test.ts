import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  classify,
  endToEnd,
  headerValue,
  type RawHeaders,
  readHeaderFacts,
  TargetParser,
} from '../../proxy-core/request/index.ts';
import { type Keeping, type UploadKeepingOptions, uploadKeeping } from '../../proxy-core/write/index.ts';
import { FakeStore } from './fake-store.ts';
import { framingOf } from './helpers.ts';

const ETAG = '"0cc175b9c0f1b6a831c399e269772661"';
const TYPE = ['Content-Type', 'text/plain'];
const ANSWER = ['Date', 'Sun, 06 Nov 1994 08:49:37 GMT', 'ETag', ETAG];
const parser = new TargetParser();

interface Script {
  readonly method?: string;
  readonly target?: string;
  readonly headers?: RawHeaders;
  readonly settings?: Partial<UploadKeepingOptions['settings']>;
}

/** What is kept of a request to AWS, with what it leaves behind. */
function keep({ method = 'PUT', target = '/b/k', headers = [], settings }: Script = {}) {
  const store = new FakeStore();
  const told: string[] = [];
  const parsed = parser.parse('s3.amazonaws.com', target);
  const kind = classify(method, readHeaderFacts(headers), parsed);
  const upload = kind.kind === 'write' ? kind.upload : undefined;
  const keeping = uploadKeeping(
    upload!,
    { headers: endToEnd(headers), framing: framingOf(headers), target: parsed },
    {
      store,
      settings: {
        unknown: false,
        read_cache_enabled: true,
        write_cache_enabled: true,
        write_cache_max_object_size: 100,
        ram_cache_eligible: true,
        ...settings,
      },
      mayCompress: (about, length) => headerValue(about, 'content-type') === 'text/plain' && length > 10,
      onKept: () => told.push('kept'),
      onPassedBy: reason => told.push(reason),
    },
  );
  return { store, told, keeping };
}

function send(keeping: Keeping | undefined, ...chunks: string[]): ('hold' | undefined)[] {
  const answers = chunks.map(chunk => keeping!.onRequestBody?.(Buffer.from(chunk), () => {}));
  keeping!.onRequestEnd?.();
  return answers;
}

describe('a PutObject', () => {
  it('is kept with its head, once S3 has accepted it', async () => {
    const { store, told, keeping } = keep({ headers: [...TYPE, 'Content-Length', '11'] });
    send(keeping, 'hello ', 'world');
    expect(store.published).toEqual([]);
    await keeping!.accepted(ANSWER, undefined);
    const [{ head, ...published }] = store.published as [(typeof store.published)[0]];
    expect(published).toEqual({ key: 'k', content: Buffer.from('hello world'), ram: true, compress: true });
    expect(head).toMatchObject({ etag: ETAG, length: 11, written: Date.UTC(1994, 10, 6, 8, 49, 37) });
    expect(store.copies[0]!.options).toMatchObject({ length: 11, compression: 'try' });
    expect(told).toEqual(['kept']);
  });
  it('of zero bytes is kept', async () => {
    for (const body of [[], ['']]) {
      const { store, keeping, told } = keep({ headers: ['Content-Length', '0'] });
      send(keeping, ...body);
      await keeping!.accepted(ANSWER, undefined);
      expect(store.published[0]).toMatchObject({ head: { length: 0 }, compress: false });
      expect(told).toEqual(['kept']);
    }
  });
  it('in chunked transfer is kept by the bytes that came', async () => {
    const { store, keeping } = keep({ headers: ['Transfer-Encoding', 'chunked'] });
    send(keeping, 'a', 'bc');
    await keeping!.accepted(ANSWER, undefined);
    expect(store.published[0]).toMatchObject({ content: Buffer.from('abc'), head: { length: 3 } });
    expect(store.copies[0]!.options.length).toBeUndefined();
  });
  it('in aws-chunked is kept decoded', async () => {
    const headers = ['x-amz-content-sha256', 'STREAMING-UNSIGNED-PAYLOAD-TRAILER', 'x-amz-decoded-content-length', '3'];
    const { store, keeping } = keep({ headers });
    send(keeping, '2\r\nab\r\n1\r', '\nc\r\n0\r\nx-amz-checksum-crc32:NSRBwg==\r\n\r\n');
    await keeping!.accepted(ANSWER, undefined);
    expect(store.published[0]).toMatchObject({ content: Buffer.from('abc'), head: { length: 3 } });
  });
  it('waits for the disk, and goes on when there is room, or none is needed', () => {
    const { store, keeping } = keep({ headers: ['Content-Length', '6'] });
    let resumed = 0;
    const push = (text: string) => keeping!.onRequestBody!(Buffer.from(text), () => resumed++);
    expect(push('ab')).toBeUndefined();
    store.copies[0]!.busy = true;
    expect(push('cd')).toBe('hold');
    store.copies[0]!.options.onRoom();
    expect(resumed).toBe(1);
    store.copies[0]!.lost = 'slow';
    expect(push('ef')).toBeUndefined();
    keeping!.abandoned();
    expect(resumed).toBe(2);
  });

  const chunked = ['x-amz-content-sha256', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD', 'x-amz-decoded-content-length', '3'];
  it.each<[string, Script, string[], RawHeaders, string]>([
    ['grows too large', { headers: ['Transfer-Encoding', 'chunked'] }, ['a'.repeat(101)], ANSWER, 'too_large'],
    ['is shorter than it said', { headers: ['Content-Length', '3'] }, ['ab'], ANSWER, 'incomplete'],
    ['is not aws-chunked, as it said', { headers: chunked }, ['abc'], ANSWER, 'undecodable'],
    ['is cut', { headers: chunked }, ['3\r\nabc\r\n'], ANSWER, 'undecodable'],
    ['decodes to less', { headers: chunked }, ['2\r\nab\r\n0\r\n\r\n'], ANSWER, 'undecodable'],
    ['decodes to more', { headers: chunked }, ['4\r\nabcd\r\n0\r\n\r\n'], ANSWER, 'undecodable'],
    ['has no ETag', { headers: ['Content-Length', '1'] }, ['a'], [], 'no_strong_etag'],
    ['has a weak ETag', { headers: ['Content-Length', '1'] }, ['a'], ['ETag', 'W/"a"'], 'no_strong_etag'],
    [
      'is only a piece of the object',
      { headers: ['Content-Length', '1'] },
      ['a'],
      [...ANSWER, 'x-amz-object-size', '2'],
      'incomplete',
    ],
  ])('that %s is not kept', async (_, script, body, answer, reason) => {
    const { store, told, keeping } = keep(script);
    send(keeping, ...body);
    await keeping!.accepted(answer, undefined);
    expect(store.published).toEqual([]);
    expect(store.copies.every(copy => copy.discarded)).toBe(true);
    expect(told).toEqual([reason]);
  });
  it('that S3 answers before its end is not kept', async () => {
    const { store, told, keeping } = keep({ headers: ['Transfer-Encoding', 'chunked'] });
    keeping!.onRequestBody!(Buffer.from('a'), () => {});
    await keeping!.accepted(ANSWER, undefined);
    expect({ published: store.published, told }).toEqual({ published: [], told: ['incomplete'] });
  });
  it('that the cache does not take, or loses, is not kept', async () => {
    for (const trouble of ['refuses', 'loses', 'loses at the end'] as const) {
      const { store, told, keeping } = keep({ headers: ['Content-Length', '2'] });
      store.takes = trouble !== 'refuses';
      keeping!.onRequestBody!(Buffer.from('a'), () => {});
      if (trouble === 'loses') store.copies[0]!.lost = 'memory ran short';
      send(keeping, 'b');
      if (trouble === 'loses at the end') store.copies[0]!.lost = 'the disk is slower than S3';
      await keeping!.accepted(ANSWER, undefined);
      expect({ published: store.published, told }).toEqual({ published: [], told: ['cache_busy'] });
    }
  });
  it('that S3 refuses leaves nothing, and is not counted', () => {
    const { store, told, keeping } = keep({ headers: ['Content-Length', '1'] });
    send(keeping, 'a');
    keeping!.abandoned();
    expect(store.copies[0]!.discarded).toBe(true);
    expect(told).toEqual([]);
  });

  it.each<[string, Script, string]>([
    ['too large', { headers: ['Content-Length', '101'] }, 'too_large'],
    ['encrypted with a key of the client', { headers: ['x-amz-server-side-encryption-customer-key', 'k'] }, 'sse_c'],
    [
      'so encrypted by a presigned URL',
      {
        target:
          '/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=a&x-amz-server-side-encryption-customer-algorithm=AES256',
      },
      'sse_c',
    ],
    ['archived', { headers: ['x-amz-storage-class', 'GLACIER'] }, 'archived'],
    ['where writes are not kept', { settings: { write_cache_enabled: false } }, 'write_cache_disabled'],
    ['whose bucket’s settings are not known', { settings: { unknown: true } }, 'settings_unknown'],
    ['where reads are not cached', { settings: { read_cache_enabled: false } }, 'read_cache_disabled'],
  ])('%s is passed by', (_, script, reason) => {
    const { keeping, told } = keep(script);
    expect({ keeping, told }).toEqual({ keeping: undefined, told: [reason] });
  });
});

describe('a multipart upload', () => {
  const create = '/b/k?uploads';
  const created = (id: string) =>
    Buffer.from(`<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`);

  it('is begun with what its request and answer tell of the object', async () => {
    const { store, keeping } = keep({ method: 'POST', target: create, headers: [...TYPE, 'x-amz-meta-a', '1'] });
    await keeping!.accepted(['x-amz-server-side-encryption', 'AES256', 'x-amz-abort-date', 'd'], created('u&amp;1'));
    const headers = [...TYPE, 'x-amz-meta-a', '1', 'x-amz-server-side-encryption', 'AES256'];
    expect(store.done).toEqual([['created', 'k', 'u&1', { headers, unknowable: false }]]);
  });
  it('has begun when S3 took Create in, which may be long before it answers', async () => {
    const now = vi.spyOn(performance, 'now').mockReturnValue(1000);
    onTestFinished(() => now.mockRestore());
    const { store, keeping } = keep({ method: 'POST', target: create, headers: TYPE });
    now.mockReturnValue(6000);
    await keeping!.accepted(['Date', 'Sun, 06 Nov 1994 08:49:37 GMT'], created('u'));
    expect(store.done[0]?.[3]).toMatchObject({ begun: Date.UTC(1994, 10, 6, 8, 49, 32) });
  });

  it.each([
    ['no answer', undefined],
    ['an empty id', created('')],
    ['something else', Buffer.from('<Other><UploadId>u</UploadId></Other>')],
  ])('is not begun by %s', async (_, answer) => {
    const { store, keeping } = keep({ method: 'POST', target: create, headers: TYPE });
    await keeping!.accepted([], answer);
    expect(store.done).toEqual([]);
  });
  it('has its parts kept, with their ETags and checksums', async () => {
    const { store, told, keeping } = keep({ target: '/b/k?partNumber=7&uploadId=u', headers: ['Content-Length', '1'] });
    send(keeping, 'a');
    await keeping!.accepted([...ANSWER, 'x-amz-checksum-crc32', 'x'], undefined);
    const part = { number: 7, etag: ETAG, checksums: ['x-amz-checksum-crc32', 'x'] };
    expect(store.done).toEqual([['part', 'k', 'u', part, 'a']]);
    expect(told).toEqual([]);
  });
  it('has no part kept that is not whole, refused, or makes it too large', async () => {
    const target = '/b/k?partNumber=7&uploadId=u';
    const cut = keep({ target, headers: ['Content-Length', '2'] });
    send(cut.keeping, 'a');
    await cut.keeping!.accepted(ANSWER, undefined);
    const refused = keep({ target, headers: ['Content-Length', '1'] });
    send(refused.keeping, 'a');
    refused.keeping!.abandoned();
    expect([...cut.store.done, ...refused.store.done]).toEqual([]);
    expect(cut.store.copies[0]!.discarded && refused.store.copies[0]!.discarded).toBe(true);
  });
  it('that a part makes too large is not kept any more', async () => {
    const script = { target: '/b/k?partNumber=7&uploadId=u', headers: ['Content-Length', '15'] };
    const { keeping, told, store } = keep(script);
    send(keeping, 'the whole part.');
    expect({ copies: store.copies, done: store.done }).toEqual({ copies: [], done: [] });
    await keeping!.accepted(ANSWER, undefined);
    expect({ told, done: store.done }).toEqual({ told: [], done: [['abort', 'k', 'u']] });
  });
  it('with a key of the client is not kept, whatever comes', () => {
    const headers = ['x-amz-server-side-encryption-customer-algorithm', 'AES256'];
    expect(keep({ method: 'POST', target: create, headers }).keeping).toBeUndefined();
    const { store, keeping } = keep({ target: '/b/k?partNumber=1&uploadId=u', headers });
    send(keeping, 'a');
    expect(store.copies).toEqual([]);
  });
  it.each<[string, Script]>([
    ['is aborted', { method: 'DELETE', target: '/b/k?uploadId=u' }],
    ['has a part copied', { target: '/b/k?partNumber=1&uploadId=u', headers: ['x-amz-copy-source', '/b/s'] }],
  ])('that %s is removed, also where nothing is kept any more', async (_, script) => {
    const { store, keeping } = keep({ ...script, settings: { write_cache_enabled: false } });
    expect(store.done).toEqual([]);
    await keeping!.accepted([], undefined);
    expect(store.done).toEqual([['abort', 'k', 'u']]);
  });
});

describe('a completed upload', () => {
  const request =
    '<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>a</ETag></Part><Part><ETag>"b"</ETag><PartNumber>2</PartNumber></Part></CompleteMultipartUpload>';
  const answer = (etag: string) =>
    Buffer.from(`<CompleteMultipartUploadResult><ETag>"${etag}"</ETag></CompleteMultipartUploadResult>`);
  const NAMED = [
    { number: 1, etag: '"a"' },
    { number: 2, etag: '"b"' },
  ];
  const LARGEST = 5 * 2 ** 20;
  const complete = ({ settings, ...script }: Script = {}) =>
    keep({
      method: 'POST',
      target: '/b/k?uploadId=u',
      settings: { write_cache_max_object_size: LARGEST, ...settings },
      ...script,
    });

  it('becomes the object, its head from Create, Complete and their answers', async () => {
    const { store, told, keeping } = complete();
    store.found = { created: { headers: TYPE, unknowable: false }, length: 6 };
    send(keeping, request.slice(0, 50), request.slice(50));
    await keeping!.accepted(['Date', ANSWER[1]!, 'x-amz-version-id', 'v'], answer('ab-2'));
    expect(store.done).toEqual([['complete', 'k', 'u', NAMED]]);
    expect(store.completed).toMatchObject({ etag: '"ab-2"', length: 6 });
    expect(store.completed!.headers).toEqual([
      ...['Date', '', 'ETag', '"ab-2"', 'x-amz-version-id', 'v', 'Accept-Ranges', 'bytes', ...TYPE],
      ...['Content-Length', ''],
    ]);
    expect(told).toEqual(['kept']);
  });
  it('was written when S3 had answered Complete, which it begins to do minutes before', async () => {
    const now = vi.spyOn(performance, 'now').mockReturnValue(1000);
    onTestFinished(() => now.mockRestore());
    const { store, keeping } = complete();
    store.found = { created: { headers: TYPE, unknowable: false }, length: 6 };
    send(keeping, request);
    keeping!.onHeaders!();
    now.mockReturnValue(121_000);
    await keeping!.accepted(['Date', ANSWER[1]!], answer('ab-2'));
    expect(store.completed).toMatchObject({ written: Date.UTC(1994, 10, 6, 8, 51, 37) });
  });
  it('by an aws-chunked request is read all the same', async () => {
    const { store, keeping } = complete({ headers: ['x-amz-content-sha256', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD'] });
    send(keeping, `${request.length.toString(16)};chunk-signature=a\r\n${request}\r\n0;chunk-signature=b\r\n\r\n`);
    await keeping!.accepted([], answer('ab-2'));
    expect(store.done).toEqual([['complete', 'k', 'u', NAMED]]);
  });
  it('of which parts are missing, or too many, is passed by', async () => {
    const missing = complete();
    send(missing.keeping, request);
    await missing.keeping!.accepted([], answer('ab-2'));
    expect(missing.told).toEqual(['part_missing']);
    const large = complete();
    large.store.found = { created: { headers: TYPE, unknowable: false }, length: LARGEST + 1 };
    send(large.keeping, request);
    await large.keeping!.accepted([], answer('ab-2'));
    expect(large).toMatchObject({ told: ['too_large'], store: { completed: undefined } });
  });
  it.each<[string, string, Buffer | undefined, string]>([
    ['a request that can not be read', 'x', answer('ab-2'), 'unclear_parts'],
    ['an answer that can not be read', request, Buffer.from('x'), 'unclear_parts'],
    ['no answer', request, undefined, 'unclear_parts'],
    ['an ETag of another number of parts', request, answer('ab-3'), 'unclear_parts'],
    [
      'more parts than an object may have that is kept',
      request.replace('<Part>', `${'<Part><PartNumber>1</PartNumber></Part>'.repeat(9)}<Part>`),
      answer('ab-2'),
      'too_large',
    ],
  ])('%s: what was kept is removed', async (_, body, answered, reason) => {
    const { store, told, keeping } = complete();
    send(keeping, body);
    await keeping!.accepted([], answered);
    expect(store.done).toEqual([['abort', 'k', 'u']]);
    expect(told).toEqual([reason]);
  });
  it('and refused leaves the parts, for the next try', () => {
    const { store, keeping } = complete();
    send(keeping, request);
    keeping!.abandoned();
    expect(store.done).toEqual([]);
  });
  it('where writes are not kept is passed by', () => {
    expect(complete({ settings: { write_cache_enabled: false } })).toMatchObject({
      keeping: undefined,
      told: ['write_cache_disabled'],
    });
  });
});
