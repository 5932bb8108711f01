import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Span } from '../../../proxy-core/request/index.ts';
import { BufferPool, PIECE } from '../../../proxy-core/store/buffer-pool.ts';
import { type Content, DamagedExtent, ExtentFile } from '../../../proxy-core/store/disk/extent-file.ts';
import {
  type Binding,
  decodeIndex,
  EXTENT,
  encodeIndex,
  indexSize,
  rebindIndex,
  UNIT,
  unitCount,
  unitSpan,
} from '../../../proxy-core/store/disk/extent-format.ts';
import { decodeExtent } from '../../../proxy-core/store/disk/extent-memory.ts';
import { ExtentEncoder, encodeExtent } from '../../../proxy-core/store/disk/extent-writer.ts';
import { Volume } from '../../../proxy-core/store/disk/volume.ts';
import { describeWith, requireTool } from '../../tools/index.ts';
import { noise, prose, tempFolder } from '../helpers.ts';

const BINDING: Binding = { hash: '0123456789abcdef'.repeat(4), version: 'fedcba9876543210'.repeat(2) };
const volume = new Volume({ deadline: 20_000 });

/** Writes content the way a fill does: in pieces that end at 1 MiB boundaries of the object. */
async function write(span: Span, content: Buffer, compress: boolean, cutAfter = content.length): Promise<Buffer> {
  const encoder = new ExtentEncoder(BINDING, span, compress);
  const file: Buffer[] = [];
  for (let at = 0; at < cutAfter; ) {
    const end = Math.min(cutAfter, at + PIECE - ((span.start + at) % PIECE));
    for (const frame of await encoder.frames(content.subarray(at, end))) file.push(Buffer.from(frame));
    at = end;
  }
  let whole = Buffer.concat(file);
  if (!encoder.done) {
    const { frames, patch } = encoder.cutAt(span.start + cutAfter - 1);
    whole = Buffer.concat([whole, ...frames]);
    if (patch) patch.bytes.copy(whole, patch.at);
  }
  whole = Buffer.concat([whole, encoder.finish()]);
  expect(encoder.offset).toBe(whole.length);
  return whole;
}

async function open(bytes: Buffer, span: Span, binding = BINDING): Promise<ExtentFile> {
  const path = join(tempFolder(), 'extent');
  writeFileSync(path, bytes);
  return ExtentFile.open(volume, path, binding, span);
}

/** Reads a span to its end, however many reads that takes. */
async function readAll(file: ExtentFile, { start, end }: Span, pool: BufferPool): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let at = start; at <= end; ) {
    const content = await file.read({ start: at, end }, pool);
    expect(content.start).toBe(at);
    expect(content.length).toBeGreaterThan(0);
    pieces.push(copyOf(content));
    at += content.length;
    content.release();
  }
  return Buffer.concat(pieces);
}

function copyOf(content: Content): Buffer {
  const copy = Buffer.concat(content.pieces);
  expect(copy.length).toBe(content.length);
  return copy;
}

/** Spans whose ends lie anywhere, most of them near the boundaries of units, pieces and blocks. */
const edge = fc
  .tuple(fc.constantFrom(0, UNIT, 2 * UNIT, PIECE, 2 * PIECE, 4 << 20), fc.integer({ min: -2, max: 2 }))
  .map(([base, by]) => Math.max(0, base + by));
const place = fc.oneof(edge, fc.integer({ min: 0, max: 3 * PIECE }));
const span = fc.tuple(place, place, fc.constantFrom(0, 3, 3000)).map(([a, b, extent]): Span => {
  const base = extent * EXTENT;
  return { start: base + Math.min(a, b), end: base + Math.max(a, b) };
});
const contentOf = (length: number, kind: string, seed: number) =>
  kind === 'noise'
    ? noise(length, seed)
    : kind === 'prose'
      ? prose(length, seed)
      : Buffer.concat([prose(Math.ceil(length / 2), seed), noise(length - Math.ceil(length / 2), seed)]);
