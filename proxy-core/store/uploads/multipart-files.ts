import blake3 from 'blake3-wasm';
import type { ObjectAddress, Span } from '../../request/index.ts';
import { checkedJson, checkedLine } from '../disk/checked-line.ts';
import type { CreatedUpload, KeptPart } from './types.ts';

/**
 * The staging folder of a multipart upload, `uploads/<hash>/`: `create.json`, and of each part that came its content in
 * `<number>-<random>.<start>-<end>`, which counts once its record `<number>-<random>.json` is there. A part that comes twice
 * is there twice, until Complete says which one the object is made of.
 */
export const CREATE = 'create.json';

/** A file of a part's content: an extent that is bound to the object, but to no version yet. */
export interface StagedFile {
  /** Relative to the part; its name says it, too. */
  readonly span: Span;
  /** Bytes of the file. */
  readonly size: number;
}

export interface StagedPart extends KeptPart {
  /** Bytes of its content. */
  readonly length: number;
  readonly files: readonly StagedFile[];
}

/** Name of an upload's folder. An upload id is whatever its origin gave out, so that only its hash may be a name. */
export function uploadHash(address: ObjectAddress, uploadId: string): string {
  return blake3.hash(Buffer.from(`${address.storeKey}\0${uploadId}`, 'utf8')).toString('hex');
}

export function contentName(part: string, { start, end }: Span): string {
  return `${part}.${start}-${end}`;
}

export function recordName(part: string): string {
  return `${part}.json`;
}

/** `<number>-<random>` of a record's name, and the number; undefined for any other file. */
export function partOfRecord(name: string): { readonly part: string; readonly number: number } | undefined {
  const match = /^((\d{1,5})-[0-9a-f]+)\.json$/.exec(name);
  return match?.[1] === undefined ? undefined : { part: match[1], number: Number(match[2]) };
}

/** ETags are compared without their quotes, which clients leave out of Complete's list as they like. */
export function sameEtag(a: string, b: string): boolean {
  return a.replaceAll('"', '').trim() === b.replaceAll('"', '').trim();
}

export function encodeCreated(storeKey: string, { headers, unknowable, begun }: CreatedUpload): Buffer {
  return Buffer.from(checkedLine(JSON.stringify({ key: storeKey, headers, unknowable, begun })), 'latin1');
}

/** Undefined when the file is damaged or of another object. */
export function decodeCreated(storeKey: string, file: Buffer): CreatedUpload | undefined {
  const json = checkedJson(file.toString('latin1'));
  if (json === undefined) return undefined;
  const { key, headers, unknowable, begun } = JSON.parse(json) as CreatedUpload & { key: string };
  return key === storeKey ? { headers, unknowable, begun } : undefined;
}

export function encodeRecord(upload: string, { number, etag, checksums, length, files }: StagedPart): Buffer {
  const stored = files.map(({ span, size }): StoredFile => [span.start, span.end, size]);
  return Buffer.from(checkedLine(JSON.stringify({ upload, number, etag, checksums, length, files: stored })), 'latin1');
}

/** Undefined when the record is damaged or of another upload. */
export function decodeRecord(upload: string, file: Buffer): StagedPart | undefined {
  const json = checkedJson(file.toString('latin1'));
  if (json === undefined) return undefined;
  const stored = JSON.parse(json) as KeptPart & { upload: string; length: number; files: StoredFile[] };
  if (stored.upload !== upload) return undefined;
  const { number, etag, checksums, length } = stored;
  const files = stored.files.map(([start, end, size]) => ({ span: { start, end }, size }));
  return { number, etag, checksums, length, files };
}

type StoredFile = readonly [start: number, end: number, size: number];
