import type { Fields, Version } from './history.ts';

/** What of a read S3's answer depends on. */
export interface Asked {
  readonly method: 'GET' | 'HEAD';
  readonly range?: string | undefined;
  readonly part?: number | undefined;
  readonly ifMatch?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
  readonly ifRange?: string | undefined;
  readonly checksums: boolean;
}

export type Expected =
  | { readonly status: 200 | 206; readonly start: number; readonly end: number }
  | { readonly status: 304 | 404 | 412 | 416 };

/**
 * What S3 says to a permitted read while the object is this (GetObject; RFC 9110 sections 13.2.2 and 14.2). Written
 * apart from the proxy's and the origin's own code, which it judges. `end` is exclusive.
 */
export function expectedOf(version: Version | undefined, asked: Asked): Expected {
  if (!version) return { status: 404 };
  if (asked.ifMatch !== undefined && asked.ifMatch !== version.etag) return { status: 412 };
  if (asked.ifNoneMatch !== undefined && asked.ifNoneMatch === version.etag) return { status: 304 };
  if (asked.part !== undefined) return partOf(version, asked.part);
  const honoured = asked.range !== undefined && (asked.ifRange === undefined || asked.ifRange === version.etag);
  return honoured ? rangeOf(asked.range!, version.bytes.length) : { status: 200, start: 0, end: version.bytes.length };
}

function rangeOf(range: string, length: number): Expected {
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(range) ?? [];
  if (first === '' && last === '') return { status: 200, start: 0, end: length };
  if (first === '') {
    const suffix = Math.min(Number(last), length);
    return suffix > 0 ? { status: 206, start: length - suffix, end: length } : { status: 416 };
  }
  const start = Number(first);
  if (last !== '' && Number(last) < start) return { status: 200, start: 0, end: length };
  if (start >= length) return { status: 416 };
  return { status: 206, start, end: last === '' ? length : Math.min(Number(last) + 1, length) };
}

function partOf(version: Version, part: number): Expected {
  const ends = endsOf(version);
  const end = ends[part - 1];
  if (end === undefined) return { status: 416 };
  const start = ends[part - 2] ?? 0;
  // An empty part has no bytes that a range could name.
  return end > start ? { status: 206, start, end } : { status: 200, start: 0, end: version.bytes.length };
}

export function partsOf(version: Pick<Version, 'bytes' | 'ends'>): number {
  return endsOf(version).length;
}

function endsOf({ bytes, ends }: Pick<Version, 'bytes' | 'ends'>): readonly number[] {
  return ends ?? [bytes.length];
}

/** Headers that are of one answer or one connection, not of the object. */
const OF_THE_ANSWER = new Set([
  ...['date', 'x-amz-request-id', 'x-amz-id-2', 'x-cache', 'cache-status', 'connection', 'keep-alive'],
  'transfer-encoding',
]);

/** What is wrong with the headers of a 200 or 206 that is about this version; undefined when they are S3's. */
export function judgeHeaders(
  asked: Asked,
  seen: { readonly status: number; header(name: string): string | undefined; readonly names: readonly string[] },
  version: Version,
): string | undefined {
  const expected = expectedOf(version, asked);
  if (expected.status !== seen.status) return `${seen.status} where ${expected.status} was due (version ${version.id})`;
  if (!('start' in expected)) return undefined;
  const { start, end } = expected;
  const due: Record<string, string> = {
    ...version.fields,
    etag: version.etag,
    'last-modified': version.lastModified,
    'content-length': String(end - start),
    ...(asked.checksums ? checksumsOf(asked, version, expected.status) : {}),
  };
  if (expected.status === 206) due['content-range'] = `bytes ${start}-${end - 1}/${version.bytes.length}`;
  if (asked.part !== undefined && version.ends) due['x-amz-mp-parts-count'] = String(version.ends.length);
  // S3 tells the checksum of a range that is exactly a part; who puts the range together need not.
  const mayDiffer = asked.part === undefined && expected.status === 206 ? partAt(version, start, end) : undefined;
  for (const name of new Set([...Object.keys(due), ...seen.names])) {
    const got = seen.header(name);
    if (OF_THE_ANSWER.has(name) || got === due[name]) continue;
    if (asked.checksums && got !== undefined && got === mayDiffer?.[name]) continue;
    return `${name}: ${got} where ${due[name]} was due (version ${version.id})`;
  }
  return undefined;
}

function checksumsOf({ part }: Asked, version: Version, status: number): Fields {
  if (part !== undefined) return version.partChecksums[part - 1] ?? {};
  return status === 200 ? version.checksums : {};
}

function partAt({ ends, partChecksums }: Version, start: number, end: number): Fields | undefined {
  const part = ends?.findIndex((at, i) => at === end && (ends[i - 1] ?? 0) === start) ?? -1;
  return partChecksums[part];
}
