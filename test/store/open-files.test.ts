import { readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { BufferPool, PIECE } from '../../proxy-core/store/buffer-pool.ts';
import { encodeExtent } from '../../proxy-core/store/disk/extent-writer.ts';
import { OpenFiles } from '../../proxy-core/store/disk/open-files.ts';
import { Volume } from '../../proxy-core/store/disk/volume.ts';
import { address, afterTest, headOf, keepLarge, noise, openStore, tempFolder, until } from './helpers.ts';

const BINDING = { hash: 'ab'.repeat(32), version: 'cd'.repeat(16) };

async function prepare(count: number) {
  const folder = tempFolder();
  const span = { start: 0, end: 999 };
  const content = noise(1000);
  const bytes = await encodeExtent(BINDING, span, content, false);
  const extents = Array.from({ length: count }, (_, i) => ({ ...span, path: join(folder, `extent-${i}`) }));
  for (const { path } of extents) writeFileSync(path, bytes);
  const volume = new Volume({ deadline: 5000 });
  const files = new OpenFiles(volume);
  afterTest(() => files.close());
  const open = () => openIn(folder).length;
  return { folder, extents, volume, files, content, open };
}

function openIn(folder: string): string[] {
  return readdirSync('/proc/self/fd').filter(fd => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(folder);
    } catch {
      return false;
    }
  });
}

describe.runIf(process.platform === 'linux')('open extents', () => {
  it('are opened once for all who ask at the same time, and kept open', async () => {
    const { extents, volume, files } = await prepare(1);
    const opens = vi.spyOn(volume, 'open');
    const opened = await Promise.all([0, 1, 2].map(() => files.open(extents[0]!, BINDING)));
    expect(new Set(opened).size).toBe(1);
    expect(files.get(extents[0]!)).toBe(opened[0]);
    expect(opens).toHaveBeenCalledTimes(1);
  });

  it('are closed, the least recently used first, when there are too many', async () => {
    const { extents, files, open } = await prepare(300);
    for (const extent of extents) await files.open(extent, BINDING);
    await until(() => open() === 256);
    expect(files.get(extents[0]!)).toBeUndefined();
    expect(files.get(extents[299]!)).toBeDefined();
  });

  it('are closed when they are idle, so that what was removed gives its space back', async () => {
    const { extents, files, open } = await prepare(2);
    for (const extent of extents) await files.open(extent, BINDING);
    const [real, began] = [performance.now.bind(performance), performance.now()];
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => real() + 10_000);
    afterTest(() => clock.mockRestore());
    files.get(extents[0]!);
    // lru-cache looks at the clock once a millisecond.
    await new Promise(resolve => setTimeout(resolve, 5));
    clock.mockImplementation(() => began + 16_000);
    await files.purge();
    clock.mockRestore();
    await until(() => open() === 1);
    files.close();
    await until(() => open() === 0);
  });

  it('are closed when another process has removed them, though they are in use', async () => {
    const { extents, files, open } = await prepare(2);
    for (const extent of extents) await files.open(extent, BINDING);
    rmSync(extents[0]!.path);
    await files.purge();
    expect(files.get(extents[0]!)).toBeUndefined();
    expect(files.get(extents[1]!)).toBeDefined();
    await until(() => open() === 1);
  });

  it('are closed when this process removes them, as an object has been overwritten', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const size = 1 << 20;
    const entry = await store.catalog.look(address('k'));
    const head = headOf(size);
    await keepLarge(store, entry, head, noise(size));
    const read = await store.read(entry, head, { start: 0, end: size - 1 }, { ram: false });
    read!.release();
    expect(openIn(join(folder, 'buckets'))).toHaveLength(1);
    store.adopt(entry, headOf(size + 1), { validatedAt: store.now(), epoch: entry.epoch });
    await until(() => openIn(join(folder, 'buckets')).length === 0);
  });

  it('that fail to open are tried again by the next who asks, and leave nothing open', async () => {
    const { extents, files, content, open } = await prepare(1);
    const [extent] = extents;
    await expect(files.open(extent!, { ...BINDING, version: 'ff'.repeat(16) })).rejects.toThrow('bad index');
    await until(() => open() === 0);
    const file = await files.open(extent!, BINDING);
    const read = await file.read({ start: 0, end: 999 }, new BufferPool(4 * PIECE));
    expect(Buffer.concat(read.pieces).equals(content)).toBe(true);
  });

  it('that are forgotten are opened anew', async () => {
    const { extents, files } = await prepare(1);
    await files.open(extents[0]!, BINDING);
    files.forget(extents[0]!.path);
    rmSync(extents[0]!.path);
    expect(files.get(extents[0]!)).toBeUndefined();
    await expect(files.open(extents[0]!, BINDING)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