const kinds = fc.constantFrom('noise', 'prose', 'mixed');

describe('an extent', () => {
  it('gives back the bytes of any part of it, wherever it begins and ends, compressed or not', async () => {
    await fc.assert(
      fc.asyncProperty(
        span,
        kinds,
        fc.boolean(),
        fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 1, maxLength: 4 }),
        async (whole, kind, compress, parts) => {
          const length = whole.end - whole.start + 1;
          const content = contentOf(length, kind, 7);
          const bytes = await write(whole, content, compress);
          const file = await open(bytes, whole);
          const pool = new BufferPool(8 * PIECE);
          for (const [a, b] of [[0, length - 1] as const, ...parts]) {
            const [from, to] = [Math.min(a % length, b % length), Math.max(a % length, b % length)];
            const got = await readAll(file, { start: whole.start + from, end: whole.start + to }, pool);
            expect(got.equals(content.subarray(from, to + 1))).toBe(true);
          }
          expect(pool.bytesOut).toBe(0);
          expect((await decodeExtent(bytes, BINDING, whole))?.equals(content)).toBe(true);
          file.close();
        },
      ),
      { numRuns: 60 },
    );
  });

  it('is read though its source was cut anywhere', async () => {
    await fc.assert(
      fc.asyncProperty(span, kinds, fc.boolean(), fc.nat(), async (announced, kind, compress, cut) => {
        const length = announced.end - announced.start + 1;
        const content = contentOf(length, kind, 3);
        const after = 1 + (cut % length);
        const bytes = await write(announced, content, compress, after);
        const real = { start: announced.start, end: announced.start + after - 1 };
        const file = await open(bytes, real);
        const got = await readAll(file, real, new BufferPool(8 * PIECE));
        expect(got.equals(content.subarray(0, after))).toBe(true);
        file.close();
      }),
      { numRuns: 40 },
    );
  });

  it('that shrinks takes less room, and one that does not takes only its index more', async () => {
    const whole = { start: 0, end: EXTENT - 1 };
    expect((await write(whole, prose(EXTENT), true)).length).toBeLessThan(EXTENT / 4);
    expect((await write(whole, noise(EXTENT), true)).length).toBeLessThan(EXTENT * 1.001);
    expect((await write(whole, noise(EXTENT), false)).length).toBe(EXTENT + indexSize(whole) + 7 + 2 * 4 + 4);
  });

  it('holds no more memory than a piece for one read, however well it shrinks', async () => {
    const whole = { start: 0, end: EXTENT - 1 };
    const file = await open(await write(whole, Buffer.alloc(EXTENT), true), whole);
    const content = await file.read(whole, new BufferPool(8 * PIECE));
    expect(content.length).toBeLessThanOrEqual(PIECE);
    file.close();
  });

  it('is read unit by unit when the memory budget is used up', async () => {
    const whole = { start: 0, end: PIECE - 1 };
    const content = noise(PIECE);
    const file = await open(await write(whole, content, false), whole);
    const pool = new BufferPool(4 * PIECE);
    while (pool.take());
    const read = await file.read(whole, pool);
    expect(read.length).toBe(UNIT);
    expect(copyOf(read).equals(content.subarray(0, UNIT))).toBe(true);
    read.release();
    expect(pool.bytesOut).toBe(4 * PIECE);
    file.close();
  });

  it('that is closed while it is read is closed when the read is over', async () => {
    const whole = { start: 0, end: PIECE - 1 };
    const content = noise(PIECE);
    const file = await open(await write(whole, content, false), whole);
    const reading = file.read(whole, new BufferPool(4 * PIECE));
    file.close();
    expect(copyOf(await reading).equals(content)).toBe(true);
    await expect(file.read(whole, new BufferPool(4 * PIECE))).rejects.toThrow();
  });
});

