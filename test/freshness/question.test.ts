import { describe, expect, it } from 'vitest';
import { judge, questionFor } from '../../proxy-core/freshness/index.ts';
import { headerValue, type RawHeaders, readHeaderFacts, type SignatureFacts } from '../../proxy-core/request/index.ts';
import { type Head, versionId } from '../../proxy-core/store/index.ts';

const ETAG = '"current"';
const LAST_MODIFIED = 'Sun, 22 Nov 2026 10:00:00 GMT';

function head({ kms = false, length = 1000 }: { kms?: boolean; length?: number } = {}): Head {
  return {
    etag: ETAG,
    length,
    version: versionId(ETAG, length),
    headers: [
      'ETag',
      ETAG,
      'Last-Modified',
      LAST_MODIFIED,
      ...(kms ? ['x-amz-server-side-encryption', 'aws:kms:dsse'] : ['x-amz-server-side-encryption', 'AES256']),
    ],
    lastModified: Date.parse(LAST_MODIFIED),
    checksumsKnown: false,
  };
}

function signature(signedHeaders: readonly string[] | 'all'): SignatureFacts {
  return {
    scheme: 'sigv4',
    presigned: false,
    accessKeyId: 'AKIAEXAMPLE',
    sessionToken: undefined,
    signedHeaders: signedHeaders === 'all' ? 'all' : new Set(['host', ...signedHeaders]),
    expiresAt: undefined,
  };
}

interface Asked {
  readonly method?: 'GET' | 'HEAD';
  readonly signed?: readonly string[] | 'all';
  readonly overtaken?: boolean;
  readonly sameBytes?: boolean;
  readonly partNumber?: number;
}

function ask(headers: RawHeaders, candidate: Head, { method, signed, overtaken, sameBytes, partNumber }: Asked = {}) {
  return questionFor(
    {
      method: method ?? 'GET',
      headers,
      facts: readHeaderFacts(headers),
      signature: signature(signed ?? []),
      partNumber,
    },
    { head: candidate, overtaken: overtaken ?? false, sameBytes: sameBytes ?? false },
  );
}

const CONDITIONS: Record<string, RawHeaders> = {
  none: [],
  'If-Match equal': ['If-Match', ETAG],
  'If-Match unquoted': ['If-Match', 'current'],
  'If-Match other': ['If-Match', '"other"'],
  'If-Match any': ['If-Match', '*'],
  'If-Match list': ['If-Match', `${ETAG}, "other"`],
  'If-None-Match equal': ['If-None-Match', ETAG],
  'If-None-Match other': ['If-None-Match', '"other"'],
  'If-Modified-Since': ['If-Modified-Since', LAST_MODIFIED],
  'If-Unmodified-Since': ['If-Unmodified-Since', LAST_MODIFIED],
  'If-Range': ['If-Range', ETAG, 'Range', 'bytes=0-9'],
  'If-Match equal and If-None-Match': ['If-Match', ETAG, 'If-None-Match', '"other"'],
};
const OURS = new Set(['none', 'If-Match equal', 'If-Match unquoted']);
const SIGNED: Record<string, readonly string[] | 'all'> = {
  nothing: [],
  'if-match': ['if-match'],
  'if-none-match': ['if-none-match'],
  range: ['range'],
  'if-match and range': ['if-match', 'range'],
  everything: 'all',
};

const matrix = Object.keys(CONDITIONS).flatMap(condition =>
  Object.keys(SIGNED).flatMap(signed =>
    [false, true].flatMap(kms => (['GET', 'HEAD'] as const).map(method => ({ condition, signed, kms, method }))),
  ),
);

