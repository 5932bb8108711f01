import { parseHttpDate } from './http-date.ts';
import type { HeaderFacts } from './types.ts';

/** What is known of the current version; `lastModified` in ms since the epoch. */
export interface Validators {
  readonly etag: string | undefined;
  readonly lastModified: number | undefined;
}

type ConditionFacts = Pick<HeaderFacts, 'ifMatch' | 'ifNoneMatch' | 'ifModifiedSince' | 'ifUnmodifiedSince'>;

/**
 * Evaluates a request's preconditions in the order of RFC 9110 section 13.2.2, which gives S3's documented combinations:
 * If-Match true with If-Unmodified-Since false is 200, If-None-Match false with If-Modified-Since true is 304.
 */
export function evaluatePreconditions(
  facts: ConditionFacts,
  method: string,
  current: Validators,
): 'proceed' | 'not_modified' | 'precondition_failed' {
  const reading = method === 'GET' || method === 'HEAD';

  if (facts.ifMatch !== undefined) {
    if (!matches(facts.ifMatch, current.etag, true)) return 'precondition_failed';
  } else if (facts.ifUnmodifiedSince !== undefined) {
    if (modifiedSince(facts.ifUnmodifiedSince, current.lastModified) === true) return 'precondition_failed';
  }

  if (facts.ifNoneMatch !== undefined) {
    if (matches(facts.ifNoneMatch, current.etag, false)) return reading ? 'not_modified' : 'precondition_failed';
  } else if (reading && facts.ifModifiedSince !== undefined) {
    if (modifiedSince(facts.ifModifiedSince, current.lastModified) === false) return 'not_modified';
  }
  return 'proceed';
}

/**
 * Whether a Range counts (RFC 9110 section 13.1.5): there is no If-Range, or it names the current version by strong
 * comparison of ETags, or by exactly its Last-Modified. Anything else means: send the whole object.
 */
export function ifRangeHolds(facts: Pick<HeaderFacts, 'ifRange'>, current: Validators): boolean {
  const value = facts.ifRange?.trim();
  if (value === undefined) return true;
  const date = parseHttpDate(value);
  if (date !== undefined) return current.lastModified !== undefined && date === wholeSeconds(current.lastModified);
  const tags = parseEntityTags(value);
  return tags !== '*' && tags.length === 1 && matches(value, current.etag, true);
}

/** True for any precondition that S3 would evaluate, If-Range apart. */
export function hasPreconditions(facts: ConditionFacts): boolean {
  return (
    facts.ifMatch !== undefined ||
    facts.ifNoneMatch !== undefined ||
    facts.ifModifiedSince !== undefined ||
    facts.ifUnmodifiedSince !== undefined
  );
}

/** True when the value is one ETag, the given one by strong comparison, with or without its quotes. */
export function namesOnly(value: string, etag: string): boolean {
  const tags = parseEntityTags(value);
  return tags !== '*' && tags.length === 1 && matches(value, etag, true);
}

function matches(list: string, etag: string | undefined, strong: boolean): boolean {
  const tags = parseEntityTags(list);
  if (tags === '*') return true;
  const own = etag === undefined ? undefined : parseEntityTags(etag);
  if (own === undefined || own === '*' || own.length !== 1) return false;
  const current = own[0]!;
  return tags.some(tag => tag.opaque === current.opaque && !(strong && (tag.weak || current.weak)));
}

interface EntityTag {
  readonly opaque: string;
  readonly weak: boolean;
}

/** The members of an entity-tag list; commas inside quotes belong to the tag. S3 accepts tags without quotes, too. */
function parseEntityTags(list: string): readonly EntityTag[] | '*' {
  if (list.trim() === '*') return '*';
  const tags: EntityTag[] = [];
  let at = 0;
  while (at < list.length) {
    const char = list[at]!;
    if (char === ',' || char === ' ' || char === '\t') {
      at++;
      continue;
    }
    const weak = (char === 'W' || char === 'w') && list.startsWith('/"', at + 1);
    const quote = weak ? at + 2 : at;
    const closing = list[quote] === '"' ? list.indexOf('"', quote + 1) : -1;
    if (closing >= 0) {
      tags.push({ opaque: list.slice(quote + 1, closing), weak });
      at = closing + 1;
    } else {
      const comma = list.indexOf(',', at);
      const end = comma < 0 ? list.length : comma;
      tags.push({ opaque: list.slice(at, end).trim(), weak: false });
      at = end;
    }
  }
  return tags;
}

/** Undefined where the date is no HTTP-date or nothing is known to compare it with: the condition is then ignored. */
function modifiedSince(value: string, lastModified: number | undefined): boolean | undefined {
  const date = parseHttpDate(value);
  if (date === undefined || lastModified === undefined) return undefined;
  return wholeSeconds(lastModified) > date;
}

/** HTTP dates have no finer grain. */
function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1000) * 1000;
}
