import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Span } from '../../proxy-core/request/index.ts';
import { rebindIndex } from '../../proxy-core/store/disk/extent-format.ts';
import { encodeExtent } from '../../proxy-core/store/disk/extent-writer.ts';
import { Scratch } from '../../proxy-core/store/disk/scratch.ts';
import { Extents } from '../../proxy-core/store/extents.ts';
import { EXTENT, type Head, type ObjectEntry, PIECE, type Store, UNIT } from '../../proxy-core/store/index.ts';
import { noVersion } from '../../proxy-core/store/uploads/aside.ts';
import {
  beginObject,
  extentsIn,
  headOf,
  noise,
  openStore,
  prose,
  readBack,
  startFill,
  tempFolder,
  until,
} from './helpers.ts';

const GIB = 2 ** 30;

/** An extent of a part that came to lie anywhere, as Complete puts it there. */
async function place(
  entry: ObjectEntry,
  head: Head,
  start: number,
  content: Buffer,
  compress: boolean,
): Promise<string> {
  const { hash } = entry.paths;
  const from = { start: 0, end: content.length - 1 };
  const to = { start, end: start + content.length - 1 };
  const file = await encodeExtent(noVersion(hash), from, content, compress);
  const bound = { binding: { hash, version: head.version }, span: to };
  rebindIndex(file, { binding: noVersion(hash), span: from }, bound)!.copy(
    file,
    file.length - indexLength(file, content),
  );
  const path = entry.paths.extent(head.version, head.length, to);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, file);
  return path;
}

/** The frame's own length, which stands in it, and the eight bytes before that. */
function indexLength(file: Buffer, content: Buffer): number {
  const length = 8 + 64 + Math.ceil(content.length / UNIT) * 16 + 8;
  expect(file.readUInt32LE(file.length - length + 4)).toBe(length - 8);
  return length;
}

function gap(store: Store, entry: ObjectEntry, head: Head, span: Span): number | undefined {
  return store.firstGap(entry, head, span);
}

describe('an extent that reaches from one GiB of its object into the next', () => {
  const content = noise(300_000);
  const start = GIB - 123_456;
  const [before, after] = [
    { start, end: GIB - 1 },
    { start: GIB, end: start + content.length - 1 },
  ];
  const head = headOf(3 * GIB);

  it.each([
    ['from its beginning', [before, after]],
    ['from its middle', [after, before]],
  ])('is found %s', async (_, spans) => {
    const { store } = await openStore(tempFolder());
    const entry = await beginObject(store, head);
    await place(entry, head, start, content, false);
    for (const span of spans) {
      await store.list(entry, span);
      expect(gap(store, entry, head, span)).toBeUndefined();
      expect(
        (await readBack(store, entry, head, span.start, span.end)).equals(
          content.subarray(span.start - start, span.end - start + 1),
        ),
      ).toBe(true);
    }
    expect(gap(store, entry, head, { start: after.end, end: after.end + 1 })).toBe(after.end + 1);
    expect(store.gapEnd(entry, head, start - 10, start + 10)).toBe(start - 1);
  });

  it('is known on both sides as soon as it has its place, and on neither when it is found damaged', async () => {
    const folder = tempFolder();
    const { store, counters } = await openStore(folder);
    const entry = await beginObject(store, head);
    await store.list(entry, before);
    await store.list(entry, after);
    const path = await place(entry, head, start, content, false);
    const { volume } = store;
    const modes = { file: 0o600, folder: 0o700 };
    const scratch = new Scratch({ volume, cacheDir: folder, instance: () => 'test', modes, onBytes: () => {} });
    new Extents({ scratch, alone: () => true }).add(entry, head, { start, end: after.end, path });
    for (const span of [before, after]) expect(gap(store, entry, head, span)).toBeUndefined();
    const damaged = readFileSync(path);
    damaged[damaged.length - 20]! ^= 1;
    writeFileSync(path, damaged);
    expect(await store.read(entry, head, after, { ram: false })).toBeUndefined();
    for (const span of [before, after]) expect(gap(store, entry, head, span)).toBe(span.start);
    expect(counters.disk_corrupt).toBe(1);
    await until(() => !existsSync(path));
  });
});

describe('an extent whose units lie across the cells of the RAM tier', () => {
  it.each([
    ['stored', false],
    ['compressed', true],
  ])('(%s) gives it the whole cells of what is read', async (_, compress) => {
    const { store } = await openStore(tempFolder(), { ramEnabled: true });
    const content = compress ? prose(PIECE) : noise(PIECE);
    const head = headOf(20 << 20);
    const entry = await beginObject(store, head);
    const start = 5_000_000;
    await place(entry, head, start, content, compress);
    const span = { start, end: start + content.length - 1 };
    await store.list(entry, span);
    for (let at = start; at <= span.end; ) {
      const read = (await store.read(entry, head, { start: at, end: span.end }, { ram: true }))!;
      at += read.length;
      read.release();
    }
    const first = Math.ceil(start / UNIT);
    for (let cell = first; (cell + 1) * UNIT <= span.end; cell++) {
      const [from, to] = [cell * UNIT - start, (cell + 1) * UNIT - start];
      expect(store.cell(entry, head, cell)?.bytes.equals(content.subarray(from, to)), `cell ${cell}`).toBe(true);
    }
    expect(store.cell(entry, head, first - 1)).toBeUndefined();
  });
});

describe('a version of which something was read, and that is uploaded again in parts of odd sizes, is stored once', () => {
  const content = noise(12 << 20);
  const head = headOf(content.length);
  const parts = [0, 5_000_001, 10_000_002].map((start, i, starts) => ({
    start,
    end: (starts[i + 1] ?? content.length) - 1,
  }));

  async function uploaded(store: Store, folder: string, entry: ObjectEntry): Promise<void> {
    const placed = [];
    for (const part of parts)
      placed.push({ ...part, path: await place(entry, head, part.start, contentOf(part), false) });
    const modes = { file: 0o600, folder: 0o700 };
    const scratch = new Scratch({
      volume: store.volume,
      cacheDir: folder,
      instance: () => 'test',
      modes,
      onBytes: () => {},
    });
    await new Extents({ scratch, alone: () => true }).addOver(entry, head, placed);
  }

  function contentOf({ start, end }: Span): Buffer {
    return content.subarray(start, end + 1);
  }

  async function read(store: Store, entry: ObjectEntry, span: Span): Promise<() => Promise<void>> {
    const { send, end } = startFill(store, entry, head, { span });
    await send(contentOf(span));
    return end;
  }

  const reads: Span[] = [
    { start: 0, end: content.length - 1 },
    { start: 0, end: EXTENT - 1 },
    { start: 4_000_000, end: 6_000_000 },
    { start: 9_000_000, end: 11_000_000 },
  ];

  it.each(reads.flatMap(span => [[span, 'before'] as const, [span, 'at the same time'] as const]))(
    'read: $start to $end, %s',
    async (span, when) => {
      const folder = tempFolder();
      const { store } = await openStore(folder);
      const entry = await beginObject(store, head);
      const end = await read(store, entry, span);
      if (when === 'before') await end();
      await uploaded(store, folder, entry);
      await end();
      await until(() => extentsIn(folder).length === parts.length);
      expect(extentsIn(folder)).toEqual(parts.map(({ start, end }) => `${start}-${end}`));
      expect((await readBack(store, entry, head, 0, content.length - 1)).equals(content)).toBe(true);
    },
  );
});
