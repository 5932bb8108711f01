import { type Asked, expectedOf, judgeHeaders } from './expected.ts';
import type { History, Version } from './history.ts';

/** What came back. */
export interface Seen {
  /** 0: the connection ended before an answer began. */
  readonly status: number;
  header(name: string): string | undefined;
  /** Of all headers, in lower case. */
  readonly names: readonly string[];
  /** Bytes of the body that came. */
  readonly length: number;
  /** The first byte of the body that is not the version's which the headers name; undefined: all are. */
  readonly wrongAt: number | undefined;
  /** The body of an error that a GET was told; else empty. */
  readonly error: string;
  /** The whole answer came, as its framing says. */
  readonly complete: boolean;
  /** The client itself went away. */
  readonly left: boolean;
  readonly endedAt: number;
}

/** What the answer is held against. */
export interface Circumstances {
  readonly versions: History<Version | undefined>;
  /** Whether this caller may read the object. */
  readonly permission: History<boolean>;
  readonly startedAt: number;
  /** S3 must have let the caller read it at this moment or later: no earlier than `notBefore`, or than a refusal it has heard of. */
  readonly allowedSince: number;
  /** What was so at this moment or later may be told: the start, less the ttl; but never older than a write that had been heard of. */
  readonly notBefore: number;
  /** The same without the ttl: no earlier than a write that had been heard of. */
  readonly heardSince: number;
  /** What faults struck requests for this object meanwhile: bodies that broke off, which can be taken up again, or worse. */
  readonly trouble: 'none' | 'cut short' | 'failed';
  /** The proxy was killed meanwhile. */
  readonly killed: boolean;
}

type Possible = ReturnType<Circumstances['versions']['between']>;

/** Undefined when the answer is one that S3 could have given at an allowed moment; else what is wrong with it. */
export function judge(asked: Asked, seen: Seen, facts: Circumstances): string | undefined {
  const { status } = seen;
  if (status === 0) return facts.killed || seen.left ? undefined : 'the connection ended without an answer';
  if (status >= 400 && asked.method === 'GET' && seen.complete && !seen.error.endsWith('</Error>'))
    return `${status} looks complete with half an error: …${seen.error.slice(-20)}`;
  if (status >= 500) return facts.trouble !== 'none' ? undefined : `${status}, and nothing was wrong with the origin`;
  if (status === 403) {
    // S3's refusals are never kept: somebody who may read now gets no 403.
    const refused = facts.permission.between(facts.startedAt, seen.endedAt).some(({ what }) => !what);
    return refused ? undefined : '403 to a caller who was allowed all the time';
  }
  if (!facts.permission.between(facts.allowedSince, seen.endedAt).some(({ what }) => what))
    return `${status} to a caller who was not allowed at any time`;
  if (status === 404) {
    const absent = facts.versions.between(facts.startedAt, seen.endedAt).some(({ what }) => !what);
    return absent ? undefined : '404, and the object was there all the time';
  }
  const possible = facts.versions.between(facts.notBefore, seen.endedAt);
  if (status === 200 || status === 206) return judgeBody(asked, seen, facts, possible);
  const etag = seen.header('etag');
  const justified = possible.some(
    ({ what }) => expectedOf(what, asked).status === status && (status !== 304 || !etag || etag === what?.etag),
  );
  return justified ? undefined : `${status} fits no version of the time`;
}

function judgeBody(asked: Asked, seen: Seen, facts: Circumstances, possible: Possible): string | undefined {
  const { versions, heardSince } = facts;
  const id = seen.header('x-amz-meta-version');
  const known = versions.all.flatMap(({ what }) => (what && what.id === id ? [what] : []));
  const current = known.filter(({ lastModified }) => possible.some(({ what }) => isOf(what, id, lastModified)));
  if (current.length === 0) return known[0] ? `version ${id} was no more by then` : `no version of this object: ${id}`;
  // Tags change with a version's other headers unchanged: what they were counts as long as no write of them had been heard of.
  const told = versions
    .between(heardSince, seen.endedAt)
    .flatMap(({ what }) => (what && current.includes(what) ? [what] : []));
  const wrong = told.map(version => judgeHeaders(asked, seen, version));
  const right = told[wrong.indexOf(undefined)];
  if (!right) return wrong.at(-1) ?? `version ${id} had other headers by then`;
  const expected = expectedOf(right, asked);
  if (!('start' in expected)) return `${seen.status} where ${expected.status} was due`;
  if (seen.wrongAt !== undefined) return `byte ${seen.wrongAt} of the body is not version ${id}'s`;
  const due = asked.method === 'HEAD' ? 0 : expected.end - expected.start;
  if (seen.length > due) return `${seen.length} bytes where ${due} were due`;
  if (seen.complete) return seen.length === due ? undefined : `complete with ${seen.length} of ${due} bytes`;
  return undefined;
}

function isOf(what: Version | undefined, id: string | undefined, lastModified: string): boolean {
  return what !== undefined && what.id === id && what.lastModified === lastModified;
}

/**
 * Whether an answer that ended early may have: what S3 had was replaced, the caller's permission ended, or there was
 * trouble that can't be helped. A body that breaks off once or twice is no reason: it is taken up where it broke off.
 */
export function mayBeCut(seen: Seen, { versions, permission, startedAt, trouble, killed }: Circumstances): boolean {
  if (seen.complete || seen.left || killed || trouble === 'failed') return true;
  // What S3 says of an error can't be asked for again, and what is passed by the cache is as it comes from S3.
  const isAsItCame = (seen.status !== 200 && seen.status !== 206) || seen.header('x-cache') === 'BYPASS';
  if (isAsItCame && trouble !== 'none') return true;
  const [id, lastModified = ''] = [seen.header('x-amz-meta-version'), seen.header('last-modified')];
  const during = versions.between(startedAt, seen.endedAt).map(({ what }) => isOf(what, id, lastModified));
  return (
    during.lastIndexOf(false) > during.indexOf(true) ||
    permission.between(startedAt, seen.endedAt).some(({ what }) => !what)
  );
}
