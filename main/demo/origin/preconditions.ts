import { S3Error } from './errors.ts';

export interface Conditions {
  readonly ifMatch: string | undefined;
  readonly ifNoneMatch: string | undefined;
  readonly ifModifiedSince: string | undefined;
  readonly ifUnmodifiedSince: string | undefined;
}

export interface Validators {
  readonly etag: string;
  /** Milliseconds, whole seconds */
  readonly lastModified: number;
}

/**
 * In S3's order (GetObject, "Conditional requests"; RFC 9110 section 13.2.2): If-Match outranks If-Unmodified-Since, then
 * If-None-Match outranks If-Modified-Since. Throws PreconditionFailed.
 */
export function evaluateRead(conditions: Conditions, current: Validators): 'proceed' | 'not-modified' {
  const { ifMatch, ifNoneMatch } = conditions;
  if (ifMatch !== undefined) {
    if (!matches(ifMatch, current.etag)) throw preconditionFailed('If-Match');
  } else {
    const limit = date(conditions.ifUnmodifiedSince);
    if (limit !== undefined && current.lastModified > limit) throw preconditionFailed('If-Unmodified-Since');
  }
  if (ifNoneMatch !== undefined) return matches(ifNoneMatch, current.etag) ? 'not-modified' : 'proceed';
  const since = date(conditions.ifModifiedSince);
  return since !== undefined && current.lastModified <= since ? 'not-modified' : 'proceed';
}

/** Conditional writes: `If-None-Match: *` and `If-Match` on PutObject and CompleteMultipartUpload. */
export function evaluateWrite(
  ifMatch: string | undefined,
  ifNoneMatch: string | undefined,
  current: Validators | undefined,
): void {
  if (ifNoneMatch !== undefined) {
    if (ifNoneMatch.trim() !== '*') {
      throw new S3Error('NotImplemented', 'A header you provided implies functionality that is not implemented', {
        Header: 'If-None-Match',
      });
    }
    if (current) throw preconditionFailed('If-None-Match');
  }
  if (ifMatch === undefined) return;
  if (!current) throw new S3Error('NoSuchKey', 'The specified key does not exist.');
  if (!matches(ifMatch, current.etag)) throw preconditionFailed('If-Match');
}

export function preconditionFailed(condition: string): S3Error {
  return new S3Error('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold', {
    Condition: condition,
  });
}

/** S3 takes an entity tag with or without its quotes. */
export function matches(list: string, etag: string): boolean {
  const bare = (tag: string) =>
    tag
      .trim()
      .replace(/^W\//, '')
      .replace(/^"(.*)"$/, '$1');
  return list.split(',').some(tag => tag.trim() === '*' || bare(tag) === bare(etag));
}

function date(header: string | undefined): number | undefined {
  const ms = header === undefined ? Number.NaN : Date.parse(header);
  return Number.isNaN(ms) ? undefined : ms;
}
