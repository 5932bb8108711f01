import type { Version } from './history.ts';

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

function partOf({ bytes, partSize }: Version, part: number): Expected {
  const size = partSize ?? Math.max(1, bytes.length);
  const start = (part - 1) * size;
  if (part > partsOf({ bytes, partSize })) return { status: 416 };
  const end = Math.min(start + size, bytes.length);
  return { status: end > start ? 206 : 200, start, end };
}

export function partsOf({ bytes, partSize }: Pick<Version, 'bytes' | 'partSize'>): number {
  return Math.max(1, Math.ceil(bytes.length / (partSize ?? Math.max(1, bytes.length))));
}
