import { readdirSync, readFileSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DiskUnavailable } from '../../proxy-core/store/disk/operations.ts';
import type { CachedObject, ListEvent, PurgeEnd, PurgeEvent, Store } from '../../proxy-core/store/index.ts';
import { type ControlledPlace, startControlled } from '../admin/controlled.ts';
import { generatedBody } from '../origin/index.ts';
import { bytesOf, collect } from '../read/client.ts';
import { eventually, filesUnder, hash, MIB } from '../read/helpers.ts';
import { address, headOf, keepLarge, noise, openStore, tempFolder } from './helpers.ts';

const buckets = (place: ControlledPlace) => filesUnder(join(place.cacheDir, 'buckets'));
const end = (events: readonly PurgeEvent[]) => events.at(-1) as PurgeEnd;

/** Objects of three sizes below `old/`, one beside it, all cached. */
async function filled(place: ControlledPlace): Promise<void> {
  const { origin, client } = place;
  origin.put('data', 'old/small', 'hello');
  origin.put('data', 'old/medium', generatedBody(2 * MIB, 1));
  origin.put('data', 'old/large', generatedBody(20 * MIB, 2));
  origin.put('data', 'new', generatedBody(2 * MIB, 3));
  for (const key of ['old/small', 'old/medium', 'old/large', 'new']) await client.send({ key });
  await eventually(async () => (await buckets(place)).length === 4 + 1 + 3 + 1);
}

async function keys({ lines }: ControlledPlace): Promise<string[]> {
  const events = await lines<ListEvent>('GET', '/v1/objects?bucket=data');
  return events.filter((event): event is CachedObject => event.type === 'object').map(({ key }) => key);
}

/** A megabyte under this key, as if it had been read from S3. */
async function keep(store: Store, key: string): Promise<void> {
  const head = headOf(MIB);
  const entry = await store.catalog.look(address(key));
  await keepLarge(store, entry, head, noise(MIB));
}

async function purged(store: Store): Promise<PurgeEvent[]> {
  const events: PurgeEvent[] = [];
  const target = { bucket: 'data', prefix: '' };
  for await (const event of store.care.purge(new AbortController().signal, target, false)) events.push(event);
  return events;
}

