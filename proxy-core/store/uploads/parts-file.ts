import type { RawHeaders } from '../../request/index.ts';
import { checkedJson, checkedLine } from '../disk/checked-line.ts';
import { decodeWriting, encodeWriting, type StoredWriting } from '../disk/stored-writing.ts';
import type { Head, Part, Writing } from '../head.ts';

/** What Complete tells of all parts of an object at once: one file beside its extents. */
export interface PartsTable extends Writing {
  /** The byte after each part, in order. */
  readonly ends: readonly number[];
  /** Of each part, what S3 answers of it to a request with checksum mode. Undefined: that is not known of any. */
  readonly checksums: readonly RawHeaders[] | undefined;
}

/** A checksummed line, bound to its object and version. */
export function encodeParts(storeKey: string, version: string, table: PartsTable): Buffer {
  const { ends, checksums } = table;
  const json = JSON.stringify({ key: storeKey, version, ...encodeWriting(table), ends, checksums });
  return Buffer.from(checkedLine(json), 'latin1');
}

/** Undefined when the file is damaged, of another object or version, or of other bytes than the object has. */
export function decodeParts(
  storeKey: string,
  { version, length }: Pick<Head, 'version' | 'length'>,
  file: Buffer,
): PartsTable | undefined {
  const json = checkedJson(file.toString('latin1'));
  if (json === undefined) return undefined;
  const stored = JSON.parse(json) as Pick<PartsTable, 'ends' | 'checksums'> &
    StoredWriting & { key: string; version: string };
  if (stored.key !== storeKey || stored.version !== version || stored.ends.at(-1) !== length) return undefined;
  return { ends: stored.ends, checksums: stored.checksums, ...decodeWriting(stored) };
}

/** What is known of part `number`; undefined where there is none, and where it is empty, about which S3 has its own words. */
export function partOf({ ends, checksums, ...writing }: PartsTable, number: number): Part | undefined {
  const end = ends[number - 1];
  const start = number === 1 ? 0 : ends[number - 2];
  if (start === undefined || end === undefined || end === start) return undefined;
  return {
    start,
    end: end - 1,
    headers: ['x-amz-mp-parts-count', String(ends.length), ...(checksums?.[number - 1] ?? [])],
    checksumsKnown: checksums !== undefined,
    ...writing,
  };
}
