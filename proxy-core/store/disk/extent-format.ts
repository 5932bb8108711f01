import { xxh32, xxh64 } from '@node-rs/xxhash';
import type { Span } from '../../request/index.ts';

/**
 * An extent file: LZ4 frames (github.com/lz4/lz4, lz4_Frame_format.md) that `lz4 -d` turns back into the content, then
 * one skippable frame that indexes them and binds the file to its object.
 *
 * Content is cut into units of 64 KiB; a unit is the smallest thing read, verified and decoded. They are cut at multiples of
 * 64 KiB of the object (format 1), or counted from the extent's own first byte (format 2): the part of an upload is written
 * before anybody knows its place, which may be any. Uncompressed content lies in one frame of stored blocks of up to 64 units,
 * so that neighbouring units are contiguous; compressed content is one frame a unit. All numbers are little-endian, all
 * offsets relative to the file.
 */
export const UNIT = 1 << 16;
/** Bodies up to this size live in their head file and, while they arrive, in one buffer. */
export const SMALL = UNIT;
/** Extents made by reads are cut at these boundaries of the object. */
export const EXTENT = 8 << 20;

const FRAME_MAGIC = 0x184d2204;
const INDEX_MAGIC = 0x184d2a5c;
const STORED = 0x80000000;
const UNITS_PER_BLOCK = 64;
/** Its units are cut at boundaries of the object. */
const BY_OBJECT = 1;
/** Its units are cut from its first byte on. */
const BY_EXTENT = 2;
const FIXED = 64;
const PER_UNIT = 16;

/** Version 01, independent blocks; blocks of at most 4 MiB; header checksum (xxh32 >> 8). */
export const FRAME_HEADER = (() => {
  const header = Buffer.alloc(7);
  header.writeUInt32LE(FRAME_MAGIC, 0);
  header[4] = 0x60;
  header[5] = 0x70;
  header[6] = (xxh32(header.subarray(4, 6)) >>> 8) & 0xff;
  return header;
})();
export const END_MARK = Buffer.alloc(4);

/** What an extent belongs to: BLAKE3 of the store key (32 bytes, hex) and the version's id (16 bytes, hex). */
export interface Binding {
  readonly hash: string;
  readonly version: string;
}

/** Where a unit is in the file and what its content hashes to. `stored`: raw bytes at `offset`; else one LZ4 frame. */
export interface UnitEntry {
  readonly offset: number;
  readonly size: number;
  readonly stored: boolean;
  readonly checksum: bigint;
}

/** The units of an extent, and the byte of the object from which on they are cut every 64 KiB. */
export interface Units {
  readonly entries: readonly UnitEntry[];
  readonly grid: number;
}

export function unitCount({ start, end }: Span, grid = 0): number {
  return Math.floor((end - grid) / UNIT) - Math.floor((start - grid) / UNIT) + 1;
}

/** First and last byte of the unit of `span` with this index, in the object. */
export function unitSpan(span: Span, index: number, grid = 0): Span {
  const from = grid + (Math.floor((span.start - grid) / UNIT) + index) * UNIT;
  return { start: Math.max(span.start, from), end: Math.min(span.end, from + UNIT - 1) };
}

/** How many units may follow in the current stored block before the next one begins. */
export function beginsBlock(index: number): boolean {
  return index % UNITS_PER_BLOCK === 0;
}

/** Content bytes of the stored block that begins with unit `index`. */
export function blockLength(span: Span, index: number): number {
  const first = unitSpan(span, index).start;
  const last = unitSpan(span, Math.min(index + UNITS_PER_BLOCK, unitCount(span)) - 1).end;
  return last - first + 1;
}

/** The four bytes before a stored block: its length with the highest bit set. */
export function blockHeader(length: number): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt32LE((STORED | length) >>> 0, 0);
  return header;
}

export function checksum(content: Uint8Array): bigint {
  return xxh64(content);
}

