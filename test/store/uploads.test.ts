import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EXTENT, PIECE, SMALL } from '../../proxy-core/store/index.ts';
import { describeWith, requireTool } from '../tools/index.ts';
import { diskUsage, extentsIn, filesIn, halfWrittenIn, noise, openStore, prose, tempFolder, until } from './helpers.ts';
import { give, keep, OBJECT, upload, writtenHead } from './uploads.ts';

const SIZES = [0, 1, 1000, SMALL - 1, SMALL, SMALL + 1, PIECE + 1, EXTENT - 1, EXTENT, EXTENT + 1, 20 << 20];

describe('the content of an upload', () => {
  it.each(
    SIZES.flatMap(
      size =>
        [
          [size, true, 'shrinks'],
          [size, true, 'does not shrink'],
          [size, false, 'shrinks'],
          [size, false, 'does not shrink'],
        ] as const,
    ),
  )(
    'of %i bytes (length known: %s; it %s) is read back as it was, in this process and after a restart',
    async (size, known, kind) => {
      const folder = tempFolder();
      const first = await openStore(folder);
      const content = kind === 'shrinks' ? prose(size) : noise(size);
      const head = writtenHead(size);
      await upload(first.store, head, content, { known, compression: 'try' });
      expect(first.store.pool.bytesOut).toBe(0);
      expect((await give(first.store, 0, size - 1))?.equals(content)).toBe(true);
      const entry = await first.store.catalog.look(OBJECT);
      if (size > 0) expect(first.store.firstGap(entry, head, { start: 0, end: size - 1 })).toBeUndefined();
      await until(() => halfWrittenIn(folder).length === 0);
      await first.close();
      const { store } = await openStore(folder);
      expect((await store.catalog.look(OBJECT)).head).toEqual(head);
      expect((await give(store, 0, size - 1))?.equals(content)).toBe(true);
      const [from, to] = [Math.floor(size / 3), Math.max(0, Math.floor((2 * size) / 3) - 1)];
      if (size > 2) expect((await give(store, from, to))?.equals(content.subarray(from, to + 1))).toBe(true);
    },
  );
});

