import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { Volume } from '../../proxy-core/store/disk/volume.ts';
import { address, afterTest, diskUsage, headOf, keepLarge, noise, openStore, tempFolder, until } from './helpers.ts';

const MIB = 1 << 20;

/** No count comes to the objects, though it has seen much, until this is called. */
function holdUpCounts(): () => void {
  let go = () => {};
  const held = new Promise<void>(resolve => {
    go = resolve;
  });
  const stat = Volume.prototype.stat;
  const spy = vi.spyOn(Volume.prototype, 'stat').mockImplementation(async function (this: Volume, path) {
    if (path.endsWith('/buckets')) await held;
    return stat.call(this, path);
  });
  afterTest(() => {
    go();
    spy.mockRestore();
  });
  return go;
}

it('while a folder whose size nobody knows is counted, which takes long, uploads don’t wait, and what was there goes for what is read', async () => {
  const folder = tempFolder();
  const first = await openStore(folder);
  const keep = async (store: typeof first.store, key: string, content: Buffer) => {
    const [entry, head] = [await store.catalog.look(address(key)), headOf(content.length)];
    await keepLarge(store, entry, head, content);
    return store.firstGap(entry, head, { start: 0, end: head.length - 1 }) === undefined;
  };
  for (let i = 0; i < 12; i++) expect(await keep(first.store, `old-${i}`, noise(MIB, i))).toBe(true);
  await first.close();
  for (const name of ['instances', 'ended']) rmSync(join(folder, name), { recursive: true, force: true });
  const many = join(folder, 'uploads', 'many');
  mkdirSync(many, { recursive: true });
  for (let i = 0; i < 600; i++) writeFileSync(join(many, `${i}`), '');

  const goOn = holdUpCounts();
  const buckets = join(folder, 'buckets');
  const before = diskUsage(buckets);
  const { store } = await openStore(folder, { maxDiskBytes: before, algorithm: 'lru' });
  await until(() => !store.takesFills, 2000);
  expect(store.capacity.uploads.takes(MIB)).toBe(false);
  await until(() => store.takesFills, 10_000);
  for (let i = 0; i < 3; i++) {
    expect(await keep(store, `new-${i}`, noise(MIB, 20 + i))).toBe(true);
    expect(diskUsage(buckets)).toBeLessThanOrEqual(before);
  }
  expect(store.capacity.uploads.takes(MIB)).toBe(false);

  goOn();
  await until(() => store.capacity.counted);
  expect(store.capacity.uploads.takes(MIB)).toBe(true);
  expect(store.capacity.bytes).toBe(diskUsage(buckets) + diskUsage(join(folder, 'uploads')));
}, 30_000);