describe('a damaged extent', () => {
  const small = { start: UNIT - 40, end: UNIT + 59 };
  const content = Buffer.concat([prose(60), noise(40)]);

  it.each([
    ['stored', false],
    ['compressed', true],
  ])('never gives wrong bytes, whichever byte of it is flipped (%s)', async (_, compress) => {
    const bytes = await encodeExtent(BINDING, small, content, compress);
    let refused = 0;
    for (let at = 0; at < bytes.length; at++) {
      for (const flip of [0x01, 0x80, 0xff]) {
        const damaged = Buffer.from(bytes);
        damaged[at]! ^= flip;
        refused += await refusedOrRight(damaged, small, content);
      }
    }
    // Only what surrounds the content for other LZ4 readers may be damaged without notice.
    expect(refused).toBeGreaterThan(bytes.length * 2);
  });

  it.each([
    ['stored', false],
    ['compressed', true],
  ])('is refused, wherever it ends too early (%s)', async (_, compress) => {
    const bytes = await encodeExtent(BINDING, small, content, compress);
    for (let length = 0; length < bytes.length; length++)
      expect(await refusedOrRight(bytes.subarray(0, length), small, content), `cut to ${length}`).toBe(1);
  });

  it('is refused when bytes were added', async () => {
    const bytes = await encodeExtent(BINDING, small, content, false);
    expect(await refusedOrRight(Buffer.concat([bytes, Buffer.alloc(1)]), small, content)).toBe(1);
  });

  it('never gives wrong bytes when any run of a larger one is overwritten', async () => {
    const whole = { start: 0, end: 3 * UNIT };
    const right = Buffer.concat([prose(2 * UNIT), noise(UNIT + 1)]);
    for (const compress of [false, true]) {
      const bytes = await encodeExtent(BINDING, whole, right, compress);
      await fc.assert(
        fc.asyncProperty(fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 64 }), async (at, rubbish) => {
          const damaged = Buffer.from(bytes);
          damaged.set(rubbish.subarray(0, bytes.length - (at % bytes.length)), at % bytes.length);
          await refusedOrRight(damaged, whole, right);
        }),
        { numRuns: 60 },
      );
    }
  });

  it('of another object, another version or another place is refused', async () => {
    const bytes = await encodeExtent(BINDING, small, content, false);
    const others: [Binding, Span][] = [
      [{ ...BINDING, hash: 'ff'.repeat(32) }, small],
      [{ ...BINDING, version: 'ff'.repeat(16) }, small],
      [BINDING, { start: small.start + UNIT, end: small.end + UNIT }],
      [BINDING, { start: small.start - 1, end: small.end - 1 }],
    ];
    for (const [binding, span] of others) {
      await expect(open(bytes, span, binding)).rejects.toBeInstanceOf(DamagedExtent);
      expect(await decodeExtent(bytes, binding, span)).toBeUndefined();
    }
  });

  /** 1 when it is refused, 0 when it gives the right bytes; anything else fails. */
  async function refusedOrRight(bytes: Buffer, span: Span, right: Buffer): Promise<number> {
    const pool = new BufferPool(4 * PIECE);
    const inMemory = await decodeExtent(bytes, BINDING, span);
    if (inMemory) expect(inMemory.equals(right)).toBe(true);
    let file: ExtentFile | undefined;
    try {
      file = await open(bytes, span);
      expect((await readAll(file, span, pool)).equals(right)).toBe(true);
      return 0;
    } catch (error) {
      expect(error).toBeInstanceOf(DamagedExtent);
      expect(inMemory).toBeUndefined();
      return 1;
    } finally {
      expect(pool.bytesOut).toBe(0);
      file?.close();
    }
  }
});