describe('S3 is asked about a candidate', () => {
  it.each(matrix)(
    '$method, condition: $condition, signed: $signed, kms: $kms',
    ({ condition, signed, kms, method }) => {
      const headers = ['Host', 's3.amazonaws.com', ...CONDITIONS[condition]!, 'X-Custom', 'a', 'X-Custom', 'b'];
      const covered = SIGNED[signed]!;
      const covers = (name: string) => covered === 'all' || covered.includes(name);
      const question = ask(headers, head({ kms }), { method, signed: covered });
      if (!OURS.has(condition) || covers('if-none-match')) {
        expect(question).toEqual({ headers, how: 'as_it_came' });
        return;
      }
      const own = headerValue(headers, 'if-match');
      const oneByte = kms && method === 'GET' && !covers('range') && (own !== undefined || !covers('if-match'));
      expect(question.how).toBe(oneByte ? 'one_byte' : 'if_none_match');
      const added = oneByte ? ['range', ...(own === undefined ? ['if-match'] : [])] : ['if-none-match'];
      // Nothing the caller sent is changed, dropped or put in another order.
      expect(question.headers.slice(0, headers.length)).toEqual(headers);
      expect(
        question.headers
          .slice(headers.length)
          .filter((_, i) => i % 2 === 0)
          .map(name => name.toLowerCase()),
      ).toEqual(added);
      expect(headerValue(question.headers, oneByte ? 'range' : 'if-none-match')).toBe(oneByte ? 'bytes=0-0' : ETAG);
      if (oneByte) expect(headerValue(question.headers, 'if-match')).toBe(own ?? ETAG);
    },
  );

  it('by one byte in place of the caller’s own range, which is only a question', () => {
    const headers = ['Host', 'x', 'Range', 'bytes=5-9', 'Accept', '*/*'];
    const question = ask(headers, head({ kms: true }));
    expect(question.how).toBe('one_byte');
    expect(question.headers.filter((_, i) => question.headers[i - (i % 2)] === 'Range')).toEqual([
      'Range',
      'bytes=0-0',
    ]);
  });

  it('with the caller’s own range as it is, where a 304 will do', () => {
    const headers = ['Host', 'x', 'Range', 'bytes=5-9'];
    const question = ask(headers, head(), { signed: ['range'] });
    expect(question).toEqual({ headers: [...headers, 'If-None-Match', ETAG], how: 'if_none_match' });
  });

  it.each([
    ['x-amz-restore', 'ongoing-request="true"'],
    ['x-amz-restore', 'ongoing-request="false", expiry-date="Fri, 21 Dec 2029 00:00:00 GMT"'],
    ['x-amz-storage-class', 'DEEP_ARCHIVE'],
    ['x-amz-archive-status', 'ARCHIVE_ACCESS'],
    ['x-amz-replication-status', 'PENDING'],
  ])('so that all headers come with its answer, where S3 changes some by itself: %s: %s', (...passing) => {
    const candidate = { ...head(), headers: [...head().headers, ...passing] };
    expect(ask([], candidate, { method: 'HEAD' }).how).toBe('as_it_came');
    expect(ask([], candidate).how).toBe('one_byte');
    expect(ask(['Range', 'bytes=5-9'], candidate, { signed: ['range'] }).how).toBe('if_none_match');
    expect(ask([], candidate, { partNumber: 1 }).how).toBe('if_none_match');
  });

  it('not by a byte of an object that has none', () => {
    const question = ask([], head({ kms: true, length: 0 }));
    expect(question.how).toBe('if_none_match');
  });

  it('plainly for a part under a KMS key, since S3 takes no Range beside partNumber', () => {
    expect(ask([], head({ kms: true }), { partNumber: 1 }).how).toBe('as_it_came');
    expect(ask([], head(), { partNumber: 1 }).how).toBe('if_none_match');
  });
});

