import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRange, resolveRange } from '../../proxy-core/request/index.ts';

describe('parseRange', () => {
  it.each([
    ['bytes=0-0', { kind: 'closed', start: 0, end: 0 }],
    ['bytes=5-9', { kind: 'closed', start: 5, end: 9 }],
    ['bytes=007-010', { kind: 'closed', start: 7, end: 10 }],
    ['bytes=5-', { kind: 'open', start: 5 }],
    ['bytes=-5', { kind: 'suffix', length: 5 }],
    ['bytes=-0', { kind: 'suffix', length: 0 }],
    ['bytes=5-9223372036854775806', { kind: 'closed', start: 5, end: Number.MAX_SAFE_INTEGER }],
    ['bytes=9223372036854775807-', { kind: 'open', start: Number.MAX_SAFE_INTEGER }],
    ['bytes=-9223372036854775807', { kind: 'suffix', length: Number.MAX_SAFE_INTEGER }],
  ])('%s', (value, range) => {
    expect(parseRange(value)).toEqual(range);
  });
  it('without a header there is none', () => {
    expect(parseRange(undefined)).toBe('none');
  });
  it.each(['bytes=0-1,3-4', 'bytes=0-1, bytes=3-4', 'bytes=0-1,', ','])('%s is more than one', value => {
    expect(parseRange(value)).toBe('multi');
  });
  it.each([
    '',
    'bytes=',
    'bytes=-',
    'bytes=9-5',
    'bytes=a-b',
    'bytes=1',
    'bytes=1-2-3',
    'bytes=--5',
    'bytes=0x1-2',
    'items=0-5',
    '0-5',
  ])('"%s" is ignored by S3', value => {
    expect(parseRange(value)).toBe('invalid');
  });
  it.each([
    'Bytes=0-1',
    'BYTES=0-1',
    ' bytes=0-1',
    'bytes =0-1',
    'bytes',
    'bytes= 0-1',
    'bytes=0 -1',
    'bytes=0- 1',
    'bytes=0-1 ',
    'bytes=9223372036854775808-',
    'bytes=0-99999999999999999999',
  ])('"%s" is for S3 to read', value => {
    expect(parseRange(value)).toBe('unclear');
  });
  it('nothing throws, and what is read is a range of whole numbers', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map(s => `bytes=${s}`),
          fc.stringMatching(/^bytes=[0-9 ,-]*$/),
        ),
        value => {
          const range = parseRange(value);
          if (typeof range === 'string') return;
          for (const part of Object.values(range))
            if (typeof part === 'number') expect(Number.isSafeInteger(part)).toBe(true);
        },
      ),
    );
  });
});

describe('resolveRange', () => {
  it.each([
    ['bytes=0-0', 10, { start: 0, end: 0 }],
    ['bytes=0-99', 10, { start: 0, end: 9 }],
    ['bytes=9-', 10, { start: 9, end: 9 }],
    ['bytes=10-', 10, 'unsatisfiable'],
    ['bytes=10-20', 10, 'unsatisfiable'],
    ['bytes=-3', 10, { start: 7, end: 9 }],
    ['bytes=-10', 10, { start: 0, end: 9 }],
    ['bytes=-11', 10, { start: 0, end: 9 }],
    ['bytes=-0', 10, 'unsatisfiable'],
    ['bytes=0-', 0, 'unsatisfiable'],
    ['bytes=0-0', 0, 'unsatisfiable'],
    ['bytes=-1', 0, 'unsatisfiable'],
    ['bytes=0-9223372036854775806', 10, { start: 0, end: 9 }],
  ])('%s of %i bytes', (value, length, span) => {
    const range = parseRange(value);
    if (typeof range === 'string') throw new Error(range);
    expect(resolveRange(range, length)).toEqual(span);
  });

  const size = fc.nat(200);
  it('selects the bytes that slicing the array selects', () => {
    fc.assert(
      fc.property(size, size, size, (length, a, b) => {
        const bytes = Array.from({ length }, (_, i) => i);
        const cases: [string, number[]][] = [
          [`bytes=${a}-`, bytes.slice(a)],
          [`bytes=-${a}`, a === 0 ? [] : bytes.slice(-a)],
          [`bytes=${Math.min(a, b)}-${Math.max(a, b)}`, bytes.slice(Math.min(a, b), Math.max(a, b) + 1)],
        ];
        for (const [value, expected] of cases) {
          const range = parseRange(value);
          if (typeof range === 'string') throw new Error(range);
          const span = resolveRange(range, length);
          expect(span === 'unsatisfiable' ? [] : bytes.slice(span.start, span.end + 1)).toEqual(expected);
          expect(span === 'unsatisfiable').toBe(expected.length === 0);
        }
      }),
    );
  });
  it('a resolved span, asked for again, resolves to itself', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 45 }), fc.nat(2 ** 31 - 1), (length, start) => {
        const span = resolveRange({ kind: 'open', start }, length);
        if (span === 'unsatisfiable') return;
        expect(resolveRange({ kind: 'closed', ...span }, length)).toEqual(span);
      }),
    );
  });
});
