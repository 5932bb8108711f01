import { linkSync, mkdirSync, statfsSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { Capacity } from '../../proxy-core/store/disk/capacity.ts';
import { Census, type Counted } from '../../proxy-core/store/disk/census.ts';
import { Volume } from '../../proxy-core/store/disk/volume.ts';
import { Unread } from '../../proxy-core/store/uploads/unread.ts';
import {
  address,
  afterTest,
  byItself,
  filesIn,
  fillWhole,
  headOf,
  noise,
  openStore,
  tempFolder,
  until,
} from './helpers.ts';

const MIB = 1 << 20;

/** A capacity on a folder of plain files, and what it says is wrong. */
function capacityOf(folder: string, maxBytes: number, freeBytes = 0) {
  const volume = new Volume({ deadline: 5000 });
  const said: (string | undefined)[] = [];
  const capacity: Capacity = new Capacity({
    volume,
    cacheDir: folder,
    instance: byItself(() => capacity),
    maxBytes,
    minFree: { bytes: freeBytes },
    uploadPercent: 10,
    pinPercent: 50,
    putTtl: () => 0,
    patience: 1000,
    now: Date.now,
    remove: async path => {
      const { blocks } = statSync(path);
      await volume.unlink(path);
      capacity.add(-blocks * 512, path);
    },
    removeFolder: async path => {
      const { blocks } = statSync(path);
      await volume.rmdir(path);
      capacity.add(-blocks * 512, path);
    },
    onProblem: message => said.push(message),
  });
  afterTest(() => capacity.stop());
  return { capacity, said };
}

function fileIn(folder: string, name: string, size: number): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, name), noise(size));
}

describe('a search for something to remove that is in vain', () => {
  it('because the volume is too full, and the cache is empty already, is not said to be for records of writes', async () => {
    const folder = tempFolder();
    fileIn(join(folder, 'buckets', 'data'), '_settings.json', 100);
    const { bavail, bsize } = statfsSync(folder);
    const { capacity, said } = capacityOf(folder, 100 * MIB, bavail * bsize + 2 ** 30);
    const census = vi.spyOn(Census.prototype, 'take');
    afterTest(() => census.mockRestore());
    capacity.start();
    // The first counts; the second is asked why there is nothing to remove.
    await until(() => census.mock.calls.length === 2);
    await capacity.settled();
    expect(said).toEqual([expect.stringContaining('cache.min_free_space')]);
  });

  it('because of folders and settings of buckets says so', async () => {
    const folder = tempFolder();
    for (let i = 0; i < 40; i++) fileIn(join(folder, 'buckets', `b${i}`), '_settings.json', 100);
    const { capacity, said } = capacityOf(folder, 40 * 8192 - 1);
    capacity.start();
    await until(() => said.length > 0);
    expect(said).toEqual([expect.stringContaining('folders and settings of buckets')]);
    expect(filesIn(join(folder, 'buckets'))).toHaveLength(40);
  });

  it('because of bad luck goes on', async () => {
    const folder = tempFolder();
    const hash = 'ab'.repeat(32);
    const leaf = join(folder, 'buckets', 'only', 'ab', 'aba');
    for (let i = 0; i < 16; i++) fileIn(leaf, `${hash}.${i}.0-65535`, 65_536);
    for (let i = 0; i < 300; i++) fileIn(join(folder, 'buckets', `b${i}`), '_settings.json', 1);
    const settings = 300 * 8192;
    const { capacity, said } = capacityOf(folder, settings + 8 * 65_536);
    capacity.start();
    await until(() => filesIn(leaf).length < 9);
    await capacity.settled();
    expect(said.filter(message => message !== undefined)).toEqual([]);
  });

  it('because too much was counted is judged by a census that began after it, and nothing is said', async () => {
    const nothing: Counted = { total: 0, staged: 0, removable: 0, records: 0, unread: 0 };
    const answers: ((counted: Counted) => void)[] = [];
    const census = vi.spyOn(Census.prototype, 'take').mockImplementation(
      () =>
        new Promise(resolve => {
          answers.push(resolve);
        }),
    );
    afterTest(() => census.mockRestore());
    const folder = tempFolder();
    const { capacity, said } = capacityOf(folder, MIB);
    capacity.start();
    await until(() => answers.length === 1);
    const listed = vi.spyOn(Volume.prototype, 'readdir');
    afterTest(() => listed.mockRestore());
    capacity.add(2 * MIB, join(folder, 'buckets', 'gone'));
    await until(() => listed.mock.calls.length >= 20 * 12);
    answers[0]!(nothing);
    await until(() => answers.length === 2);
    expect(capacity.bytes).toBe(2 * MIB);
    answers[1]!(nothing);
    await capacity.settled();
    expect(capacity.bytes).toBe(0);
    expect(said).toEqual([]);
    expect(answers).toHaveLength(2);
  });
});

describe('a census', () => {
  it('leaves out what was linked into place since it began, however long ago it was written', async () => {
    const folder = tempFolder();
    const place = join(folder, 'buckets', 'data', 'ab', 'aba');
    const hash = 'ab'.repeat(32);
    fileIn(place, `${hash}.v.0-9`, 10);
    fileIn(join(folder, 'tmp'), 'aside', MIB);
    const hourAgo = new Date(Date.now() - 3_600_000);
    utimesSync(join(folder, 'tmp', 'aside'), hourAgo, hourAgo);
    const volume = new Volume({ deadline: 5000 });
    const census = new Census({ volume, cacheDir: folder, unread: new Unread() });
    await volume.run(done => setTimeout(() => done(null), 20));
    const began = Date.now();
    await volume.run(done => setTimeout(() => done(null), 20));
    linkSync(join(folder, 'tmp', 'aside'), join(place, `${hash}.v.10-1048585`));
    const counted = await census.take(began);
    expect(counted).toMatchObject({ staged: 0, removable: 4096, records: 0 });
    expect(counted!.total).toBeLessThan(MIB);
  });

  it('counts parts of multipart uploads, and tells them apart', async () => {
    const folder = tempFolder();
    fileIn(join(folder, 'uploads', 'one'), '1-x.0-99', 100);
    const { store } = await openStore(folder);
    await store.capacity.settled();
    const entry = await store.catalog.look(address('key'));
    const head = headOf(MIB);
    store.adopt(entry, head, { validatedAt: store.now(), epoch: '' });
    await fillWhole(store, entry, head, noise(MIB));
    const volume = new Volume({ deadline: 5000 });
    const census = new Census({ volume, cacheDir: folder, unread: new Unread() });
    const counted = await census.take(Date.now() + 1000);
    expect(counted).toEqual({
      total: store.capacity.bytes,
      staged: 3 * 4096,
      removable: MIB + 4096,
      records: 0,
      unread: 0,
    });
  });
});