describe('the index of an extent', () => {
  it('comes back as it was written', () => {
    fc.assert(
      fc.property(span, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.boolean(), (whole, checksum, stored) => {
        const units = Array.from({ length: unitCount(whole) }, (_, i) => ({
          offset: i * 65_540,
          size: stored ? unitSpan(whole, i).end - unitSpan(whole, i).start + 1 : (i * 7919) % 65_537,
          stored,
          checksum,
        }));
        const frame = encodeIndex(BINDING, whole, { entries: units, grid: 0 });
        expect(decodeIndex(frame, BINDING, whole)).toEqual({ entries: units, grid: 0 });
      }),
    );
  });

  it('cuts any span into units without gap or overlap, at boundaries of the object or of the extent', () => {
    fc.assert(
      fc.property(span, fc.boolean(), (whole, own) => {
        const grid = own ? whole.start : 0;
        const cell = (offset: number) => Math.floor((offset - grid) / UNIT);
        let at = whole.start;
        for (let i = 0; i < unitCount(whole, grid); i++) {
          const unit = unitSpan(whole, i, grid);
          expect(unit.start).toBe(at);
          expect(cell(unit.start)).toBe(cell(unit.end));
          at = unit.end + 1;
        }
        expect(at).toBe(whole.end + 1);
      }),
    );
  });
});

describe('an extent that was written before its place was known', () => {
  const ASIDE: Binding = { ...BINDING, version: '0'.repeat(32) };
  /** Of the part of an upload, and where the part lies in the object. */
  const moved = fc.record({
    start: fc.constantFrom(0, EXTENT, 5 * EXTENT),
    length: fc.oneof(edge, fc.integer({ min: 0, max: 3 * PIECE })).map(length => length + 1),
    by: fc.oneof(fc.nat({ max: 3 * UNIT }), fc.nat({ max: 2 ** 42 }), fc.constantFrom(0, UNIT, 5 << 20, 5_000_000)),
  });

  async function rebound(
    { start, length, by }: { start: number; length: number; by: number },
    content: Buffer,
    compress: boolean,
  ) {
    const from = { start, end: start + length - 1 };
    const to = { start: start + by, end: start + by + length - 1 };
    const encoder = new ExtentEncoder(ASIDE, from, compress);
    const frames: Buffer[] = [];
    for (let at = 0; at < length; at += PIECE) frames.push(...(await encoder.frames(content.subarray(at, at + PIECE))));
    const before = Buffer.concat([...frames, encoder.finish()]);
    const index = rebindIndex(before, { binding: ASIDE, span: from }, { binding: BINDING, span: to })!;
    const after = Buffer.concat([before.subarray(0, before.length - index.length), index]);
    return { before, after, from, to };
  }

  it('gives back the bytes of any part of it, wherever it came to lie, compressed or not', async () => {
    await fc.assert(
      fc.asyncProperty(
        moved,
        kinds,
        fc.boolean(),
        fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 1, maxLength: 4 }),
        async (where, kind, compress, parts) => {
          const { length } = where;
          const content = contentOf(length, kind, 9);
          const { after, to } = await rebound(where, content, compress);
          const file = await open(after, to);
          const pool = new BufferPool(8 * PIECE);
          for (const [a, b] of [[0, length - 1] as const, ...parts]) {
            const [first, last] = [Math.min(a % length, b % length), Math.max(a % length, b % length)];
            const got = await readAll(file, { start: to.start + first, end: to.start + last }, pool);
            expect(got.equals(content.subarray(first, last + 1))).toBe(true);
          }
          expect(pool.bytesOut).toBe(0);
          expect((await decodeExtent(after, BINDING, to))?.equals(content)).toBe(true);
          file.close();
        },
      ),
      { numRuns: 60 },
    );
  });

  it('is the same file, byte for byte, as one that was written where it lies, if that is at a boundary of units', async () => {
    const content = Buffer.concat([prose(UNIT), noise(UNIT + 1)]);
    for (const compress of [false, true]) {
      const { after, to } = await rebound({ start: 0, length: content.length, by: 7 * UNIT }, content, compress);
      expect(after.equals(await encodeExtent(BINDING, to, content, compress))).toBe(true);
    }
  });

  it('is nobody’s before, and nobody else’s after', async () => {
    const content = prose(3 * UNIT);
    const { before, after, from, to } = await rebound({ start: 0, length: content.length, by: 12_345 }, content, true);
    for (const [bytes, at, binding] of [
      [before, from, BINDING],
      [before, to, BINDING],
      [after, from, ASIDE],
      [after, to, ASIDE],
      [after, { start: to.start + 1, end: to.end + 1 }, BINDING],
    ] as const) {
      await expect(open(bytes, at, binding)).rejects.toBeInstanceOf(DamagedExtent);
      expect(await decodeExtent(bytes, binding, at)).toBeUndefined();
    }
  });

  it('is bound to nothing when it is damaged, of another length, or not to be moved', async () => {
    const content = prose(2 * UNIT);
    const { before, from } = await rebound({ start: 0, length: content.length, by: 0 }, content, false);
    const to = { binding: BINDING, span: { start: 1, end: content.length } };
    const bind = (bytes: Buffer, span = from, binding = ASIDE, target = to) =>
      rebindIndex(bytes, { binding, span }, target);
    expect(bind(before)).toBeDefined();
    const damaged = Buffer.from(before);
    damaged[before.length - 100]! ^= 1;
    expect(bind(damaged)).toBeUndefined();
    expect(bind(before.subarray(0, before.length - 1))).toBeUndefined();
    expect(bind(before, from, BINDING)).toBeUndefined();
    expect(bind(before, from, ASIDE, { ...to, span: { start: 1, end: content.length - 1 } })).toBeUndefined();
    // One that a read wrote, whose units are not cut from its beginning on.
    const odd = { start: 100, end: 100 + content.length - 1 };
    const read = await encodeExtent(ASIDE, odd, content, false);
    expect(rebindIndex(read, { binding: ASIDE, span: odd }, to)).toBeUndefined();
  });
});

