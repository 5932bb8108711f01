import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { EXTENT, type Head, type ObjectEntry, type Store } from '../../proxy-core/store/index.ts';
import { verdict } from '../../proxy-core/store/uploads/publisher.ts';
import {
  address,
  extentsIn,
  filesIn,
  fillWhole,
  halfWrittenIn,
  headOf,
  noise,
  openStore,
  startFill,
  tempFolder,
  until,
} from './helpers.ts';
import { give, keep, OBJECT, upload, writtenHead } from './uploads.ts';

const LARGE = 9 << 20;

afterEach(() => vi.restoreAllMocks());

/** S3 vouches for a head in the object's present epoch, and a reader keeps it with the body. */
async function read(store: Store, head: Head, content: Buffer): Promise<ObjectEntry> {
  const entry = await store.catalog.look(OBJECT);
  const stamp = { validatedAt: store.now(), epoch: entry.epoch };
  store.adopt(entry, head, stamp);
  if (content.length <= 1 << 16) await store.keepSmall(entry, head, stamp, content, { ram: false, compress: false });
  else {
    await store.keepHead(entry, head, stamp);
    await fillWhole(store, entry, head, content);
  }
  return entry;
}

async function publish(store: Store, head: Head, content: Buffer): Promise<void> {
  const kept = await keep(store, content, { length: content.length });
  await store.publishUpload(OBJECT, head, kept, { ram: false, compress: false });
}

describe('what an upload is to the head that is there', () => {
  const ours = writtenHead(5, '"ours"');
  const theirs = headOf(5, '"theirs"');
  const same = headOf(5, '"ours"');
  const at = (head: Head | undefined, headEpoch: string, epoch: string) => verdict({ head, headEpoch, epoch }, ours);

  it('takes its place where S3 has not vouched for that since the object was written', () => {
    expect(at(undefined, '', 'e')).toBe('replace');
    expect(at(theirs, 'd', 'e')).toBe('replace');
    expect(at(same, 'd', 'e')).toBe('replace');
    expect(at(theirs, '!', 'e')).toBe('replace');
    expect(at(theirs, '', 'e')).toBe('replace');
  });

  it('takes the place of another upload’s', () => {
    expect(at(writtenHead(5, '"theirs"'), '', 'e')).toBe('replace');
    expect(at(writtenHead(5, '"theirs"'), '', '')).toBe('replace');
    expect(at({ ...theirs, written: 0 }, 'e', 'e')).toBe('replace');
  });

  it('has bytes to add to its own version, and nothing to do with another', () => {
    expect(at(same, 'e', 'e')).toBe('add');
    expect(at(theirs, 'e', 'e')).toBe('leave');
  });
});

