import { existsSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { CachedObject, ListEvent, PinEnd, PinEvent, PinList, Store } from '../../proxy-core/store/index.ts';
import { startControlled } from '../admin/controlled.ts';
import { generatedBody } from '../origin/index.ts';
import { eventually, filesUnder } from '../read/helpers.ts';
import { address, diskUsage, filesIn, headOf, keepLarge, noise, openStore, tempFolder, until } from './helpers.ts';

const MIB = 1 << 20;

/** A megabyte under this key, as if it had been read from S3. */
async function keep(store: Store, key: string, bucket = 'data', size = MIB): Promise<void> {
  const head = headOf(size);
  const entry = await store.catalog.look(address(key, bucket));
  await keepLarge(store, entry, head, noise(size, 7));
}

async function last(events: AsyncIterable<PinEvent>): Promise<PinEnd> {
  let end: PinEvent | undefined;
  for await (const event of events) end = event;
  return end as PinEnd;
}

const signal = () => new AbortController().signal;
const pin = (store: Store, prefix: string, bucket = 'data') => last(store.care.pin(signal(), { bucket, prefix }));
const unpin = (store: Store, prefix: string, bucket = 'data') => last(store.care.unpin(signal(), { bucket, prefix }));

/** Keys of which all is on the disk. */
async function whole(store: Store, bucket = 'data'): Promise<string[]> {
  const found: CachedObject[] = [];
  for await (const event of store.care.list(signal(), { bucket, prefix: '' }))
    if (event.type === 'object' && event.cached === event.length) found.push(event);
  return found.map(({ key }) => key).sort();
}

/** Makes all that is there look as if it had not been used for long. */
function age(folder: string): void {
  const long = new Date(Date.now() - 90 * 86_400_000);
  for (const path of filesIn(join(folder, 'buckets'))) utimesSync(path, long, long);
}

const names = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}${i}`).sort();

describe('what is pinned', () => {
  it('stays while three times the cache comes by, though nobody has used it for long', async () => {
    const folder = tempFolder();
    const { store, problems } = await openStore(folder, { maxDiskBytes: 24 * MIB, algorithm: 'lru' });
    await store.capacity.settled();
    for (const key of names('pin/', 8)) await keep(store, key);
    age(folder);
    const { disk_bytes, limit } = await pin(store, 'pin/');
    expect(limit).toBe(12 * MIB);
    expect(disk_bytes).toBeGreaterThan(8 * MIB);
    expect(disk_bytes).toBeLessThan(9 * MIB);
    for (let i = 0; i < 72; i++) await keep(store, `other/${i}`);
    await store.capacity.settled();
    expect(diskUsage(join(folder, 'buckets'))).toBeLessThanOrEqual(24 * MIB);
    expect((await whole(store)).filter(key => key.startsWith('pin/'))).toEqual(names('pin/', 8));
    expect([...problems.keys()].filter(key => key === 'pins')).toEqual([]);

    // The same without the pin: they are the first to go.
    await unpin(store, 'pin/');
    for (let i = 0; i < 24; i++) await keep(store, `more/${i}`);
    await store.capacity.settled();
    expect((await whole(store)).filter(key => key.startsWith('pin/')).length).toBeLessThan(4);
  }, 60_000);

  it('may be a whole bucket, and objects of one that come later', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder, { maxDiskBytes: 24 * MIB, algorithm: 'lru' });
    await store.capacity.settled();
    await pin(store, '', 'kept');
    await pin(store, 'later/');
    expect(statSync(join(folder, 'buckets', 'kept', '_pins.json')).mode & 0o777).toBe(0o600);
    for (const key of names('k', 4)) await keep(store, key, 'kept');
    for (const key of names('later/', 4)) await keep(store, key);
    age(folder);
    for (let i = 0; i < 48; i++) await keep(store, `other/${i}`);
    await store.capacity.settled();
    expect(await whole(store, 'kept')).toEqual(names('k', 4));
    expect((await whole(store)).filter(key => key.startsWith('later/'))).toEqual(names('later/', 4));
    expect((await store.care.pins(signal())).disk_bytes).toBeGreaterThan(8 * MIB);
  }, 60_000);

  it('is known again after a restart, and by another process, without a word', async () => {
    const folder = tempFolder();
    const first = await openStore(folder);
    for (const key of names('pin/', 6)) await keep(first.store, key);
    await pin(first.store, 'pin/');
    await first.close();
    age(folder);
    const { store } = await openStore(folder, { maxDiskBytes: 16 * MIB, algorithm: 'lru' });
    await store.capacity.settled();
    for (let i = 0; i < 48; i++) await keep(store, `other/${i}`);
    await store.capacity.settled();
    expect((await whole(store)).filter(key => key.startsWith('pin/'))).toEqual(names('pin/', 6));
  }, 60_000);

  it('is no more than its share: more is refused, and nothing changes', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder, { maxDiskBytes: 24 * MIB, pinPercent: 25 });
    await store.capacity.settled();
    for (const key of names('a/', 5)) await keep(store, key);
    for (const key of names('b/', 5)) await keep(store, key);
    await pin(store, 'a/');
    await expect(pin(store, 'b/')).rejects.toThrow(
      /not pinned.*With it 10\.\d MiB would be pinned; cache\.pin_percent \(25 %\) allows 6\.0 MiB/,
    );
    expect((await store.care.pins(signal())).pins).toEqual([{ bucket: 'data', origin: 'aws', prefix: 'a/' }]);
    await expect(unpin(store, 'b/')).rejects.toThrow('There is no such pin. s3://data/b/');
  });

  it('that grows beyond its share may be evicted until it is less, and the limit holds', async () => {
    const folder = tempFolder();
    const { store, problems } = await openStore(folder, { maxDiskBytes: 24 * MIB, algorithm: 'lru' });
    await store.capacity.settled();
    await pin(store, 'pin/');
    let said: string | undefined;
    for (let i = 0; i < 40; i++) {
      await keep(store, `pin/${i}`);
      said ??= problems.get('pins');
      expect(diskUsage(join(folder, 'buckets'))).toBeLessThanOrEqual(25 * MIB);
    }
    expect(said).toContain('what is pinned takes more than the 12.0 MiB that cache.pin_percent (50 %) allows');
    for (let i = 0; i < 30; i++) await keep(store, `other/${i}`);
    await store.capacity.settled();
    await until(() => !problems.has('pins'));
    expect((await store.care.pins(signal())).disk_bytes).toBeLessThanOrEqual(12 * MIB);
    expect(store.capacity.bytes).toBeLessThanOrEqual(24 * MIB);
  }, 60_000);

  it('that this process does not know to be so much never keeps the limit from being held', async () => {
    const folder = tempFolder();
    const first = await openStore(folder, { pinPercent: 90 });
    for (const key of names('pin/', 24)) await keep(first.store, key);
    await pin(first.store, '');
    await first.close();
    // Too few to count before it has to evict.
    const { store } = await openStore(folder, { maxDiskBytes: 10 * MIB });
    await until(() => store.capacity.counted && store.capacity.bytes <= 10 * MIB);
    expect(diskUsage(join(folder, 'buckets'))).toBeLessThanOrEqual(10 * MIB);
  }, 60_000);

  it('is shown by the list, followed by a second proxy, and taken back', async () => {
    const place = await startControlled();
    const other = await place.start();
    const { origin, client, lines, one, cacheDir } = place;
    for (const key of ['in/a', 'out']) {
      origin.put('data', key, generatedBody(100_000, 1));
      await client.send({ key });
    }
    await eventually(async () => (await filesUnder(join(cacheDir, 'buckets'))).length === 4);
    const end = (await lines<PinEvent>('POST', '/v1/pin?bucket=data&prefix=in/')).at(-1) as PinEnd;
    expect(end.disk_bytes).toBeGreaterThan(100_000);
    const pinned = async (by: Pick<typeof other, 'lines'>) =>
      (await by.lines<ListEvent>('GET', '/v1/objects?bucket=data'))
        .filter((event): event is CachedObject => event.type === 'object' && event.pinned === true)
        .map(({ key }) => key);
    expect(await pinned(place)).toEqual(['in/a']);
    await eventually(async () => (await pinned(other)).join() === 'in/a');
    expect(await one<PinList>('GET', '/v1/pins')).toMatchObject({
      pins: [{ bucket: 'data', origin: origin.address, prefix: 'in/' }],
      disk_bytes: end.disk_bytes,
    });
    await other.lines('POST', '/v1/unpin?bucket=data&prefix=in/');
    const [folder] = await filesUnder(join(cacheDir, 'buckets'));
    expect(existsSync(join(cacheDir, 'buckets', folder!, '_pins.json'))).toBe(false);
    await eventually(async () => (await pinned(place)).length === 0);
  });

  it('keeps the last good pins where the file was damaged, and says so', async () => {
    const folder = tempFolder();
    const { store, problems } = await openStore(folder);
    await keep(store, 'pin/a');
    await pin(store, 'pin/');
    const file = join(folder, 'buckets', 'data', '_pins.json');
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ bucket: 'data', origin: 'aws', prefixes: ['pin/'] });
    writeFileSync(file, '{"prefixes":');
    expect((await store.care.pins(signal())).pins).toHaveLength(1);
    expect(problems.get('pins')).toMatch(/what is pinned in a bucket can't be read: data\/_pins\.json/);
    await pin(store, 'pin/');
    expect(problems.has('pins')).toBe(false);
  });

  it('is purged all the same when that is asked for, and stays pinned', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    await keep(store, 'pin/a');
    await pin(store, 'pin/');
    for await (const _ of store.care.purge(signal(), { bucket: 'data', prefix: 'pin/' }, false));
    const { pins, disk_bytes } = await store.care.pins(signal());
    expect(pins).toHaveLength(1);
    expect(disk_bytes).toBe(0);
  });
});
