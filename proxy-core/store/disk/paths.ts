import { join } from 'node:path';
import blake3 from 'blake3-wasm';
import type { ObjectAddress, Span } from '../../request/index.ts';
import { EXTENT } from './extent-format.ts';

const GIB = 2 ** 30;

/** BLAKE3 of the store key, hex: the only trace of a key in a file name. */
export function objectHash(address: Pick<ObjectAddress, 'storeKey'>): string {
  return blake3.hash(Buffer.from(address.storeKey, 'latin1')).toString('hex');
}

/** The id of one immutable body: BLAKE3 of its strong ETag and length, 16 bytes in hex. */
export function versionId(etag: string, length: number): string {
  return blake3
    .hash(Buffer.from(`${etag}\0${length}`, 'latin1'))
    .toString('hex')
    .slice(0, 32);
}

/** Folder of a bucket below `buckets/`: the name alone on AWS, else `<bucket>@<origin>` with the origin made a safe name. */
export function bucketFolder(origin: string, bucket: string): string {
  return origin === 'aws' ? safeName(bucket) : `${safeName(bucket)}@${safeName(origin)}`;
}

/** Where the files of one object are. */
export class ObjectPaths {
  readonly hash: string;
  /** `<cache_dir>/buckets/<bucket>/<aa>/<bbb>` */
  readonly leaf: string;

  constructor(cacheDir: string, address: ObjectAddress, hash: string) {
    this.hash = hash;
    this.leaf = join(
      cacheDir,
      'buckets',
      bucketFolder(address.origin, address.bucket),
      hash.slice(0, 2),
      hash.slice(2, 5),
    );
  }

  get head(): string {
    return `${this.leaf}/${this.hash}.head`;
  }

  get epoch(): string {
    return `${this.leaf}/${this.hash}.epoch`;
  }

  /** Folder that holds the extents of every version of a larger object. */
  get tree(): string {
    return `${this.leaf}/${this.hash}.d`;
  }

  /** Folder and file name prefix of the extents that begin in this GiB of a version. */
  extents(version: string, length: number, gib: number): { folder: string; prefix: string } {
    if (length <= EXTENT) return { folder: this.leaf, prefix: `${this.hash}.${version}.` };
    return { folder: `${this.tree}/${version}/${gib}`, prefix: '' };
  }

  extent(version: string, length: number, span: Span): string {
    const { folder, prefix } = this.extents(version, length, gibOf(span.start));
    return `${folder}/${prefix}${span.start}-${span.end}`;
  }

  /** Where an extent goes, and the folder that it needs. */
  place(version: string, length: number, span: Span): { path: string; folder: string } {
    const { folder } = this.extents(version, length, gibOf(span.start));
    return { path: this.extent(version, length, span), folder };
  }

  part(version: string, length: number, number: number): string {
    return length <= EXTENT
      ? `${this.leaf}/${this.hash}.${version}.part-${number}`
      : `${this.tree}/${version}/part-${number}`;
  }

  /** All parts of a version that came by multipart upload. */
  parts(version: string, length: number): string {
    return length <= EXTENT ? `${this.leaf}/${this.hash}.${version}.parts.json` : `${this.tree}/${version}/parts.json`;
  }
}

export function gibOf(offset: number): number {
  return Math.floor(offset / GIB);
}

/** `<start>-<end>` of an extent's name, or undefined for any other file. */
export function parseSpan(name: string): Span | undefined {
  const match = /^(\d{1,15})-(\d{1,15})$/.exec(name);
  if (!match) return undefined;
  const span = { start: Number(match[1]), end: Number(match[2]) };
  return span.start <= span.end ? span : undefined;
}

/** What a name must not be, or have in it: hidden, a device of Windows (`con`, `nul.txt`), a dot at the end, which Windows drops, anything but these letters. */
const UNSAFE = /^\.+|^(?:con|prn|aux|nul|com\d|lpt\d)(?=\.|$)|\.+$|[^a-z0-9.-]/g;

/** Names that no file system folds together or refuses: what is unsafe → `%xx`; long ones are hashed. */
function safeName(name: string): string {
  const safe = name.replace(UNSAFE, text =>
    [...Buffer.from(text, 'utf8')].map(byte => `%${byte.toString(16).padStart(2, '0')}`).join(''),
  );
  return safe.length <= 120
    ? safe
    : `${safe.slice(0, 60)}%${blake3.hash(Buffer.from(name, 'utf8')).toString('hex').slice(0, 32)}`;
}