describe.each([1000, LARGE])('an upload of %i bytes that is published', size => {
  const content = noise(size, 1);
  const other = noise(size, 2);

  it('after S3 has told a reader of another version in the present epoch leaves that as it is', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    await store.moveOn([OBJECT]);
    const entry = await read(store, headOf(size, '"later"'), other);
    const { validatedAt } = entry;
    await publish(store, writtenHead(size), content);
    expect([entry.head?.etag, entry.validatedAt, entry.headEpoch]).toEqual(['"later"', validatedAt, entry.epoch]);
    expect((await give(store, 0, size - 1))?.equals(other)).toBe(true);
    await until(() => halfWrittenIn(folder).length === 0);
    expect(store.pool.bytesOut).toBe(0);
  });

  it('while S3 tells a reader of another version leaves that as it is, and nothing of itself', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const kept = await keep(store, content, { length: size });
    await store.moveOn([OBJECT]);
    const link = store.volume.link.bind(store.volume);
    const vouched = vi.fn(async () => void (await read(store, headOf(size, '"later"'), other)));
    vi.spyOn(store.volume, 'link').mockImplementationOnce(async (from, to) => {
      await vouched();
      return link(from, to);
    });
    if (kept.small) await vouched();
    await store.publishUpload(OBJECT, writtenHead(size), kept, { ram: false, compress: false });
    expect(vouched).toHaveBeenCalledOnce();
    const entry = await store.catalog.look(OBJECT);
    expect(entry.head?.etag).toBe('"later"');
    expect((await give(store, 0, size - 1))?.equals(other)).toBe(true);
    await until(() => filesIn(folder).every(path => !path.includes(writtenHead(size).version)));
  });

  it('after S3 has told a reader of it adds the bytes that are missing to what that has learnt', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    await store.moveOn([OBJECT]);
    const head = headOf(size, '"uploaded"', ['Last-Modified', 'Mon, 23 Nov 2026 10:00:00 GMT']);
    const entry = await store.catalog.look(OBJECT);
    const stamp = { validatedAt: store.now(), epoch: entry.epoch };
    store.adopt(entry, head, stamp);
    await store.keepHead(entry, head, stamp);
    // A range of it, too.
    const filling = startFill(store, entry, head, { span: { start: 100, end: 199 } });
    await filling.send(content.subarray(100, 200));
    await filling.end();
    await publish(store, writtenHead(size), content);
    expect([entry.head, entry.validatedAt, entry.headEpoch]).toEqual([head, stamp.validatedAt, stamp.epoch]);
    expect((await give(store, 0, size - 1))?.equals(content)).toBe(true);
    await until(() => extentsIn(folder).length === (size === LARGE ? 2 : 0));
  });

  it('takes the place of what a reader had learnt before the write, the same bytes stored once', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    await read(store, headOf(size, '"uploaded"', ['x-amz-meta-old', '1']), content);
    await upload(store, writtenHead(size), content);
    const entry = await store.catalog.look(OBJECT);
    expect(entry.head).toEqual(writtenHead(size));
    expect((await give(store, 0, size - 1))?.equals(content)).toBe(true);
    await until(() => halfWrittenIn(folder).length === 0);
    expect(extentsIn(folder)).toHaveLength(size === LARGE ? 2 : 0);
  });

  it('of two at once is the one that came last', async () => {
    const { store } = await openStore(tempFolder());
    await Promise.all([
      upload(store, writtenHead(size, '"one"'), content),
      upload(store, writtenHead(size, '"two"'), other),
    ]);
    const entry = await store.catalog.look(OBJECT);
    expect(['"one"', '"two"']).toContain(entry.head?.etag);
    expect((await give(store, 0, size - 1))?.equals(entry.head?.etag === '"one"' ? content : other)).toBe(true);
  });

  it('is not waited for beyond the disk’s deadline, and has its place all the same', async () => {
    const { store } = await openStore(tempFolder(), { diskTimeout: 1000 });
    const kept = await keep(store, content, { length: size });
    await store.moveOn([OBJECT]);
    let go = () => {};
    const held = new Promise<void>(resolve => {
      go = resolve;
    });
    const rename = store.volume.rename.bind(store.volume);
    const spy = vi.spyOn(store.volume, 'rename').mockImplementation(async (from, to) => {
      await held;
      return rename(from, to);
    });
    await store.publishUpload(OBJECT, writtenHead(size), kept, { ram: false, compress: false });
    expect(spy).toHaveBeenCalled();
    go();
    await until(async () => (await give(store, 0, size - 1))?.equals(content));
  });

  it('that the disk refuses is as if it had not been kept, or is kept as far as it goes; the trouble is shown', async () => {
    const { store, counters, problems } = await openStore(tempFolder());
    const kept = await keep(store, content, { length: size });
    await store.moveOn([OBJECT]);
    const fails = () => Promise.reject(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }));
    vi.spyOn(store.volume, size === LARGE ? 'link' : 'rename').mockImplementation(fails);
    await store.publishUpload(OBJECT, writtenHead(size), kept, { ram: false, compress: false });
    vi.restoreAllMocks();
    expect(counters.disk_errors).toBeGreaterThan(0);
    expect([...problems.values()].join()).toMatch(/cache volume is full \(ENOSPC\)/);
    expect(store.pool.bytesOut).toBe(0);
    expect(await give(store, 0, size - 1)).toBeUndefined();
  });
});

