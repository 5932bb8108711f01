import { compressFrame } from 'lz4-napi';
import type { Span } from '../../request/index.ts';
import {
  type Binding,
  beginsBlock,
  blockHeader,
  blockLength,
  checksum,
  END_MARK,
  encodeIndex,
  FRAME_HEADER,
  UNIT,
  type UnitEntry,
  unitSpan,
} from './extent-format.ts';

/**
 * Turns content that arrives in order into the bytes of one extent, piece by piece: `frames` for each piece, `finish`
 * at the end. A piece begins and ends at unit boundaries of the extent. The caller writes what it is given, in order.
 */
export class ExtentEncoder {
  span: Span;
  readonly #binding: Binding;
  readonly #compress: boolean;
  readonly #units: UnitEntry[] = [];
  #offset = 0;
  /** Bytes of content given so far. */
  #given = 0;
  #block = { at: 0, index: 0 };

  constructor(binding: Binding, span: Span, compress: boolean) {
    this.#binding = binding;
    this.span = span;
    this.#compress = compress;
  }

  /** Bytes of the file so far. */
  get offset(): number {
    return this.#offset;
  }

  get done(): boolean {
    return this.#given === this.span.end - this.span.start + 1;
  }

  /** The file's next bytes for `content`, whole units but for the last of a source that was cut. The buffers may be views of `content`. */
  async frames(content: Buffer): Promise<Buffer[]> {
    const out: Buffer[] = [];
    const put = (bytes: Buffer) => {
      out.push(bytes);
      this.#offset += bytes.length;
    };
    const units = splitUnits(this.span, this.#units.length, content);
    const packed = this.#compress ? await Promise.all(units.map(unit => compressFrame(unit, {}))) : [];
    units.forEach((unit, i) => {
      const index = this.#units.length;
      const frame = packed[i];
      if (this.#compress && frame && frame.length < unit.length) {
        this.#units.push({ offset: this.#offset, size: frame.length, stored: false, checksum: checksum(unit) });
        put(frame);
        return;
      }
      if (this.#compress || index === 0) put(FRAME_HEADER);
      if (this.#compress) put(blockHeader(unit.length));
      else if (beginsBlock(index)) {
        this.#block = { at: this.#offset, index };
        put(blockHeader(blockLength(this.span, index)));
      }
      this.#units.push({ offset: this.#offset, size: unit.length, stored: true, checksum: checksum(unit) });
      put(unit);
      if (this.#compress) put(END_MARK);
    });
    this.#given += content.length;
    if (this.done && !this.#compress) put(END_MARK);
    return out;
  }

  /**
   * Ends the extent earlier than announced, at `end`, the last byte given so far. Returns the bytes that still follow
   * and, where a block header that was already given is now wrong, what to overwrite it with.
   */
  cutAt(end: number): { frames: Buffer[]; patch: { at: number; bytes: Buffer } | undefined } {
    this.span = { start: this.span.start, end };
    if (this.#compress) return { frames: [], patch: undefined };
    this.#offset += END_MARK.length;
    return {
      frames: [END_MARK],
      patch: { at: this.#block.at, bytes: blockHeader(blockLength(this.span, this.#block.index)) },
    };
  }

  /** The index frame; only when every unit has been given. */
  finish(): Buffer {
    const index = encodeIndex(this.#binding, this.span, { entries: this.#units, grid: 0 });
    this.#offset += index.length;
    return index;
  }
}

/** A whole extent in memory, for bodies small enough to live in the head file. */
export async function encodeExtent(binding: Binding, span: Span, content: Buffer, compress: boolean): Promise<Buffer> {
  const encoder = new ExtentEncoder(binding, span, compress);
  const frames = await encoder.frames(content);
  return Buffer.concat([...frames, encoder.finish()]);
}

/** Whether content shrinks enough to be worth decoding later: its first unit by at least an eighth. */
export async function shrinks(content: Buffer): Promise<boolean> {
  const sample = content.subarray(0, UNIT);
  return (await compressFrame(sample, {})).length <= sample.length * 0.875;
}

function splitUnits(span: Span, from: number, content: Buffer): Buffer[] {
  const units: Buffer[] = [];
  for (let at = 0, index = from; at < content.length; index++) {
    const { start, end } = unitSpan(span, index);
    units.push(content.subarray(at, at + end - start + 1));
    at += end - start + 1;
  }
  return units;
}
