import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { BufferPool, PIECE } from '../../../proxy-core/store/buffer-pool.ts';
import { DamagedExtent, ExtentFile } from '../../../proxy-core/store/disk/extent-file.ts';
import { type Binding, UNIT } from '../../../proxy-core/store/disk/extent-format.ts';
import { encodeExtent } from '../../../proxy-core/store/disk/extent-writer.ts';
import { VerifiedUnits } from '../../../proxy-core/store/disk/verified-units.ts';
import { Volume } from '../../../proxy-core/store/disk/volume.ts';
import { noise, prose, stopClock, tempFolder } from '../helpers.ts';

const BINDING: Binding = { hash: '0123456789abcdef'.repeat(4), version: 'fedcba9876543210'.repeat(2) };
const SPAN = { start: 0, end: 2 * PIECE - 1 };

beforeEach(stopClock);

describe('units of an extent', () => {
  const stats = statSync('.');

  function read(units: VerifiedUnits, first: number, last: number): void {
    units.add(first, last, units.begin());
  }

  it('are verified when the attributes had been seen for longer than a file system may tick', () => {
    const units = new VerifiedUnits(8, stats);
    vi.advanceTimersByTime(2000);
    read(units, 0, 7);
    expect(units.has(0, 7)).toBe(false);
    vi.advanceTimersByTime(1);
    const early = units.begin();
    read(units, 2, 3);
    expect([units.has(2, 3), units.has(1, 3), units.has(2, 4)]).toEqual([true, false, false]);
    expect(units.isUnchanged({ ...stats } as typeof stats)).toBe(true);
    units.add(4, 4, early);
    expect(units.has(2, 4)).toBe(true);
  });

  it.each(['ctimeMs', 'mtimeMs', 'size'] as const)('are verified no longer when the %s is another', field => {
    const units = new VerifiedUnits(8, stats);
    vi.advanceTimersByTime(5000);
    const under = units.begin();
    read(units, 0, 7);
    const changed = { ...stats, [field]: stats[field] + 1 } as typeof stats;
    expect(units.isUnchanged(changed)).toBe(false);
    expect(units.has(0, 0)).toBe(false);
    // What was read before that is no sign of what is there now.
    vi.advanceTimersByTime(5000);
    units.add(0, 7, under);
    expect([units.has(0, 0), units.isUnchanged(changed)]).toEqual([false, true]);
    read(units, 0, 7);
    expect(units.has(0, 7)).toBe(true);
  });

  it('are verified again after ten minutes', () => {
    const units = new VerifiedUnits(8, stats);
    vi.advanceTimersByTime(3000);
    read(units, 0, 7);
    vi.advanceTimersByTime(596_000);
    expect(units.has(0, 7)).toBe(true);
    vi.advanceTimersByTime(2000);
    expect(units.has(0, 7)).toBe(false);
  });
});

describe.each([
  ['stored', noise(2 * PIECE), false, true],
  ['stored', noise(2 * PIECE), false, false],
  ['compressed', prose(2 * PIECE), true, true],
])('a %s extent that was read and verified (known to be on a local disk: $3)', (_, content, compress, local) => {
  const pool = new BufferPool(16 * PIECE);

  async function verified() {
    const volume = new Volume({ deadline: 20_000 });
    if (local) await volume.statfs('.');
    const path = join(tempFolder(), 'extent');
    const bytes = await encodeExtent(BINDING, SPAN, content, compress);
    writeFileSync(path, bytes);
    const file = await ExtentFile.open(volume, path, BINDING, SPAN);
    vi.advanceTimersByTime(2001);
    expect(await whole(file)).toBe(true);
    const flip = () => {
      bytes[Math.floor(UNIT / (compress ? 200 : 2))]! ^= 1;
      writeFileSync(path, bytes);
    };
    return { volume, file, flip };
  }

  async function whole(file: ExtentFile): Promise<boolean> {
    let right = true;
    for (let at = 0; at <= SPAN.end; ) {
      const read = await file.read({ start: at, end: SPAN.end }, pool);
      right &&= Buffer.concat(read.pieces).equals(content.subarray(at, at + read.length));
      at += read.length;
      read.release();
    }
    return right;
  }

  it('is right, read again and again, and asks for its attributes', async () => {
    const { volume, file } = await verified();
    const ask = vi.spyOn(volume, 'attributes');
    for (let i = 0; i < 3; i++) expect(await whole(file)).toBe(true);
    expect(ask).toHaveBeenCalled();
    file.close();
  });

  it('and then changed is found damaged at once', async () => {
    const { file, flip } = await verified();
    flip();
    await expect(whole(file)).rejects.toThrow(DamagedExtent);
    await expect(whole(file)).rejects.toThrow(DamagedExtent);
    file.close();
  });

  it('is verified where its attributes can’t be had', async () => {
    const { volume, file, flip } = await verified();
    vi.spyOn(volume, 'attributes').mockRejectedValue(new Error('EIO'));
    expect(await whole(file)).toBe(true);
    flip();
    await expect(whole(file)).rejects.toThrow(DamagedExtent);
    file.close();
  });
});

it('damage that leaves no trace in the attributes is found after ten minutes at the latest', async () => {
  const volume = new Volume({ deadline: 20_000 });
  const path = join(tempFolder(), 'extent');
  const content = noise(PIECE);
  const span = { start: 0, end: PIECE - 1 };
  const bytes = await encodeExtent(BINDING, span, content, false);
  writeFileSync(path, bytes);
  const stats = statSync(path);
  vi.spyOn(volume, 'fstat').mockResolvedValue(stats);
  vi.spyOn(volume, 'attributes').mockResolvedValue(stats);
  const file = await ExtentFile.open(volume, path, BINDING, span);
  const pool = new BufferPool(16 * PIECE);
  const read = async () => (await file.read(span, pool)).release();
  vi.advanceTimersByTime(2001);
  await read();
  bytes[1000]! ^= 1;
  writeFileSync(path, bytes);
  await read();
  vi.advanceTimersByTime(600_000);
  await expect(read()).rejects.toThrow(DamagedExtent);
  file.close();
});