it('a file of an upload that was damaged while it was aside finds no place; the rest is kept', async () => {
  const folder = tempFolder();
  const { store, counters } = await openStore(folder);
  const content = noise(3 * EXTENT);
  const kept = await keep(store, content, { length: content.length });
  for (const [i, at] of [
    [0, -30],
    [1, -(2 ** 20)],
  ] as const) {
    const { path } = kept.files[i]!;
    const bytes = readFileSync(path);
    bytes[bytes.length + at]! ^= 1;
    writeFileSync(path, bytes);
  }
  await store.moveOn([OBJECT]);
  await store.publishUpload(OBJECT, writtenHead(content.length), kept, { ram: false, compress: false });
  expect(counters.disk_errors).toBe(1);
  const entry = await store.catalog.look(OBJECT);
  // Its index is what is looked at then; damage to the content is found by who reads it.
  expect(store.firstGap(entry, entry.head!, { start: 0, end: content.length - 1 })).toBe(0);
  expect(extentsIn(folder)).toHaveLength(2);
  expect(await give(store, EXTENT, 2 * EXTENT - 1)).toBeUndefined();
  expect(counters.disk_corrupt).toBe(1);
  expect((await give(store, 2 * EXTENT, 3 * EXTENT - 1))?.equals(content.subarray(2 * EXTENT))).toBe(true);
  await until(() => halfWrittenIn(folder).length === 0);
});

describe('an object that is deleted', () => {
  it.each([1000, LARGE])('of %i bytes has its files removed, but for its epoch', async size => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    await upload(store, writtenHead(size), noise(size));
    await store.moveOn([OBJECT]);
    store.forget(OBJECT);
    await until(() => filesIn(join(folder, 'buckets')).length === 1);
    expect(filesIn(join(folder, 'buckets')).map(path => extname(path))).toEqual(['.epoch']);
    expect((await store.catalog.look(OBJECT)).head).toBeUndefined();
  });

  it('is found on the disk by a process that has not heard of it', async () => {
    const folder = tempFolder();
    const first = await openStore(folder);
    await upload(first.store, writtenHead(LARGE), noise(LARGE));
    await first.close();
    const { store } = await openStore(folder);
    await store.moveOn([OBJECT]);
    store.forget(OBJECT);
    await until(() => filesIn(join(folder, 'buckets')).length === 1);
  });

  it('and written again at once is kept', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    await upload(store, writtenHead(1000, '"one"'), noise(1000));
    const kept = await keep(store, noise(1000, 2), { length: 1000 });
    await store.moveOn([OBJECT]);
    store.forget(OBJECT);
    await Promise.all([
      store.moveOn([OBJECT]),
      store.publishUpload(OBJECT, writtenHead(1000, '"two"'), kept, { ram: false, compress: false }),
    ]);
    store.forget(address('other'));
    await store.capacity.settled();
    expect((await give(store, 0, 999))?.equals(noise(1000, 2))).toBe(true);
  });

  it('and read again since is kept', async () => {
    const { store } = await openStore(tempFolder());
    await upload(store, writtenHead(1000, '"one"'), noise(1000));
    await store.moveOn([OBJECT]);
    const entry = await read(store, headOf(1000, '"two"'), noise(1000, 2));
    await store.catalog.dropDeleted(entry, entry.epoch);
    expect(entry.head?.etag).toBe('"two"');
  });

  it('is one of a thousand: all of their files go', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    const objects = Array.from({ length: 200 }, (_, i) => address(`k${i}`));
    for (const object of objects) {
      const entry = await store.catalog.look(object);
      const [head, stamp] = [headOf(10), { validatedAt: store.now(), epoch: '' }];
      store.adopt(entry, head, stamp);
      await store.keepSmall(entry, head, stamp, noise(10), { ram: false, compress: false });
    }
    await store.moveOn(objects);
    for (const object of objects) store.forget(object);
    await until(() => filesIn(join(folder, 'buckets')).every(path => extname(path) === '.epoch'));
  });
});

