import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  evaluatePreconditions,
  hasPreconditions,
  ifRangeHolds,
  namesOnly,
  parseHttpDate,
} from '../../proxy-core/request/index.ts';
import { factsOf } from './helpers.ts';

const MODIFIED = 'Wed, 01 Jan 2025 12:00:00 GMT';
const BEFORE = 'Wed, 01 Jan 2025 11:59:59 GMT';
const AFTER = 'Wed, 01 Jan 2025 12:00:01 GMT';
const current = { etag: '"abc"', lastModified: Date.UTC(2025, 0, 1, 12, 0, 0, 400) };
const evaluate = (headers: Record<string, string | string[]>, method = 'GET') =>
  evaluatePreconditions(factsOf(headers), method, current);

const TRUE = {
  'If-Match': '"abc"',
  'If-Unmodified-Since': MODIFIED,
  'If-None-Match': '"x"',
  'If-Modified-Since': BEFORE,
};
const FALSE = {
  'If-Match': '"x"',
  'If-Unmodified-Since': BEFORE,
  'If-None-Match': '"abc"',
  'If-Modified-Since': MODIFIED,
};
const NAMES = ['If-Match', 'If-Unmodified-Since', 'If-None-Match', 'If-Modified-Since'] as const;

describe('every combination of the four headers, each absent, true or false', () => {
  const states = ['absent', 'true', 'false'] as const;
  const all = states.flatMap(a => states.flatMap(b => states.flatMap(c => states.map(d => [a, b, c, d] as const))));
  it.each(all)('If-Match %s, If-Unmodified-Since %s, If-None-Match %s, If-Modified-Since %s', (...combination) => {
    const headers: Record<string, string> = {};
    for (const [i, name] of NAMES.entries()) {
      if (combination[i] !== 'absent') headers[name] = (combination[i] === 'true' ? TRUE : FALSE)[name];
    }
    const [match, unmodified, noneMatch, modified] = combination;
    // RFC 9110 section 13.2.2, as a table
    const failed = match === 'false' || (match === 'absent' && unmodified === 'false');
    const same = noneMatch === 'false' || (noneMatch === 'absent' && modified === 'false');
    for (const method of ['GET', 'HEAD']) {
      expect(evaluate(headers, method)).toBe(failed ? 'precondition_failed' : same ? 'not_modified' : 'proceed');
    }
    const refused = failed || noneMatch === 'false';
    expect(evaluate(headers, 'PUT')).toBe(refused ? 'precondition_failed' : 'proceed');
    expect(hasPreconditions(factsOf(headers))).toBe(combination.some(state => state !== 'absent'));
  });
});

describe("S3's documented combinations", () => {
  it('If-Match true and If-Unmodified-Since false is 200', () => {
    expect(evaluate({ 'If-Match': '"abc"', 'If-Unmodified-Since': BEFORE })).toBe('proceed');
  });
  it('If-None-Match false and If-Modified-Since true is 304', () => {
    expect(evaluate({ 'If-None-Match': '"abc"', 'If-Modified-Since': BEFORE })).toBe('not_modified');
  });
});

describe('entity tags', () => {
  it.each([
    ['"abc"', true, true],
    ['abc', true, true],
    ['*', true, true],
    [' * ', true, true],
    ['"x", "abc"', true, true],
    ['"x","y"', false, false],
    ['x, abc', true, true],
    ['"x,abc"', false, false],
    ['"a,b" , "abc"', true, true],
    ['W/"abc"', false, true],
    ['W/"x", W/"abc"', false, true],
    ['"ABC"', false, false],
    ['"abc', false, false],
    ['', false, false],
    [',,', false, false],
    ['"*"', false, false],
    [', "abc",', true, true],
  ])('%s: If-Match %s, If-None-Match finds it %s', (list, matches, found) => {
    expect(evaluate({ 'If-Match': list })).toBe(matches ? 'proceed' : 'precondition_failed');
    expect(evaluate({ 'If-None-Match': list })).toBe(found ? 'not_modified' : 'proceed');
  });
  it('lists over several lines are one list', () => {
    expect(evaluate({ 'If-None-Match': ['"x"', '"abc"'] })).toBe('not_modified');
  });
  it('a weak ETag of ours matches weakly only', () => {
    const weak = { etag: 'W/"abc"', lastModified: undefined };
    expect(evaluatePreconditions(factsOf({ 'If-Match': '"abc"' }), 'GET', weak)).toBe('precondition_failed');
    expect(evaluatePreconditions(factsOf({ 'If-None-Match': '"abc"' }), 'GET', weak)).toBe('not_modified');
  });
  it('without an ETag only * matches', () => {
    const none = { etag: undefined, lastModified: undefined };
    expect(evaluatePreconditions(factsOf({ 'If-Match': '"abc"' }), 'GET', none)).toBe('precondition_failed');
    expect(evaluatePreconditions(factsOf({ 'If-Match': '*' }), 'GET', none)).toBe('proceed');
    expect(evaluatePreconditions(factsOf({ 'If-None-Match': '"abc"' }), 'GET', none)).toBe('proceed');
  });
  it.each([
    ['"abc"', true],
    ['abc', true],
    ['W/"abc"', false],
    ['"abc", "x"', false],
    ['"abc","abc"', false],
    ['*', false],
    ['"x"', false],
  ])('%s names only that version: %s', (value, expected) => {
    expect(namesOnly(value, '"abc"')).toBe(expected);
  });
});

