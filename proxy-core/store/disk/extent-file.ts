import type { Stats } from 'node:fs';
import { decompressFrame } from 'lz4-napi';
import type { Span } from '../../request/index.ts';
import { type BufferPool, PIECE } from '../buffer-pool.ts';
import {
  type Binding,
  checksum,
  decodeIndex,
  indexSize,
  UNIT,
  type UnitEntry,
  type Units,
  unitSpan,
} from './extent-format.ts';
import { VerifiedUnits } from './verified-units.ts';
import type { Volume } from './volume.ts';

/** A file whose content can't be trusted: damaged, cut short, or in the wrong place. It is removed and read from S3. */
export class DamagedExtent extends Error {
  override readonly name = 'DamagedExtent';
}

/** Verified content. `release` must be called once, when nothing reads from its buffers any more. */
export interface Content {
  /** Consecutive bytes of the object from `start`. */
  readonly start: number;
  readonly pieces: readonly Buffer[];
  readonly length: number;
  release(): void;
}

/**
 * One open extent. A unit is verified against its checksum when it is read, unless that was done lately and the file has not
 * changed since.
 */
export class ExtentFile {
  readonly path: string;
  readonly span: Span;
  readonly #volume: Volume;
  readonly #fd: number;
  readonly #units: Units;
  readonly #verified: VerifiedUnits;
  #readers = 0;
  #closing = false;

  private constructor(volume: Volume, path: string, span: Span, fd: number, units: Units, stats: Stats) {
    this.#volume = volume;
    this.path = path;
    this.span = span;
    this.#fd = fd;
    this.#units = units;
    this.#verified = new VerifiedUnits(units.entries.length, stats);
  }

  static async open(
    volume: Volume,
    path: string,
    binding: Binding,
    span: Span,
    opened: Promise<number> = volume.open(path, 'r'),
  ): Promise<ExtentFile> {
    const fd = await opened;
    try {
      const stats = await volume.fstat(fd);
      const { size } = stats;
      const length = Math.min(size, indexSize(span));
      const tail = Buffer.allocUnsafeSlow(length);
      if ((await volume.read(fd, tail, 0, length, size - length)) !== length)
        throw new DamagedExtent('short read of the index');
      const units = decodeIndex(tail, binding, span);
      if (!units) throw new DamagedExtent('bad index');
      return new ExtentFile(volume, path, span, fd, units, stats);
    } catch (error) {
      volume.close(fd).catch(() => {});
      throw error;
    }
  }

  /** Some of it is. */
  get compressed(): boolean {
    return this.#units.entries.some(({ stored }) => !stored);
  }

  /**
   * The content from `start` on, at most up to `end` (inclusive), at most what one pooled buffer holds, in the file and
   * decoded; a unit when the budget is used up.
   */
  async read({ start, end }: Span, pool: BufferPool): Promise<Content> {
    const first = this.#indexOf(start);
    // Decoded content is not in pooled buffers, so its size is bounded here.
    let last = Math.min(this.#indexOf(Math.min(end, this.span.end)), first + PIECE / UNIT - 1);
    const head = this.#unit(first);
    // Units that lie behind one another in the file and fit one buffer are read together.
    let fileEnd = head.offset + head.size;
    let next = first;
    while (next < last) {
      const unit = this.#unit(next + 1);
      if (unit.offset + unit.size - head.offset > PIECE || unit.stored !== head.stored) break;
      if (head.stored && unit.offset !== fileEnd) break;
      fileEnd = unit.offset + unit.size;
      next++;
    }
    last = next;
    const pooled = fileEnd - head.offset > UNIT ? pool.take() : undefined;
    if (!pooled && fileEnd - head.offset > UNIT) {
      last = first;
      fileEnd = head.offset + head.size;
    }
    const size = fileEnd - head.offset;
    const buffer = pooled?.bytes ?? Buffer.allocUnsafeSlow(size);
    const release = () => pooled?.release();
    this.#readers++;
    const reading = this.#verified.begin();
    const known = this.#verified.has(first, last);
    try {
      const got = await this.#volume.read(this.#fd, buffer, 0, size, head.offset, release).catch(error => {
        // A read that missed its deadline still owns the buffer; `late` returns it when the thread comes back.
        throw Object.assign(error as Error, { keepsBuffer: (error as Error).name === 'DiskUnavailable' });
      });
      if (got !== size) throw new DamagedExtent('short read');
      const from = this.#spanOf(first).start;
      const to = this.#spanOf(last).end;
      const sure = known && (await this.#isUnchanged());
      const pieces = head.stored
        ? this.#storedIn(buffer, first, last, head.offset, sure)
        : await this.#decode(buffer, first, last, head.offset, sure);
      if (!sure) this.#verified.add(first, last, reading);
      const cut = cutTo(pieces, start - from, to - Math.min(end, to));
      // What was decoded is in buffers of its own, but the budget counts it by the one it was read into.
      return { start, pieces: cut, length: Math.min(end, to) - start + 1, release };
    } catch (error) {
      if (!(error as { keepsBuffer?: boolean }).keepsBuffer) release();
      throw error;
    } finally {
      this.#done();
    }
  }