describe('two processes on one directory', () => {
  /** Two stores that know of each other. */
  async function two() {
    const folder = tempFolder();
    const [{ store: one }, { store: other }] = [await openStore(folder), await openStore(folder)];
    const beats = () =>
      readdirSync(join(folder, 'instances')).map(
        name =>
          (JSON.parse(readFileSync(join(folder, 'instances', name), 'utf8') || '{"beat":0}') as { beat: number }).beat,
      );
    await until(() => beats().every(beat => beat >= 3));
    return { folder, one, other };
  }

  it('one keeps an upload, and the other gives it out', async () => {
    const { one, other } = await two();
    for (const [size, etag] of [
      [1000, '"small"'],
      [LARGE, '"large"'],
    ] as const) {
      await upload(one, writtenHead(size, etag), noise(size));
      expect((await other.catalog.look(OBJECT)).head?.etag).toBe(etag);
      expect((await give(other, 0, size - 1))?.equals(noise(size))).toBe(true);
      const entry = await other.catalog.look(OBJECT);
      expect([entry.head, entry.headEpoch, entry.epoch.length]).toEqual([writtenHead(size, etag), '', 32]);
    }
  });

  it('what one keeps is there at once for the other, which has just seen that there is nothing, or another upload', async () => {
    const { one, other } = await two();
    for (const etag of ['"first"', '"second"']) {
      await other.catalog.look(OBJECT);
      await upload(one, writtenHead(1000, etag), noise(1000));
      expect((await other.catalog.look(OBJECT)).head?.etag).toBe(etag);
      expect((await give(other, 0, 999))?.equals(noise(1000))).toBe(true);
    }
  });

  it.each([1000, LARGE])(
    'a read of one that began before an upload of %i bytes through the other takes nothing of its place',
    async size => {
      const { folder, one, other } = await two();
      await upload(one, writtenHead(10, '"first"'), noise(10));
      const reading = await one.catalog.look(OBJECT);
      const { epoch } = reading;
      await upload(other, writtenHead(size, '"newer"'), noise(size, 2));
      // S3's answer, which told of the version before, comes only now.
      const [head, stamp] = [headOf(size, '"older"'), { validatedAt: one.now(), epoch }];
      one.adopt(reading, head, stamp);
      if (size === 1000) await one.keepSmall(reading, head, stamp, noise(size), { ram: false, compress: false });
      else await one.keepHead(reading, head, stamp);
      await until(() => halfWrittenIn(folder).length === 0);
      for (const store of [one, other]) {
        await until(async () => (await store.catalog.look(OBJECT)).head?.etag === '"newer"');
        expect((await give(store, 0, size - 1))?.equals(noise(size, 2))).toBe(true);
      }
    },
  );

  it.each([1000, LARGE])(
    'an upload of %i bytes through one leaves what the other has learnt from S3 since',
    async size => {
      const { folder, one, other } = await two();
      const kept = await keep(one, noise(size), { length: size });
      await one.moveOn([OBJECT]);
      await until(async () => (await other.catalog.look(OBJECT)).epoch !== '');
      await read(other, headOf(size, '"later"'), noise(size, 2));
      await one.publishUpload(OBJECT, writtenHead(size), kept, { ram: false, compress: false });
      for (const store of [one, other]) {
        expect((await store.catalog.look(OBJECT)).head?.etag).toBe('"later"');
        expect((await give(store, 0, size - 1))?.equals(noise(size, 2))).toBe(true);
      }
      await until(() => filesIn(folder).every(path => !path.includes(writtenHead(size).version)));
    },
  );

  it('an upload through one adds its bytes to what the other has learnt of it', async () => {
    const { one, other } = await two();
    const kept = await keep(one, noise(LARGE), { length: LARGE });
    await one.moveOn([OBJECT]);
    await until(async () => (await other.catalog.look(OBJECT)).epoch !== '');
    const entry = await other.catalog.look(OBJECT);
    const head = headOf(LARGE, '"uploaded"');
    const stamp = { validatedAt: other.now(), epoch: entry.epoch };
    other.adopt(entry, head, stamp);
    await other.keepHead(entry, head, stamp);
    await one.publishUpload(OBJECT, writtenHead(LARGE), kept, { ram: false, compress: false });
    for (const store of [one, other]) {
      await until(async () => (await store.catalog.look(OBJECT)).head?.written === undefined);
      await until(async () => (await give(store, 0, LARGE - 1))?.equals(noise(LARGE)));
    }
    expect(EXTENT).toBeLessThan(LARGE);
  });

  it('a deletion through one leaves what was written through the other since', async () => {
    const { one, other } = await two();
    await upload(one, writtenHead(1000, '"first"'), noise(1000));
    await one.moveOn([OBJECT]);
    const deleted = await one.catalog.look(OBJECT);
    const { epoch } = deleted;
    await upload(other, writtenHead(1000, '"again"'), noise(1000, 2));
    await one.catalog.dropDeleted(deleted, epoch);
    expect((await give(other, 0, 999))?.equals(noise(1000, 2))).toBe(true);
    await until(async () => (await give(one, 0, 999))?.equals(noise(1000, 2)));
  });
});