describe('an upload', () => {
  it('is a candidate: its head is of no epoch, and of no time at which S3 vouched for it', async () => {
    const { store } = await openStore(tempFolder());
    await upload(store, writtenHead(5), noise(5));
    const entry = await store.catalog.look(OBJECT);
    expect(entry.head?.written).toBe(writtenHead(5).written);
    expect([entry.headEpoch, entry.validatedAt]).toEqual(['', 0]);
    expect(entry.epoch).toMatch(/^[0-9a-f]{32}$/);
  });

  it.each([0, 1, SMALL])('of %i bytes touches the disk for nothing but its epoch and its head', async size => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const kept = await keep(store, noise(size), { length: size });
    expect([kept.files, kept.small?.length]).toEqual([[], size]);
    expect(filesIn(join(folder, 'buckets'))).toEqual([]);
    expect(halfWrittenIn(folder)).toEqual([]);
    await Promise.all([
      store.moveOn([OBJECT]),
      store.publishUpload(OBJECT, writtenHead(size), kept, { ram: false, compress: false }),
    ]);
    expect(filesIn(join(folder, 'buckets')).map(path => extname(path))).toEqual(['.epoch', '.head']);
  });

  it.each([SMALL + 1, 2 * EXTENT, 20 << 20])(
    'of %i bytes is kept in extents of 8 MiB, of which no byte is written again',
    async size => {
      const folder = tempFolder();
      const { store } = await openStore(folder);
      const kept = await keep(store, noise(size), { length: size });
      expect(kept.small).toBeUndefined();
      const inodes = (paths: readonly string[]) => paths.map(path => statSync(path).ino).sort();
      const before = inodes(kept.files.map(({ path }) => path));
      expect(before).toHaveLength(Math.ceil(size / EXTENT));
      await store.publishUpload(OBJECT, writtenHead(size), kept, { ram: false, compress: false });
      expect(inodes(extentPaths(folder))).toEqual(before);
      expect(extentsIn(folder).at(-1)).toBe(`${Math.floor((size - 1) / EXTENT) * EXTENT}-${size - 1}`);
    },
  );

  it('that is small is in RAM, too, where that is asked for', async () => {
    const { store } = await openStore(tempFolder(), { ramEnabled: true });
    const content = noise(1000);
    await upload(store, writtenHead(1000), content, { ram: true, known: false });
    const entry = await store.catalog.look(OBJECT);
    expect(store.cell(entry, entry.head!, 0)?.bytes.equals(content)).toBe(true);
    expect(store.ramBytes).toBeLessThan(2000);
  });

  it('takes the place of what was kept of the version before, whose files go', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    await upload(store, writtenHead(10 << 20, '"one"'), noise(10 << 20));
    await upload(store, writtenHead(9 << 20, '"two"'), noise(9 << 20, 2));
    await until(() => extentsIn(folder).length === 2);
    await upload(store, writtenHead(1000, '"three"'), noise(1000, 3));
    await until(() => filesIn(join(folder, 'buckets')).length === 2);
    expect((await give(store, 0, 999))?.equals(noise(1000, 3))).toBe(true);
  });

  it('takes the place of one that this process has not heard of', async () => {
    const folder = tempFolder();
    const first = await openStore(folder);
    await upload(first.store, writtenHead(10 << 20, '"one"'), noise(10 << 20));
    await first.close();
    const { store } = await openStore(folder);
    await upload(store, writtenHead(1000, '"two"'), noise(1000, 2));
    await until(() => filesIn(join(folder, 'buckets')).length === 2);
    expect((await give(store, 0, 999))?.equals(noise(1000, 2))).toBe(true);
  });

  it('counts as what it takes on the disk, aside and in its place', async () => {
    const folder = tempFolder();
    const limit = 40 << 20;
    const { store } = await openStore(folder, { maxDiskBytes: limit, uploadPercent: 100 });
    await store.capacity.settled();
    const free = async (bytes: number) => {
      const room = await store.capacity.reserve(bytes);
      if (room) store.capacity.release(bytes);
      return room;
    };
    const size = 20 << 20;
    const kept = await keep(store, noise(size), { length: size });
    expect(await free(limit - size - (256 << 10))).toBe(true);
    expect(store.capacity.bytes).toBeLessThan(PIECE);
    await store.moveOn([OBJECT]);
    await store.publishUpload(OBJECT, writtenHead(size), kept, { ram: false, compress: false });
    await until(() => halfWrittenIn(folder).length === 0);
    expect(Math.abs(store.capacity.bytes - diskUsage(join(folder, 'buckets')))).toBeLessThan(64 << 10);
    expect(await free(limit - size - (256 << 10))).toBe(true);
  });
});

describeWith('lz4', 'the lz4 command', () => {
  it('turns what an upload left into its content', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    for (const content of [prose(EXTENT + 12_345), noise(EXTENT + 12_345)]) {
      await upload(store, writtenHead(content.length, `"${content[0]}"`), content, { compression: 'try' });
      await until(() => extentPaths(folder).length === 2);
      const parts = extentPaths(folder).map((path, i) => {
        const [packed, plain] = [join(folder, `${i}.lz4`), join(folder, `${i}.plain`)];
        copyFileSync(path, packed);
        execFileSync(requireTool('lz4'), ['-d', '-f', '-q', packed, plain]);
        return readFileSync(plain);
      });
      expect(Buffer.concat(parts).equals(content)).toBe(true);
    }
  });
});

/** Files of extents below a cache folder, in order. */
function extentPaths(folder: string): string[] {
  const startOf = (path: string) => Number(/(\d+)-\d+$/.exec(path)?.[1]);
  return filesIn(join(folder, 'buckets'))
    .filter(path => /\/([0-9a-f]+\.[0-9a-f]+\.)?\d+-\d+$/.test(path))
    .sort((a, b) => startOf(a) - startOf(b));
}
