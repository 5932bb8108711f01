import { ifRangeHolds, resolveRange, type Span } from '../request/index.ts';
import type { Head, ObjectEntry, Part } from '../store/index.ts';
import type { ReadRequest } from './types.ts';

/** What of an object a request wants, once its length is known. */
export interface Wanted {
  readonly status: 200 | 206;
  /** Undefined for an empty body. */
  readonly span: Span | undefined;
  readonly part: Part | undefined;
}

/** One version that is being sent in answer to one request. */
export interface Promised {
  readonly request: ReadRequest;
  readonly entry: ObjectEntry;
  readonly head: Head;
  readonly epoch: string;
  /** All that the answer has of it; undefined where that is somebody else's answer. */
  readonly span: Span | undefined;
}

/**
 * Undefined where what is kept can't say: a part that isn't known, a range that can't be satisfied (S3 words its own
 * 416), or checksums that were asked for and never learnt.
 */
export function wantedOf({ kind, facts }: ReadRequest, head: Head, part: Part | undefined): Wanted | undefined {
  if (kind.partNumber !== undefined) {
    if (!part || (facts.checksumMode && !part.checksumsKnown)) return undefined;
    return { status: 206, span: { start: part.start, end: part.end }, part };
  }
  if (kind.range === undefined || !ifRangeHolds(facts, head)) {
    if (facts.checksumMode && !head.checksumsKnown) return undefined;
    return { status: 200, span: head.length === 0 ? undefined : { start: 0, end: head.length - 1 }, part: undefined };
  }
  const span = resolveRange(kind.range, head.length);
  return span === 'unsatisfiable' ? undefined : { status: 206, span, part: undefined };
}
