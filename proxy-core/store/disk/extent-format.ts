import { xxh32, xxh64 } from '@node-rs/xxhash';
import type { Span } from '../../request/index.ts';

/**
 * An extent file: LZ4 frames (github.com/lz4/lz4, lz4_Frame_format.md) that `lz4 -d` turns back into the content, then
 * one skippable frame that indexes them and binds the file to its object.
 *
 * Content is cut into units at the 64 KiB boundaries of the object; a unit is the smallest thing read, verified and
 * decoded. Uncompressed content lies in one frame of stored blocks of up to 64 units, so that neighbouring units are
 * contiguous; compressed content is one frame a unit. All numbers are little-endian, all offsets relative to the file.
 */
export const UNIT = 1 << 16;
/** Extents made by reads are cut at these boundaries of the object. */
export const EXTENT = 8 << 20;

const FRAME_MAGIC = 0x184d2204;
const INDEX_MAGIC = 0x184d2a5c;
const STORED = 0x80000000;
const UNITS_PER_BLOCK = 64;
const FORMAT = 1;
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

export function unitCount({ start, end }: Span): number {
  return Math.floor(end / UNIT) - Math.floor(start / UNIT) + 1;
}

/** First and last byte of the unit of `span` with this index, in the object. */
export function unitSpan(span: Span, index: number): Span {
  const cell = Math.floor(span.start / UNIT) + index;
  return { start: Math.max(span.start, cell * UNIT), end: Math.min(span.end, cell * UNIT + UNIT - 1) };
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

/** Bytes of the index frame of an extent that covers `span`. */
export function indexSize(span: Span): number {
  return 8 + FIXED + unitCount(span) * PER_UNIT + 8;
}

export function encodeIndex(binding: Binding, span: Span, units: readonly UnitEntry[]): Buffer {
  const frame = Buffer.alloc(indexSize(span));
  frame.writeUInt32LE(INDEX_MAGIC, 0);
  frame.writeUInt32LE(frame.length - 8, 4);
  frame.writeUInt32LE(FORMAT, 8);
  frame.write(binding.hash, 12, 32, 'hex');
  frame.write(binding.version, 44, 16, 'hex');
  frame.writeUIntLE(span.start, 60, 6);
  frame.writeUIntLE(span.end, 66, 6);
  let at = 8 + FIXED;
  for (const unit of units) {
    frame.writeUInt32LE(unit.offset, at);
    frame.writeUInt32LE((unit.stored ? STORED | unit.size : unit.size) >>> 0, at + 4);
    frame.writeBigUInt64LE(unit.checksum, at + 8);
    at += PER_UNIT;
  }
  frame.writeBigUInt64LE(xxh64(frame.subarray(8, at)), at);
  return frame;
}

/** The units of an index frame, or undefined when it is damaged or belongs to another object, version or place. */
export function decodeIndex(frame: Buffer, binding: Binding, span: Span): readonly UnitEntry[] | undefined {
  const units = unitCount(span);
  if (frame.length !== indexSize(span) || frame.readUInt32LE(0) !== INDEX_MAGIC || frame.readUInt32LE(8) !== FORMAT)
    return undefined;
  const tail = frame.length - 8;
  if (xxh64(frame.subarray(8, tail)) !== frame.readBigUInt64LE(tail)) return undefined;
  if (frame.toString('hex', 12, 44) !== binding.hash || frame.toString('hex', 44, 60) !== binding.version)
    return undefined;
  if (frame.readUIntLE(60, 6) !== span.start || frame.readUIntLE(66, 6) !== span.end) return undefined;
  const entries = Array.from({ length: units }, (_, index) => {
    const at = 8 + FIXED + index * PER_UNIT;
    const size = frame.readUInt32LE(at + 4);
    return {
      offset: frame.readUInt32LE(at),
      size: size & ~STORED,
      stored: size >= STORED,
      checksum: frame.readBigUInt64LE(at + 8),
    };
  });
  const fits = ({ stored, size }: UnitEntry, index: number) => {
    const { start, end } = unitSpan(span, index);
    return !stored || size === end - start + 1;
  };
  return entries.every(fits) ? entries : undefined;
}
