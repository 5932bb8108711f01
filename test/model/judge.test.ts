import { describe, expect, it } from 'vitest';
import { type Asked, expectedOf } from './expected.ts';
import { History, type Version } from './history.ts';
import { type Circumstances, judge, mayBeCut, type Seen } from './judge.ts';

function version(id: string, length = 100, more: Partial<Version> = {}): Version {
  return {
    id,
    etag: `"${id}"`,
    lastModified: `modified ${id}`,
    bytes: Buffer.alloc(length, id),
    ends: undefined,
    fields: { 'content-type': 'text/csv', 'x-amz-meta-version': id },
    checksums: { 'x-amz-checksum-crc32': `sum ${id}`, 'x-amz-checksum-type': 'FULL_OBJECT' },
    partChecksums: [],
    ...more,
  };
}

/** `a` until 10, `b` until 20, nothing until 30, then `c`. */
function versions(): History<Version | undefined> {
  const history = new History<Version | undefined>(version('a'));
  history.change(version('b'), 10);
  history.change(undefined, 20);
  history.change(version('c'), 30);
  return history;
}

const PLAIN: Asked = { method: 'GET', checksums: false };

function facts(from: number, more: Partial<Circumstances> = {}): Circumstances {
  return {
    versions: versions(),
    permission: new History(true),
    startedAt: from,
    notBefore: from,
    heardSince: more.notBefore ?? from,
    allowedSince: more.notBefore ?? from,
    trouble: 'none',
    killed: false,
    ...more,
  };
}

function whole(id: string, endedAt: number, more: Partial<Seen> & { headers?: Record<string, string> } = {}): Seen {
  const { headers, ...rest } = more;
  return seen(200, endedAt, {
    length: 100,
    ...rest,
    headers: {
      'x-amz-meta-version': id,
      'content-type': 'text/csv',
      etag: `"${id}"`,
      'last-modified': `modified ${id}`,
      'content-length': '100',
      ...headers,
    },
  });
}

function seen(
  status: number,
  endedAt: number,
  more: Partial<Seen> & { headers?: Record<string, string | undefined> } = {},
): Seen {
  const { headers = {}, ...rest } = more;
  return {
    status,
    header: name => headers[name],
    names: Object.keys(headers),
    length: 0,
    wrongAt: undefined,
    error: status >= 400 ? '<Error></Error>' : '',
    complete: true,
    left: false,
    endedAt,
    ...rest,
  };
}

describe('the judge accepts', () => {
  it('the version that was current at any moment of the read', () => {
    for (const id of ['a', 'b']) expect(judge(PLAIN, whole(id, 15), facts(5))).toBeUndefined();
    expect(judge(PLAIN, seen(404, 25), facts(15))).toBeUndefined();
  });

  it('within a ttl what was current before the read began', () => {
    expect(judge(PLAIN, whole('a', 19), facts(18, { notBefore: 8 }))).toBeUndefined();
  });

  it('304, 412 and 416 that a version of the time justifies', () => {
    const headers = { etag: '"b"' };
    expect(judge({ ...PLAIN, ifNoneMatch: '"b"' }, seen(304, 15, { headers }), facts(12))).toBeUndefined();
    expect(judge({ ...PLAIN, ifMatch: '"a"' }, seen(412, 15), facts(12))).toBeUndefined();
    expect(judge({ ...PLAIN, range: 'bytes=100-' }, seen(416, 15), facts(12))).toBeUndefined();
  });

  it('trouble where there was some, and a cut where the object was replaced meanwhile', () => {
    expect(judge(PLAIN, seen(502, 15), facts(12, { trouble: 'failed' }))).toBeUndefined();
    expect(judge(PLAIN, seen(0, 15), facts(12, { killed: true }))).toBeUndefined();
    const cut = whole('a', 12, { complete: false, length: 40 });
    expect(judge(PLAIN, cut, facts(5))).toBeUndefined();
    expect(mayBeCut(cut, facts(5))).toBe(true);
    expect(mayBeCut(seen(403, 15, { complete: false }), facts(12, { trouble: 'cut short' }))).toBe(true);
  });

  it('an error that came whole', () => {
    expect(judge(PLAIN, seen(404, 25, { error: '<Error><Code>NoSuchKey</Code></Error>' }), facts(15))).toBeUndefined();
    expect(judge({ ...PLAIN, method: 'HEAD' }, seen(404, 25, { error: '' }), facts(15))).toBeUndefined();
    const cut = { error: '<Error><Code>Sl', complete: false };
    expect(judge(PLAIN, seen(503, 25, cut), facts(15, { trouble: 'cut short' }))).toBeUndefined();
  });

  it('403 while the caller was not allowed at some moment', () => {
    const permission = new History(true);
    permission.change(false, 12);
    permission.change(true, 13);
    expect(judge(PLAIN, seen(403, 14), facts(11, { permission }))).toBeUndefined();
    expect(judge(PLAIN, whole('b', 14), facts(11, { permission }))).toBeUndefined();
  });
});