describe('a purge', () => {
  it('removes a prefix from disk and memory, leaves the rest, and sets its space free', async () => {
    const place = await startControlled();
    await filled(place);
    const { origin, client, core, lines } = place;
    const would = end(await lines('POST', '/v1/purge?bucket=data&prefix=old/&dry_run=true'));
    expect(would).toMatchObject({ objects: 3, dry_run: true, left: 0 });
    expect(would.disk_bytes).toBeGreaterThan(22 * MIB);
    expect(await keys(place)).toHaveLength(4);

    await eventually(() => core.status().cache.disk_bytes !== undefined);
    const before = core.status().cache.disk_bytes!;
    const done = end(await lines('POST', '/v1/purge?bucket=data&prefix=old/'));
    expect(done).toEqual({ ...would, dry_run: false });
    expect(await keys(place)).toEqual(['new']);
    expect(before - core.status().cache.disk_bytes!).toBeGreaterThanOrEqual(done.disk_bytes);
    expect(await buckets(place)).toHaveLength(2);

    const asked = origin.requestsFor('old/small').length;
    expect((await client.send({ key: 'old/small' })).header('x-cache')).toBe('MISS');
    expect((await client.send({ key: 'old/small', method: 'HEAD' })).header('x-cache')).not.toBe('MISS');
    expect(origin.requestsFor('old/small').length).toBe(asked + 1);
    expect((await client.send({ key: 'old/large' })).header('x-cache')).toBe('MISS');
    expect((await client.send({ key: 'new' })).header('x-cache')).toBe('HIT');
  });

  it('of a whole bucket leaves no folder, and nothing that is counted', async () => {
    const place = await startControlled();
    await filled(place);
    const { lines, core, cacheDir } = place;
    await eventually(() => core.status().cache.disk_bytes !== undefined);
    expect(end(await lines('POST', '/v1/purge?bucket=data'))).toMatchObject({ objects: 4, left: 0 });
    expect(readdirSync(join(cacheDir, 'buckets'))).toEqual([]);
    expect(core.status().cache.disk_bytes).toBeLessThan(MIB);
  });

  it('is of the origin that is meant, and of no bucket whose name only begins the same', async () => {
    const place = await startControlled({}, { buckets: ['data', 'data-2'] });
    const { origin, client, lines } = place;
    for (const bucket of ['data', 'data-2']) {
      origin.put(bucket, 'k', bucket);
      await client.send({ key: 'k', bucket });
    }
    await eventually(async () => (await buckets(place)).length === 2);
    expect(end(await lines('POST', '/v1/purge?bucket=data&origin=aws')).objects).toBe(0);
    expect(end(await lines('POST', '/v1/purge?bucket=data&prefix=K')).objects).toBe(0);
    expect(end(await lines('POST', '/v1/purge?bucket=data')).objects).toBe(1);
    expect((await client.send({ key: 'k', bucket: 'data-2' })).header('x-cache')).toBe('HIT');
  });

  it('cuts no answer that is under way', async () => {
    const place = await startControlled({ cache: { ram_cache_enabled: false } });
    await filled(place);
    const { client, lines, origin } = place;
    const response = await client.begin({ key: 'old/large' });
    const first = await bytesOf(response, 100_000);
    await lines('POST', '/v1/purge?bucket=data');
    const { body, complete } = await collect(response);
    expect(complete).toBe(true);
    const whole = Buffer.concat([first, body]);
    expect(hash(whole)).toBe(hash(origin.object('data', 'old/large')!.body.read(0, 20 * MIB)));
  });

  it('is seen by another process on the folder within a second or two', async () => {
    const place = await startControlled();
    const other = await place.start();
    await filled(place);
    await eventually(async () => (await other.client.send({ key: 'old/medium' })).header('x-cache') === 'HIT');
    await place.lines('POST', '/v1/purge?bucket=data');
    await eventually(async () => (await other.client.send({ key: 'old/medium' })).header('x-cache') === 'MISS');
  });

  it('keeps the epochs of recent writes, by which older reads are known, and takes those of old ones', async () => {
    const place = await startControlled();
    const { client, core, lines } = place;
    const epochs = async () => (await buckets(place)).filter(path => path.endsWith('.epoch'));
    for (const key of ['one', 'two']) await client.send({ key, method: 'PUT', body: Buffer.from(key) });
    await eventually(async () => (await epochs()).length === 2);
    const [young, old] = await epochs();
    const long = new Date(Date.now() - 16 * 60_000);
    utimesSync(old!, long, long);
    const kept = readFileSync(young!, 'latin1');
    expect(end(await lines('POST', '/v1/purge?bucket=data')).objects).toBe(2);
    expect(await buckets(place)).toEqual([young]);
    expect(readFileSync(young!, 'latin1')).toBe(kept);
    for (const key of ['one', 'two']) expect((await client.send({ key })).body.toString()).toBe(key);
    expect(core.status().counters.disk_corrupt).toBe(0);
  });

  it('takes an upload that nobody has read, and the bytes of it that were counted', async () => {
    const place = await startControlled();
    const { client, lines, core } = place;
    const body = generatedBody(MIB, 1).read(0, MIB);
    await client.send({ key: 'up', method: 'PUT', body });
    await eventually(async () => (await buckets(place)).length === 3);
    expect(end(await lines('POST', '/v1/purge?bucket=data&prefix=up')).objects).toBe(1);
    expect(await buckets(place)).toHaveLength(1);
    const { header, body: read } = await client.send({ key: 'up' });
    expect([header('x-cache'), hash(read)]).toEqual(['MISS', hash(body)]);
    expect(core.status().problems).toEqual([]);
  });

  it('goes on while objects are read and stored, and what is read is right', async () => {
    const place = await startControlled();
    const { origin, client, lines, core } = place;
    const size = 300_000;
    for (let i = 0; i < 20; i++) origin.put('data', `k${i}`, generatedBody(size, i));
    let reading = true;
    const reads = Promise.all(
      Array.from({ length: 4 }, async (_, who) => {
        for (let i = who; reading; i = (i + 7) % 20) {
          const { body, complete } = await client.send({ key: `k${i}` });
          if (!complete || hash(body) !== hash(generatedBody(size, i).read(0, size))) throw new Error(`k${i} is wrong`);
        }
      }),
    );
    for (let i = 0; i < 4; i++) await lines('POST', '/v1/purge?bucket=data');
    reading = false;
    await reads;
    await eventually(async () => end(await lines('POST', '/v1/purge?bucket=data&dry_run=true')).left === 0);
    expect(core.status().counters).toMatchObject({ disk_errors: 0, disk_corrupt: 0 });
  });

  it('tells what it could not remove, and why, and removes the rest', async () => {
    const { store } = await openStore(tempFolder());
    for (const key of ['a', 'b']) await keep(store, key);
    const { volume } = store;
    const real = volume.unlink.bind(volume);
    let first = true;
    volume.unlink = path => {
      if (!first) return real(path);
      first = false;
      return Promise.reject(Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' }));
    };
    const { left, problem, disk_bytes } = end(await purged(store));
    expect(left).toBe(1);
    expect(problem).toContain('EACCES');
    expect(disk_bytes).toBeGreaterThan(MIB);
    expect(end(await purged(store))).toMatchObject({ left: 0, objects: 1 });
  });

  it('waits while the volume does not answer, and then goes on', async () => {
    const { store } = await openStore(tempFolder());
    await keep(store, 'k');
    const { volume } = store;
    const real = volume.readdir.bind(volume);
    let missed = 0;
    volume.readdir = path => {
      if (missed++ === 2) {
        return Promise.reject(new DiskUnavailable('no answer'));
      }
      return real(path);
    };
    expect(end(await purged(store)).objects).toBe(1);
    expect(missed).toBeGreaterThan(3);
  });
});