describe('S3 is asked about a candidate that a write has overtaken', () => {
  const told: Head = {
    ...head(),
    headers: ['ETag', ETAG, 'Content-Type', 'text/plain'],
    lastModified: undefined,
    written: Date.parse(LAST_MODIFIED) + 500,
  };
  const untyped: Head = { ...told, headers: ['ETag', ETAG] };
  const range = ['Range', 'bytes=5-9'];
  const cases: [string, Head, RawHeaders, Asked, string][] = [
    ['by If-None-Match, as its bytes have probably changed', head(), [], {}, 'if_none_match'],
    ['by one byte, whose answer has all headers, if they have not', head(), [], { sameBytes: true }, 'one_byte'],
    ['by one byte where a write told it', told, [], {}, 'one_byte'],
    ['by one byte in place of an unsigned range', told, range, {}, 'one_byte'],
    ['by the HEAD as it came', head(), [], { method: 'HEAD' }, 'as_it_came'],
    [
      'by the signed range as it came, if they have not',
      head(),
      range,
      { signed: ['range'], sameBytes: true },
      'as_it_came',
    ],
    [
      'by If-None-Match behind a signed range where a write told it',
      told,
      range,
      { signed: ['range'] },
      'if_none_match',
    ],
    [
      'by the signed range as it came where the write left something to S3',
      untyped,
      range,
      { signed: ['range'] },
      'as_it_came',
    ],
    ['by If-None-Match for a part where a write told it', told, [], { partNumber: 2 }, 'if_none_match'],
    ['as it came where it has no byte, which costs nothing', { ...told, length: 0 }, [], {}, 'as_it_came'],
    ['as it came where the caller has a precondition', told, ['If-None-Match', '"other"'], {}, 'as_it_came'],
  ];
  it.each(cases)('%s', (_, candidate, headers, asked, how) => {
    expect(ask(headers, candidate, { ...asked, overtaken: true }).how).toBe(how);
  });

  it('and a 304 completes what a write told, if it has the date', () => {
    const question = { headers: [], how: 'if_none_match' } as const;
    expect(judge(question, told, 304, ['ETag', ETAG, 'Last-Modified', LAST_MODIFIED])).toBe('vouched');
    expect(judge(question, told, 304, ['ETag', ETAG])).toBe('rewritten');
  });

  it('unless that is later than the write: then the same bytes were written again, perhaps with other metadata', () => {
    const question = { headers: [], how: 'if_none_match' } as const;
    const later = ['ETag', ETAG, 'Last-Modified', 'Sun, 22 Nov 2026 10:00:05 GMT'];
    expect(judge(question, told, 304, later)).toBe('rewritten');
  });

  it('or earlier than it began: they were written by an upload that was begun before', () => {
    const question = { headers: [], how: 'if_none_match' } as const;
    const begun = { ...told, written: told.written! + 60_000, begun: Date.parse(LAST_MODIFIED) };
    const dated = (at: number) => ['ETag', ETAG, 'Last-Modified', new Date(begun.begun + at).toUTCString()];
    expect(judge(question, begun, 304, dated(0))).toBe('vouched');
    // Clocks differ, and S3's date has no milliseconds.
    expect(judge(question, begun, 304, dated(-1000))).toBe('vouched');
    expect(judge(question, begun, 304, dated(-4000))).toBe('rewritten');
    expect(judge(question, { ...begun, begun: undefined }, 304, dated(-4000))).toBe('vouched');
  });

  it('or it is of another version in S3, an older one perhaps, which the deletion of that has made current', () => {
    const question = { headers: [], how: 'if_none_match' } as const;
    const named = { ...told, headers: [...told.headers, 'x-amz-version-id', 'second'] };
    const answer = (...id: string[]) => ['ETag', ETAG, 'Last-Modified', LAST_MODIFIED, ...id];
    expect(judge(question, named, 304, answer('x-amz-version-id', 'second'))).toBe('vouched');
    expect(judge(question, named, 304, answer('x-amz-version-id', 'first'))).toBe('rewritten');
    expect(judge(question, named, 304, answer())).toBe('vouched');
    // All that the write did not tell is in the answer.
    expect(judge({ headers: [], how: 'one_byte' }, named, 206, answer('x-amz-version-id', 'first'))).toBe('vouched');
    const read = { ...named, lastModified: Date.parse(LAST_MODIFIED), written: undefined };
    expect(judge(question, read, 304, answer('x-amz-version-id', 'second'))).toBe('vouched');
    expect(judge(question, read, 304, answer('x-amz-version-id', 'first'))).toBe('rewritten');
  });
});

describe('what S3’s answer says of the candidate', () => {
  const ETAGS = { same: ETAG, other: '"new"', weak: `W/${ETAG}`, missing: undefined };
  const MODIFIED = { same: LAST_MODIFIED, other: 'Sun, 22 Nov 2026 11:00:00 GMT', missing: undefined };
  const STATUSES = [200, 206, 301, 304, 307, 400, 403, 404, 412, 416, 500, 503];
  const HOWS = ['if_none_match', 'one_byte', 'as_it_came'] as const;
  const cases = HOWS.flatMap(how =>
    STATUSES.flatMap(status =>
      (Object.keys(ETAGS) as (keyof typeof ETAGS)[]).flatMap(etag =>
        (Object.keys(MODIFIED) as (keyof typeof MODIFIED)[]).map(modified => ({ how, status, etag, modified })),
      ),
    ),
  );

  function expected({ how, status, etag, modified }: (typeof cases)[number]): string {
    if (how === 'as_it_came') return 'answer';
    const byDate = modified === 'other' ? 'rewritten' : 'vouched';
    if (how === 'if_none_match') {
      if (status !== 304) return 'answer';
      return etag === 'same' || etag === 'missing' ? byDate : 'rewritten';
    }
    if (status === 200 || status === 206) return etag === 'same' ? byDate : 'rewritten';
    return [301, 304, 307, 400, 412, 416].includes(status) ? 'rewritten' : 'answer';
  }

  it.each(cases)('$how, $status with ETag $etag and Last-Modified $modified', facts => {
    const etag = ETAGS[facts.etag];
    const modified = MODIFIED[facts.modified];
    const headers = [
      'x-amz-request-id',
      '1',
      ...(etag === undefined ? [] : ['ETag', etag]),
      ...(modified === undefined ? [] : ['last-modified', modified]),
    ];
    expect(judge({ headers: [], how: facts.how }, head(), facts.status, headers)).toBe(expected(facts));
  });

  it('a 304 vouches for a head that doesn’t know when it was modified', () => {
    const unknown = { ...head(), headers: ['ETag', ETAG], lastModified: undefined };
    const answer = ['ETag', ETAG, 'Last-Modified', LAST_MODIFIED];
    expect(judge({ headers: [], how: 'if_none_match' }, unknown, 304, answer)).toBe('vouched');
  });
});