  /** It has no name any more, and takes its space only as it is open. False where that can't be told. */
  async isRemoved(): Promise<boolean> {
    if (this.#closing) return false;
    this.#readers++;
    const stats = await this.#volume.attributes(this.#fd).catch(() => undefined);
    this.#done();
    return stats?.nlink === 0;
  }

  /** Closes the file when no read is under way any more. */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    if (this.#readers === 0) this.#closeNow();
  }

  #done(): void {
    this.#readers--;
    if (this.#closing && this.#readers === 0) this.#closeNow();
  }

  #closeNow(): void {
    this.#volume.close(this.#fd).catch(() => {});
  }

  #indexOf(offset: number): number {
    const { grid } = this.#units;
    return Math.floor((offset - grid) / UNIT) - Math.floor((this.span.start - grid) / UNIT);
  }

  #spanOf(index: number): Span {
    return unitSpan(this.span, index, this.#units.grid);
  }

  #unit(index: number): UnitEntry {
    const unit = this.#units.entries[index];
    if (!unit) throw new RangeError(`no unit ${index} in ${this.span.start}-${this.span.end}`);
    return unit;
  }

  /** Whoever can't tell verifies. */
  async #isUnchanged(): Promise<boolean> {
    const stats = await this.#volume.attributes(this.#fd).catch(() => undefined);
    return stats !== undefined && this.#verified.isUnchanged(stats);
  }

  #storedIn(buffer: Buffer, first: number, last: number, base: number, sure: boolean): Buffer[] {
    for (let index = first; index <= last && !sure; index++) {
      const unit = this.#unit(index);
      const at = unit.offset - base;
      if (checksum(buffer.subarray(at, at + unit.size)) !== unit.checksum) throw new DamagedExtent('bad checksum');
    }
    const end = this.#unit(last);
    return [buffer.subarray(0, end.offset + end.size - base)];
  }

  async #decode(buffer: Buffer, first: number, last: number, base: number, sure: boolean): Promise<Buffer[]> {
    const jobs: Promise<Buffer>[] = [];
    for (let index = first; index <= last; index++) {
      const unit = this.#unit(index);
      const frame = buffer.subarray(unit.offset - base, unit.offset - base + unit.size);
      jobs.push(decompressFrame(frame));
    }
    const settled = await Promise.allSettled(jobs);
    return settled.map((result, i) => {
      const { start, end } = this.#spanOf(first + i);
      if (result.status === 'rejected') throw new DamagedExtent('bad frame');
      const { value } = result;
      if (value.length !== end - start + 1 || (!sure && checksum(value) !== this.#unit(first + i).checksum))
        throw new DamagedExtent('bad checksum');
      return value;
    });
  }
}

function cutTo(pieces: Buffer[], skip: number, drop: number): Buffer[] {
  const first = pieces[0];
  if (first && skip > 0) pieces[0] = first.subarray(skip);
  const last = pieces.at(-1);
  if (last && drop > 0) pieces[pieces.length - 1] = last.subarray(0, last.length - drop);
  return pieces;
}
