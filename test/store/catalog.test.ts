import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import type { ObjectEntry } from '../../proxy-core/store/index.ts';
import { fresh, isEpoch, keep, TTL } from './heads.ts';
import { address, filesIn, headOf, hold, openStore, tempFolder, until } from './helpers.ts';

const OBJECT = address('key');

describe('a head', () => {
  it('is found by another process and after a restart, with its stamp', async () => {
    const folder = tempFolder();
    const first = await openStore(folder);
    const head = headOf(5, '"e"', ['x-amz-meta-name', Buffer.from('ü', 'utf8').toString('latin1')]);
    await keep(first.store, await first.store.catalog.look(OBJECT), head, 1_700_000_000_000);
    const second = await openStore(folder);
    expect(await second.store.catalog.look(OBJECT)).toMatchObject({
      head,
      validatedAt: 1_700_000_000_000,
      headEpoch: '',
    });
    await Promise.all([first.close(), second.close()]);
    const third = await openStore(folder);
    expect(await third.store.catalog.look(OBJECT)).toMatchObject({ head, validatedAt: 1_700_000_000_000 });
  });

  it.each([
    ['version', headOf(6, '"new"')],
    ['fields', headOf(5, '"e"', ['x-amz-tagging-count', '2'])],
  ])(
    'with another %s that is not on the volume, for whatever reason, is not undone by the older one there',
    async (_, newer) => {
      const folder = tempFolder();
      const { store, close } = await openStore(folder);
      const other = await openStore(folder);
      const entry = await store.catalog.look(OBJECT);
      await keep(store, entry, headOf(5, '"e"'), store.now() - 5000);
      expect(fresh(other.store, await other.store.catalog.look(OBJECT))).toBe(true);
      store.adopt(entry, newer, { validatedAt: store.now(), epoch: entry.epoch });
      await until(() => !store.catalog.recent(OBJECT));
      await store.catalog.look(OBJECT);
      expect(entry.head).toEqual(newer);
      expect(fresh(store, entry)).toBe(true);
      // Who has not heard of it must ask, and not for the bytes alone.
      await until(async () => !fresh(other.store, await other.store.catalog.look(OBJECT)));
      const theirs = await other.store.catalog.look(OBJECT);
      expect(theirs.headEpoch).not.toBe(theirs.epoch);
      await close();
      const later = await openStore(folder);
      expect(fresh(later.store, await later.store.catalog.look(OBJECT))).toBe(false);
    },
  );

  it('that never came to the volume stays in memory, and one that is gone from there doesn’t', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    await openStore(folder);
    const entry = await store.catalog.look(OBJECT);
    store.adopt(entry, headOf(5), { validatedAt: store.now(), epoch: entry.epoch });
    await until(() => !store.catalog.recent(OBJECT));
    await store.catalog.look(OBJECT);
    expect(fresh(store, entry)).toBe(true);
    await keep(store, entry, headOf(5));
    rmSync(entry.paths.head);
    await until(() => !store.catalog.recent(OBJECT));
    await store.catalog.look(OBJECT);
    expect(entry.head).toBeUndefined();
  });

  it('in memory gives way to the one of another process that asked S3 later', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const other = await openStore(folder);
    const entry = await store.catalog.look(OBJECT);
    const theirs = await other.store.catalog.look(OBJECT);
    await keep(store, entry, headOf(5, '"e"'), store.now() - 5000);
    await keep(other.store, theirs, headOf(6, '"new"'), store.now() - 2000);
    await until(() => !store.catalog.recent(OBJECT));
    await store.catalog.look(OBJECT);
    expect(entry.head?.length).toBe(6);
  });

  it('is not vouched for in place of a newer one of the same version that is on its way', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const entry = await store.catalog.look(OBJECT);
    const sent = store.now() - 5000;
    await keep(store, entry, headOf(5, '"e"', ['x-amz-tagging-count', '1']), sent);
    const newer = headOf(5, '"e"', ['x-amz-tagging-count', '2']);
    const renames = hold(store, 'rename', path => path.endsWith('.head'));
    const keeping = keep(store, entry, newer, sent + 1000);
    await until(() => renames.length > 0);
    store.catalog.touch(entry, sent + 2000, '', TTL);
    const second = await openStore(folder);
    expect(await second.store.catalog.look(OBJECT)).toMatchObject({ validatedAt: 0 });
    renames[0]!.go();
    await keeping;
    await until(() => readFileSync(entry.paths.head, 'latin1').includes(String(sent + 2000)));
    const third = await openStore(folder);
    expect(await third.store.catalog.look(OBJECT)).toMatchObject({ head: newer, validatedAt: sent + 2000 });
  });

  it('is not vouched for in place of a newer one that the disk has refused', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const entry = await store.catalog.look(OBJECT);
    const sent = store.now() - 5000;
    const older = headOf(5, '"e"', ['x-amz-tagging-count', '1']);
    await keep(store, entry, older, sent);
    const refusing = vi.spyOn(store.volume, 'rename').mockRejectedValue(new Error('refused'));
    await keep(store, entry, headOf(5, '"e"', ['x-amz-tagging-count', '2']), sent + 1000);
    refusing.mockRestore();
    store.catalog.touch(entry, sent + 2000, '', TTL);
    store.catalog.distrust(entry);
    await until(() => readFileSync(entry.paths.head, 'latin1').startsWith(`cistern1 ${'0'.repeat(24)}`));
    const second = await openStore(folder);
    expect(await second.store.catalog.look(OBJECT)).toMatchObject({ head: older, validatedAt: 0 });
  });

  it('is not vouched for in place of a newer one for which there was no room', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const entry = await store.catalog.look(OBJECT);
    const sent = store.now() - 5000;
    await keep(store, entry, headOf(5, '"e"', ['x-amz-tagging-count', '1']), sent);
    const refusing = vi.spyOn(store.capacity, 'reserve').mockResolvedValue(false);
    await keep(store, entry, headOf(5, '"e"', ['x-amz-tagging-count', '2']), sent + 1000);
    refusing.mockRestore();
    store.catalog.touch(entry, sent + 2000, '', TTL);
    await store.volume.drained();
    const second = await openStore(folder);
    expect(await second.store.catalog.look(OBJECT)).toMatchObject({ validatedAt: 0 });
  });

  it('that a look did not find, is not fresh in place of a newer one that never came to the volume', async () => {
    const folder = tempFolder();
    const first = await openStore(folder);
    await keep(first.store, await first.store.catalog.look(OBJECT), headOf(5, '"old"'));
    await first.close();
    const { store, close } = await openStore(folder);
    const unread = vi.spyOn(store.volume, 'readFile').mockRejectedValue(new Error('unread'));
    const entry = await store.catalog.look(OBJECT);
    unread.mockRestore();
    store.adopt(entry, headOf(6, '"new"'), { validatedAt: store.now(), epoch: entry.epoch });
    entry.lookedAt = performance.now() - 2000;
    await openStore(folder);
    await until(() => !store.catalog.recent(OBJECT));
    await store.catalog.look(OBJECT);
    expect(entry.head?.length).toBe(6);
    await store.volume.drained();
    await close();
    const later = await openStore(folder);
    expect(fresh(later.store, await later.store.catalog.look(OBJECT))).toBe(false);
  });

  it.each([
    ['a process that was told', (_: ObjectEntry) => {}],
    [
      'one that was not, but has not looked for so long',
      (entry: ObjectEntry) => {
        entry.lookedAt = performance.now() - 16 * 60_000;
      },
    ],
  ])('in memory only is not fresh after a write whose epoch has come and gone: %s', async (_, wait) => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const other = await openStore(folder);
    const entry = await store.catalog.look(OBJECT);
    store.adopt(entry, headOf(5), { validatedAt: store.now(), epoch: entry.epoch });
    await other.store.moveOn([OBJECT]);
    // As eviction does when it is old enough, and has no head.
    rmSync(entry.paths.epoch);
    wait(entry);
    await store.catalog.look(OBJECT);
    expect(fresh(store, entry)).toBe(false);
  });

  it('is not fresh after another process’s write to who looks while the next one is told of', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const other = await openStore(folder);
    const entry = await store.catalog.look(OBJECT);
    await keep(store, entry, headOf(5));
    await other.store.moveOn([OBJECT]);
    const reads = hold(store, 'readFile', isEpoch);
    const looking = store.catalog.look(OBJECT);
    await until(() => reads.length === 1);
    await other.store.moveOn([OBJECT]);
    reads[0]!.go();
    await looking;
    expect(fresh(store, entry)).toBe(false);
    expect(store.catalog.recent(OBJECT)).toBeUndefined();
  });

  it('is not fresh after another process’s write to who looks while an answer of before it comes', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const other = await openStore(folder);
    const entry = await store.catalog.look(OBJECT);
    const stamp = { validatedAt: store.now(), epoch: entry.epoch };
    await keep(store, entry, headOf(5));
    await other.store.moveOn([OBJECT]);
    store.adopt(entry, headOf(5), stamp);
    expect(store.catalog.recent(OBJECT)).toBeUndefined();
    const reads = hold(store, 'readFile', isEpoch);
    const looking = store.catalog.look(OBJECT);
    await until(() => reads.length === 1);
    store.adopt(entry, headOf(5), stamp);
    reads[0]!.go();
    await looking;
    expect(fresh(store, entry)).toBe(false);
  });

  it('is looked at anew a second after S3 was asked, however late it answered', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    await openStore(folder);
    const entry = await store.catalog.look(OBJECT);
    entry.lookedAt = performance.now() - 3000;
    store.adopt(entry, headOf(5), { validatedAt: store.now() - 3000, epoch: entry.epoch });
    expect(store.catalog.recent(OBJECT)).toBeUndefined();
    store.adopt(entry, headOf(5), { validatedAt: store.now(), epoch: entry.epoch });
    expect(store.catalog.recent(OBJECT)).toBe(entry);
  });

  it('has its stamp overwritten in place when S3 vouches for it again, and others see that', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const entry = await store.catalog.look(OBJECT);
    await keep(store, entry, headOf(5), 1_700_000_000_000);
    const size = readFileSync(entry.paths.head).length;
    store.catalog.touch(entry, 1_700_000_060_000, '', TTL);
    const other = await openStore(folder);
    await until(async () => (await other.store.catalog.look(OBJECT)).validatedAt === 1_700_000_060_000);
    expect(readFileSync(entry.paths.head).length).toBe(size);
  });

  it('is not vouched for on disk at a ttl of 0', async () => {
    const { store } = await openStore(tempFolder());
    const entry = await store.catalog.look(OBJECT);
    await keep(store, entry, headOf(5), 1_700_000_000_000);
    const overwrite = vi.spyOn(store.volume, 'write');
    store.catalog.touch(entry, 1_700_000_060_000, '', 0);
    expect(entry.validatedAt).toBe(1_700_000_060_000);
    await store.volume.drained();
    expect(overwrite).not.toHaveBeenCalled();
  });

  it('that another process has replaced is not vouched for by a stamp of the old one', async () => {
    const folder = tempFolder();
    const [first, second] = [await openStore(folder), await openStore(folder)];
    const mine = await first.store.catalog.look(OBJECT);
    await keep(first.store, mine, headOf(5, '"old"'), 1_700_000_000_000);
    const theirs = await second.store.catalog.look(OBJECT);
    await keep(second.store, theirs, headOf(6, '"new"'), 1_700_000_000_000);
    first.store.catalog.touch(mine, 1_700_000_900_000, '', TTL);
    await until(() => readFileSync(mine.paths.head, 'latin1').includes('1700000900000'));
    const third = await openStore(folder);
    expect(await third.store.catalog.look(OBJECT)).toMatchObject({
      head: { etag: '"new"' },
      validatedAt: 0,
      headEpoch: '!',
    });
  });

  it('that is no longer the current one when it would be written is not written', async () => {
    const { store } = await openStore(tempFolder());
    const entry = await store.catalog.look(OBJECT);
    const [old, current] = [headOf(5, '"old"'), headOf(6, '"new"')];
    store.adopt(entry, old, { validatedAt: 1, epoch: '' });
    await keep(store, entry, current);
    await store.keepHead(entry, old, { validatedAt: 1, epoch: '' });
    expect(readFileSync(entry.paths.head, 'latin1')).toContain('\\"new\\"');
  });

  it('that is damaged is a miss, and removed', async () => {
    const folder = tempFolder();
    const first = await openStore(folder);
    const entry = await first.store.catalog.look(OBJECT);
    await keep(first.store, entry, headOf(5));
    const bytes = readFileSync(entry.paths.head);
    bytes[120]! ^= 1;
    writeFileSync(entry.paths.head, bytes);
    const { store, counters } = await openStore(folder);
    expect((await store.catalog.look(OBJECT)).head).toBeUndefined();
    expect(counters.disk_corrupt).toBe(1);
    await until(() => filesIn(join(folder, 'buckets')).length === 0);
  });
});