describe('dates', () => {
  it.each(['Wed, 01 Jan 2025 12:00:00 GMT', 'Wednesday, 01-Jan-25 12:00:00 GMT', 'Wed Jan  1 12:00:00 2025'])(
    '%s',
    date => {
      expect(parseHttpDate(date)).toBe(Date.UTC(2025, 0, 1, 12));
      expect(evaluate({ 'If-Modified-Since': date })).toBe('not_modified');
    },
  );
  it.each([
    '',
    'yesterday',
    '2025-01-01T12:00:00Z',
    'Wed, 32 Jan 2025 12:00:00 GMT',
    'Wed, 31 Feb 2025 12:00:00 GMT',
    'Wed, 01 Foo 2025 12:00:00 GMT',
    'Wed, 01 Jan 2025 24:00:00 GMT',
    'Wed, 01 Jan 2025 12:60:00 GMT',
    'Wed, 01 Jan 2025 12:00:00 CET',
    'Wed, 01 Jan 0001 12:00:00 GMT',
    '1735732800',
    `${MODIFIED}, ${MODIFIED}`,
  ])('"%s" is no date and is ignored', date => {
    expect(parseHttpDate(date)).toBeUndefined();
    expect(evaluate({ 'If-Modified-Since': date })).toBe('proceed');
    expect(evaluate({ 'If-Unmodified-Since': date })).toBe('proceed');
  });
  it('a later If-Modified-Since is 304, a later If-Unmodified-Since holds', () => {
    expect(evaluate({ 'If-Modified-Since': AFTER })).toBe('not_modified');
    expect(evaluate({ 'If-Unmodified-Since': AFTER })).toBe('proceed');
  });
  it('date conditions are ignored where Last-Modified is unknown', () => {
    const unknown = { etag: '"abc"', lastModified: undefined };
    expect(evaluatePreconditions(factsOf({ 'If-Modified-Since': AFTER }), 'GET', unknown)).toBe('proceed');
    expect(evaluatePreconditions(factsOf({ 'If-Unmodified-Since': BEFORE }), 'GET', unknown)).toBe('proceed');
  });
  it('a leap second is a date, and every IMF-fixdate comes back', () => {
    expect(parseHttpDate('Sat, 31 Dec 2016 23:59:60 GMT')).toBe(Date.UTC(2017, 0, 1));
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_102_444_800 }), seconds => {
        expect(parseHttpDate(new Date(seconds * 1000).toUTCString())).toBe(seconds * 1000);
      }),
    );
  });
  it('a two-digit year more than 50 years ahead is of the last century', () => {
    expect(new Date(parseHttpDate('Sunday, 06-Nov-94 08:49:37 GMT')!).getUTCFullYear()).toBe(1994);
  });
});

describe('If-Range', () => {
  it.each([
    ['"abc"', true],
    ['abc', true],
    ['"x"', false],
    ['W/"abc"', false],
    ['"abc", "x"', false],
    ['*', false],
    ['', false],
    [MODIFIED, true],
    [BEFORE, false],
    [AFTER, false],
    ['garbage', false],
  ])('%s holds: %s', (value, holds) => {
    expect(ifRangeHolds(factsOf({ 'If-Range': value }), current)).toBe(holds);
  });
  it('holds when absent, and no date holds where Last-Modified is unknown', () => {
    expect(ifRangeHolds(factsOf(), current)).toBe(true);
    expect(ifRangeHolds(factsOf({ 'If-Range': MODIFIED }), { etag: '"abc"', lastModified: undefined })).toBe(false);
  });
});

it('nothing throws, whatever comes', () => {
  const text = fc.option(fc.string(), { nil: undefined });
  fc.assert(
    fc.property(
      text,
      text,
      text,
      text,
      text,
      text,
      (ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince, ifRange, etag) => {
        const facts = { ...factsOf(), ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince, ifRange };
        evaluatePreconditions(facts, 'GET', { etag, lastModified: 0 });
        ifRangeHolds(facts, { etag, lastModified: 0 });
      },
    ),
  );
});