/** Bytes of the index frame of an extent that covers `span`; none is longer than with units cut at the object's boundaries. */
export function indexSize(span: Span, grid = 0): number {
  return 8 + FIXED + unitCount(span, grid) * PER_UNIT + 8;
}

export function encodeIndex(binding: Binding, span: Span, { entries, grid }: Units): Buffer {
  const frame = Buffer.alloc(indexSize(span, grid));
  frame.writeUInt32LE(INDEX_MAGIC, 0);
  frame.writeUInt32LE(frame.length - 8, 4);
  frame.writeUInt32LE(grid % UNIT === 0 ? BY_OBJECT : BY_EXTENT, 8);
  frame.write(binding.hash, 12, 32, 'hex');
  frame.write(binding.version, 44, 16, 'hex');
  frame.writeUIntLE(span.start, 60, 6);
  frame.writeUIntLE(span.end, 66, 6);
  let at = 8 + FIXED;
  for (const unit of entries) {
    frame.writeUInt32LE(unit.offset, at);
    frame.writeUInt32LE((unit.stored ? STORED | unit.size : unit.size) >>> 0, at + 4);
    frame.writeBigUInt64LE(unit.checksum, at + 8);
    at += PER_UNIT;
  }
  frame.writeBigUInt64LE(xxh64(frame.subarray(8, at)), at);
  return frame;
}

/**
 * The units of the index frame that `file` (the whole of it, or its last bytes) ends with, or undefined when that is damaged
 * or belongs to another object, version or place.
 */
export function decodeIndex(file: Buffer, binding: Binding, span: Span): Units | undefined {
  return decodeAs(BY_OBJECT, 0, file, binding, span) ?? decodeAs(BY_EXTENT, span.start, file, binding, span);
}

/**
 * The index frame of the same extent for another owner and place: as long as the one that `file` ends with, which is undefined
 * when that one is damaged, not `from`'s, or of an extent whose units are not cut from its first byte on.
 */
export function rebindIndex(
  file: Buffer,
  from: { binding: Binding; span: Span },
  to: { binding: Binding; span: Span },
): Buffer | undefined {
  const units = decodeIndex(file, from.binding, from.span);
  if (!units || (from.span.start - units.grid) % UNIT !== 0 || lengthOf(from.span) !== lengthOf(to.span))
    return undefined;
  const grid = to.span.start % UNIT === 0 ? 0 : to.span.start;
  return encodeIndex(to.binding, to.span, { entries: units.entries, grid });
}

function decodeAs(format: number, grid: number, file: Buffer, binding: Binding, span: Span): Units | undefined {
  const size = indexSize(span, grid);
  if (file.length < size) return undefined;
  const frame = file.subarray(file.length - size);
  if (frame.readUInt32LE(0) !== INDEX_MAGIC || frame.readUInt32LE(8) !== format) return undefined;
  const tail = frame.length - 8;
  if (xxh64(frame.subarray(8, tail)) !== frame.readBigUInt64LE(tail)) return undefined;
  if (frame.toString('hex', 12, 44) !== binding.hash || frame.toString('hex', 44, 60) !== binding.version)
    return undefined;
  if (frame.readUIntLE(60, 6) !== span.start || frame.readUIntLE(66, 6) !== span.end) return undefined;
  const entries = Array.from({ length: unitCount(span, grid) }, (_, index) => {
    const at = 8 + FIXED + index * PER_UNIT;
    const size = frame.readUInt32LE(at + 4);
    return {
      offset: frame.readUInt32LE(at),
      size: size & ~STORED,
      stored: size >= STORED,
      checksum: frame.readBigUInt64LE(at + 8),
    };
  });
  const fits = ({ stored, size }: UnitEntry, index: number) =>
    !stored || size === lengthOf(unitSpan(span, index, grid));
  return entries.every(fits) ? { entries, grid } : undefined;
}

function lengthOf({ start, end }: Span): number {
  return end - start + 1;
}
