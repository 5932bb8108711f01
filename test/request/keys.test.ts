import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TargetParser } from '../../proxy-core/request/index.ts';

const parser = new TargetParser();

describe('keys', () => {
  const key = (path: string) => parser.parse('b.s3.amazonaws.com', path).object?.key;
  it.each([
    ['/a', 'a'],
    ['/a?', 'a'],
    ['/a%2Fb', 'a/b'],
    ['/%61', 'a'],
    ['/a%2fb%2B', 'a/b+'],
    ['//a', '/a'],
    ['/a//b', 'a//b'],
    ['/a/../b', 'a/../b'],
    ['/./a', './a'],
    ['/a/', 'a/'],
    ['/%00', '\0'],
    ['/%c3%a4', '\xc3\xa4'],
    ['/%C3%A4', '\xc3\xa4'],
    ['/\xc3\xa4', '\xc3\xa4'],
    ['/a%20b', 'a b'],
    ['/a b', 'a b'],
    ['/%25', '%'],
    ['/%2525', '%25'],
    ["/a:b@c;d,e=f&g!$'()*~", "a:b@c;d,e=f&g!$'()*~"],
  ])('%s', (path, expected) => {
    expect(key(path)).toBe(expected);
  });
  it.each([
    ['/a+b', ['a+b', 'a b']],
    ['/a+b%2Bc+d', ['a+b+c+d', 'a b+c d']],
    ['/100%', ['100%']],
    ['/%zz%41', ['%zzA']],
    ['/%4', ['%4']],
    ['/%+%20', ['%+ ', '%  ']],
    ['/a#b', ['a#b', 'a']],
  ])('%s has more than one reading', (path, readings) => {
    const target = parser.parse('b.s3.amazonaws.com', path);
    expect(target.object).toBeUndefined();
    expect(target.ambiguous.map(object => object.key)).toEqual(readings);
    expect(target.ambiguous.every(object => object.bucket === 'b' && object.origin === 'aws')).toBe(true);
  });
  it.each([
    ['/my%2Dbucket/k', 'my-bucket', 'k'],
    ['/bucket%2Fk', 'bucket', 'k'],
    ['/bucket%2fk/l', 'bucket', 'k/l'],
  ])(
    'a bucket in escapes (%s) is not read from the cache, and a write moves its object on',
    (path, bucket, keyName) => {
      const target = parser.parse('s3.amazonaws.com', path);
      expect(target.object).toBeUndefined();
      expect(target.ambiguous).toMatchObject([{ bucket, key: keyName }]);
    },
  );
  it('a bucket in escapes without a key is still known', () => {
    expect(parser.parse('s3.amazonaws.com', '/my%2Dbucket?delete')).toMatchObject({
      bucket: 'my-bucket',
      ambiguous: [],
    });
  });

  const bytes = fc.uint8Array({ minLength: 1, maxLength: 40 }).map(b => Buffer.from(b).toString('latin1'));
  const encode = (text: string) => Array.from(text, c => `%${c.charCodeAt(0).toString(16).padStart(2, '0')}`).join('');
  it('every byte string comes back from its escapes, in both styles', () => {
    fc.assert(
      fc.property(bytes, name => {
        expect(parser.parse('b.s3.us-east-1.amazonaws.com', `/${encode(name)}`).object?.key).toBe(name);
        expect(parser.parse('s3.amazonaws.com', `/b/${encode(name).toUpperCase()}`).object?.key).toBe(name);
      }),
    );
  });
  it('any mix of raw and escaped spelling is one object', () => {
    fc.assert(
      fc.property(bytes, fc.infiniteStream(fc.boolean()), (name, coin) => {
        const spelled = Array.from(name, c => (/[A-Za-z0-9/._~-]/.test(c) && coin.next().value ? c : encode(c))).join(
          '',
        );
        expect(parser.parse('b.s3.amazonaws.com', `/${spelled}`).object?.key).toBe(name);
      }),
    );
  });
  it('different keys never share a store key', () => {
    fc.assert(
      fc.property(bytes, bytes, (a, b) => {
        const [x, y] = [a, b].map(name => parser.parse('b.s3.amazonaws.com', `/${encode(name)}`).object?.storeKey);
        expect(x === y).toBe(a === b);
      }),
    );
  });
  it('every reading of a raw + is among what a write moves on', () => {
    fc.assert(
      fc.property(bytes, name => {
        const raw = encodeURIComponent(name).replaceAll('%20', '+');
        fc.pre(raw.includes('+'));
        const keys = parser.parse('b.s3.amazonaws.com', `/${raw}`).ambiguous.map(object => object.key);
        expect(keys).toContain(Buffer.from(name, 'utf8').toString('latin1'));
        expect(keys).toContain(Buffer.from(name.replaceAll(' ', '+'), 'utf8').toString('latin1'));
      }),
    );
  });
});
