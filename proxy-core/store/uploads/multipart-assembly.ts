import { headerValue, type RawHeaders, type Span } from '../../request/index.ts';
import { type Head, writingOf } from '../head.ts';
import { contentName, type StagedPart, sameEtag } from './multipart-files.ts';
import type { PartsTable } from './parts-file.ts';

/** A part as Complete names it. */
export interface NamedPart {
  readonly number: number;
  readonly etag: string;
}

/** A part that was found, `name` being `<number>-<random>`. */
export interface FoundPart extends StagedPart {
  readonly name: string;
}

export interface AssembledFile {
  /** In the staging folder. */
  readonly name: string;
  /** Of its part: what its index says. */
  readonly from: Span;
  /** Of the object. */
  readonly to: Span;
  readonly size: number;
}

/** What Complete made of the parts. */
export interface Assembly {
  readonly length: number;
  readonly parts: readonly FoundPart[];
  readonly files: readonly AssembledFile[];
}

/** Undefined when not every named part is there with the ETag that counts, or they are not in ascending order. */
export function assemble(named: readonly NamedPart[], found: readonly FoundPart[]): Assembly | undefined {
  const byNumber = grouped(found);
  const parts: FoundPart[] = [];
  const files: AssembledFile[] = [];
  let length = 0;
  let last = 0;
  for (const { number, etag } of named) {
    const part = byNumber.get(number)?.find(candidate => sameEtag(candidate.etag, etag));
    if (!part || number <= last || !isWhole(part)) return undefined;
    for (const { span, size } of part.files)
      files.push({
        name: contentName(part.name, span),
        from: span,
        to: { start: length + span.start, end: length + span.end },
        size,
      });
    parts.push(part);
    length += part.length;
    last = number;
  }
  return parts.length === 0 ? undefined : { length, parts, files };
}

/**
 * What is known of the object's parts. Nothing where numbers were left out: which number a part then answers to is S3's
 * to say; nor where the ETag does not tell their count, as S3's does: it might come again with other parts. S3 gives
 * the checksum of a part back where the object's own is made of those (`COMPOSITE`); else a reader who wants checksums asks.
 */
export function tableOf({ parts }: Assembly, head: Head): PartsTable | undefined {
  if (parts.some(({ number }, i) => number !== i + 1) || !head.etag.endsWith(`-${parts.length}"`)) return undefined;
  let end = 0;
  const ends = parts.map(({ length }) => {
    end += length;
    return end;
  });
  const type = headerValue(head.headers, 'x-amz-checksum-type');
  const composite = type === 'COMPOSITE' && parts.every(({ checksums }) => checksums.length > 0);
  return {
    ends,
    checksums: composite ? parts.map(({ checksums }) => withType(checksums, type)) : undefined,
    ...writingOf(head),
  };
}

function withType(checksums: RawHeaders, type: string): RawHeaders {
  return headerValue(checksums, 'x-amz-checksum-type') === undefined
    ? [...checksums, 'x-amz-checksum-type', type]
    : checksums;
}

function grouped(found: readonly FoundPart[]): Map<number, FoundPart[]> {
  const groups = new Map<number, FoundPart[]>();
  for (const part of found) {
    const group = groups.get(part.number);
    if (group) group.push(part);
    else groups.set(part.number, [part]);
  }
  return groups;
}

/** Its files are its content, in order and without a gap. */
function isWhole({ length, files }: StagedPart): boolean {
  let next = 0;
  for (const { span } of files) {
    if (span.start !== next) return false;
    next = span.end + 1;
  }
  return next === length;
}