describeWith('lz4', 'the lz4 command', () => {
  it('turns an extent file into its content', async () => {
    const folder = tempFolder();
    await fc.assert(
      fc.asyncProperty(span, kinds, fc.boolean(), fc.nat(), async (whole, kind, compress, cut) => {
        const length = whole.end - whole.start + 1;
        const content = contentOf(length, kind, 5);
        const after = cut % 2 === 0 ? length : 1 + (cut % length);
        writeFileSync(join(folder, 'extent.lz4'), await write(whole, content, compress, after));
        execFileSync(requireTool('lz4'), ['-d', '-f', '-q', join(folder, 'extent.lz4'), join(folder, 'content')]);
        expect(readFileSync(join(folder, 'content')).equals(content.subarray(0, after))).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it('turns one that was bound to an odd place into its content', async () => {
    const folder = tempFolder();
    const content = Buffer.concat([prose(3 * UNIT), noise(PIECE)]);
    const [from, to] = [
      { start: 0, end: content.length - 1 },
      { start: 777, end: 776 + content.length },
    ];
    for (const compress of [false, true]) {
      const bytes = await encodeExtent(BINDING, from, content, compress);
      const index = rebindIndex(bytes, { binding: BINDING, span: from }, { binding: BINDING, span: to })!;
      index.copy(bytes, bytes.length - index.length);
      writeFileSync(join(folder, 'extent.lz4'), bytes);
      execFileSync(requireTool('lz4'), ['-d', '-f', '-q', join(folder, 'extent.lz4'), join(folder, 'content')]);
      expect(readFileSync(join(folder, 'content')).equals(content)).toBe(true);
    }
  });

  it('turns a whole extent of 8 MiB into its content', async () => {
    const folder = tempFolder();
    const content = Buffer.concat([prose(EXTENT / 2), noise(EXTENT / 2)]);
    for (const compress of [false, true]) {
      writeFileSync(join(folder, 'extent.lz4'), await write({ start: EXTENT, end: 2 * EXTENT - 1 }, content, compress));
      execFileSync(requireTool('lz4'), ['-d', '-f', '-q', join(folder, 'extent.lz4'), join(folder, 'content')]);
      expect(readFileSync(join(folder, 'content')).equals(content)).toBe(true);
    }
  });
});
