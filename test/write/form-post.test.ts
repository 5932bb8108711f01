import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { WriteKind } from '../../proxy-core/request/index.ts';
import { play } from './helpers.ts';

const write: WriteKind = { kind: 'form_post', origin: 'aws', bucket: 'b' };
const facts = { contentType: 'multipart/form-data; boundary=----WebKitFormBoundaryAbC' };
/** The form's own variable */
const FILENAME = '$' + '{filename}';
const field = (name: string, value: string) =>
  `------WebKitFormBoundaryAbC\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
const file = (filename: string | undefined, content = 'bytes', type = 'Content-Type: text/plain') =>
  `------WebKitFormBoundaryAbC\r\ncontent-disposition: form-data; name="file"${filename === undefined ? '' : `; filename="${filename}"`}\r\n${type}\r\n\r\n${content}\r\n------WebKitFormBoundaryAbC--\r\n`;
const form = (key: string, filename = 'f.txt') =>
  field('acl', 'private') + field('key', key) + field('policy', 'e30=') + file(filename);

describe('the key of the form', () => {
  it.each([200, 201, 204, 303])('%i: is moved on before the headers', async status => {
    expect(await play({ write, facts, request: form('user/betty.txt'), status })).toEqual({
      beforeHeaders: ['user/betty.txt'],
      beforeEnd: [],
      forgotten: [],
      problems: [],
      holdsEnd: false,
    });
  });
  it.each([301, 307, 400, 403, 412])('%i: nothing changed', async status => {
    expect(await play({ write, facts, request: form('k'), status })).toMatchObject({ beforeHeaders: [], problems: [] });
  });
  it('5xx and a dead connection are unknown: moved on', async () => {
    expect((await play({ write, facts, request: form('k'), status: 500 })).beforeHeaders).toEqual(['k']);
    expect((await play({ write, facts, request: form('k'), dies: 'before_headers' })).beforeHeaders).toEqual(['k']);
  });
  it('with the body cut at every place', async () => {
    const body = form(`user/${FILENAME}`, 'ä.txt');
    for (let cut = 0; cut <= Buffer.byteLength(body); cut++) {
      expect((await play({ write, facts, request: body, cut, status: 204 })).beforeHeaders).toEqual([
        'user/\xc3\xa4.txt',
      ]);
    }
  });
  it.each([
    [`${FILENAME}`, 'f.txt', ['f.txt']],
    [`a/${FILENAME}/${FILENAME}`, 'f.txt', ['a/f.txt/f.txt']],
    [`a/${FILENAME}`, 'C:\\docs\\f.txt', ['a/f.txt']],
    [`a/${FILENAME}`, '/home/x/f.txt', ['a/f.txt']],
    [`a/${FILENAME}`, '$&.txt', ['a/$&.txt']],
    [`a/${FILENAME}`, 'q%22.txt', ['a/q%22.txt', 'a/q".txt']],
    ['plain', 'f.txt', ['plain']],
  ])('%s with file %s', async (key, filename, keys) => {
    expect((await play({ write, facts, request: form(key, filename), status: 204 })).beforeHeaders).toEqual(keys);
  });
  it.each([
    ['a quoted boundary', { contentType: 'multipart/form-data; boundary="----WebKitFormBoundaryAbC"' }, form('k')],
    ['a preamble', facts, `preamble\r\n${form('k')}`],
    [
      'other header order and case',
      facts,
      `------WebKitFormBoundaryAbC\r\nContent-Type: text/plain\r\nCONTENT-DISPOSITION: form-data; name=key\r\n\r\nk\r\n${file('f')}`,
    ],
    ['a field named Key', facts, field('Key', 'k') + file('f')],
    ['an empty field before', facts, field('acl', '') + form('k')],
    [
      'a file that looks like a form',
      facts,
      field('key', 'k') + file('f', field('key', 'other').replaceAll('AbC', 'Xyz')),
    ],
    ['a key after the file, which S3 ignores', facts, field('key', 'k') + file('f') + field('key', 'other')],
    ['a large file', facts, field('key', 'k') + file('f', 'x'.repeat(200_000))],
  ])('in a form with %s', async (_, own, request) => {
    expect((await play({ write, facts: own, request, status: 204 })).beforeHeaders).toEqual(['k']);
  });
  it('any key of one line comes back', async () => {
    await fc.assert(
      fc.asyncProperty(fc.stringMatching(/^[^\r\n$\ud800-\udfff]+$/), async key => {
        const { beforeHeaders } = await play({ write, facts, request: form(key), status: 204 });
        expect(beforeHeaders).toEqual([Buffer.from(key, 'utf8').toString('latin1')]);
      }),
    );
  });
});

describe('the key of Location', () => {
  it.each([
    [204, 'https://b.s3.amazonaws.com/user%2Fbetty%2Ff.txt', ['user/betty/f.txt']],
    [201, 'http://s3.amazonaws.com/b/user/f.txt', ['b/user/f.txt', 'user/f.txt']],
    [201, 'http://s3.amazonaws.com/b%2Ff.txt', ['b/f.txt', 'f.txt']],
    [204, '/b/f', ['b/f', 'f']],
    [204, 'https://b.s3.amazonaws.com/a+b', ['a+b', 'a b']],
    [303, 'https://example.com/done?bucket=b&key=user%2Ff+g&etag=%22e%22', ['user/f+g', 'user/f g']],
    [303, 'https://example.com/done', []],
    [204, 'https://b.s3.amazonaws.com/', []],
    [204, '%%%', ['%%']],
  ])('%i %s', async (status, location, keys) => {
    const played = await play({ write, facts, request: 'no form', status, headers: ['Location', location] });
    expect(played.beforeHeaders).toEqual(keys);
    expect(played.problems).toHaveLength(keys.length === 0 ? 1 : 0);
  });
  it('counts beside the form', async () => {
    const headers = ['location', 'https://b.s3.amazonaws.com/k'];
    expect((await play({ write, facts, request: form('k'), status: 204, headers })).beforeHeaders).toEqual(['k']);
  });
});

describe('a key that cannot be learnt is reported', () => {
  it.each([
    ['no boundary', {}, form('k')],
    ['no key', facts, field('acl', 'x') + file('f')],
    ['an empty key', facts, field('key', '') + file('f')],
    ['a key behind more than 64 KiB', facts, field('policy', 'x'.repeat(70_000)) + form('k')],
    ['no name for its file', facts, field('key', `${FILENAME}`) + file(undefined)],
    ['an empty body', facts, ''],
  ])('%s', async (_, own, request) => {
    const played = await play({ write, facts: own, request, status: 204 });
    expect(played.beforeHeaders).toEqual([]);
    expect(played.problems).toEqual([expect.stringContaining('bucket b')]);
  });
  it('nothing throws, whatever comes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string(), fc.string(), fc.string(), async (body, contentType, location) => {
        const request = `------WebKitFormBoundaryAbC\r\n${body}\r\n------WebKitFormBoundaryAbC`;
        await play({ write, facts, request, status: 204, headers: ['Location', location] });
        await play({
          write,
          facts: { contentType: `${contentType}; boundary=${body}` },
          request,
          status: 303,
          headers: ['Location', location],
        });
      }),
    );
  });
});