describe('the judge notices', () => {
  it('a version that was replaced before the read began', () => {
    expect(judge(PLAIN, whole('a', 15), facts(12))).toBe('version a was no more by then');
  });

  it('a version that was replaced by a write the caller had heard of, whatever the ttl', () => {
    expect(judge(PLAIN, whole('a', 15), facts(12, { notBefore: 10 }))).toBe('version a was no more by then');
  });

  it("another object's version", () => {
    expect(judge(PLAIN, whole('x', 15), facts(12))).toBe('no version of this object: x');
  });

  it('a byte of another version', () => {
    expect(judge(PLAIN, whole('b', 15, { wrongAt: 64 }), facts(12))).toBe("byte 64 of the body is not version b's");
    const cut = { wrongAt: 3, complete: false, length: 10 };
    expect(judge(PLAIN, whole('b', 15, cut), facts(12))).toBe("byte 3 of the body is not version b's");
  });

  it.each(['etag', 'last-modified', 'content-length', 'content-range', 'x-amz-checksum-crc32'])(
    '%s of another version',
    name => {
      expect(judge(PLAIN, whole('b', 15, { headers: { [name]: 'other' } }), facts(12))).toMatch(`${name}: other`);
    },
  );

  it('an answer that looks complete and is not', () => {
    expect(judge(PLAIN, whole('b', 15, { length: 99 }), facts(12))).toBe('complete with 99 of 100 bytes');
    expect(judge(PLAIN, whole('b', 15, { length: 101 }), facts(12))).toBe('101 bytes where 100 were due');
  });

  it('the whole object where a range was due', () => {
    const asked = { ...PLAIN, range: 'bytes=0-9' };
    expect(judge(asked, whole('b', 15), facts(12))).toMatch('200 where 206 was due');
  });

  it('a cut without a reason', () => {
    const cut = whole('b', 15, { complete: false, length: 40 });
    expect(mayBeCut(cut, facts(12))).toBe(false);
    expect(mayBeCut(cut, facts(12, { trouble: 'cut short' }))).toBe(false);
  });

  it('an end without an answer, and an error of nobody', () => {
    expect(judge(PLAIN, seen(0, 15), facts(12, { trouble: 'failed' }))).toBeDefined();
    expect(judge(PLAIN, seen(502, 15), facts(12))).toBeDefined();
  });

  it('anything but 403 to a caller who was not allowed, and 403 to one who was', () => {
    const permission = new History(false);
    for (const answer of [whole('b', 15), seen(404, 25), seen(304, 15), seen(412, 15), seen(416, 15)])
      expect(judge(PLAIN, answer, facts(12, { permission }))).toMatch('not allowed at any time');
    expect(judge(PLAIN, seen(403, 15), facts(12))).toMatch('allowed all the time');
  });

  it('what a caller is given who had heard of a refusal, and has not been let read since', () => {
    const permission = new History(true);
    permission.change(false, 12);
    const since = facts(18, { permission, notBefore: 8 });
    expect(judge(PLAIN, whole('b', 19), since)).toBeUndefined();
    expect(judge(PLAIN, whole('b', 19), { ...since, allowedSince: 15 })).toMatch('not allowed at any time');
  });

  it('half an error that looks complete', () => {
    const half = seen(403, 15, { error: '<Error><Code>AccessDen' });
    expect(judge(PLAIN, half, facts(12, { permission: new History(false) }))).toMatch('half an error');
  });

  it('404 from before the read, and a condition that no version of the time fails', () => {
    expect(judge(PLAIN, seen(404, 35), facts(32, { notBefore: 0 }))).toBeDefined();
    expect(judge(PLAIN, seen(412, 15), facts(12))).toBeDefined();
    expect(judge({ ...PLAIN, ifNoneMatch: '"a"' }, seen(304, 15), facts(12))).toBeDefined();
    expect(judge({ ...PLAIN, range: 'bytes=0-9' }, seen(416, 15), facts(12))).toBeDefined();
  });
});

describe('what S3 says of a version', () => {
  const ranges: [string, object][] = [
    ['bytes=0-9', { status: 206, start: 0, end: 10 }],
    ['bytes=90-', { status: 206, start: 90, end: 100 }],
    ['bytes=90-200', { status: 206, start: 90, end: 100 }],
    ['bytes=-10', { status: 206, start: 90, end: 100 }],
    ['bytes=-200', { status: 206, start: 0, end: 100 }],
    ['bytes=-0', { status: 416 }],
    ['bytes=100-', { status: 416 }],
    ['bytes=9-0', { status: 200, start: 0, end: 100 }],
  ];
  it.each(ranges)('to %s', (range, expected) => {
    expect(expectedOf(version('a'), { ...PLAIN, range })).toEqual(expected);
  });

  it('to parts, of a multipart upload and of none', () => {
    const parts = version('a', 100, { ends: [60, 100] });
    expect(expectedOf(parts, { ...PLAIN, part: 2 })).toEqual({ status: 206, start: 60, end: 100 });
    expect(expectedOf(parts, { ...PLAIN, part: 3 })).toEqual({ status: 416 });
    expect(expectedOf(version('a'), { ...PLAIN, part: 1 })).toEqual({ status: 206, start: 0, end: 100 });
    expect(expectedOf(version('a', 0), { ...PLAIN, part: 1 })).toEqual({ status: 200, start: 0, end: 0 });
  });

  it('to If-Range: the range of the version named, the whole of any other', () => {
    const asked = { ...PLAIN, range: 'bytes=0-9' };
    expect(expectedOf(version('a'), { ...asked, ifRange: '"a"' })).toMatchObject({ status: 206 });
    expect(expectedOf(version('a'), { ...asked, ifRange: '"b"' })).toMatchObject({ status: 200 });
  });
});
