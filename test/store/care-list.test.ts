import { mkdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { CachedObject, ListEnd, ListEvent } from '../../proxy-core/store/index.ts';
import { startControlled } from '../admin/controlled.ts';
import { generatedBody } from '../origin/index.ts';
import { eventually, filesUnder, MIB } from '../read/helpers.ts';
import { address, headOf, openStore, tempFolder } from './helpers.ts';

const isObject = (event: ListEvent): event is CachedObject => event.type === 'object';
const byKey = (events: readonly ListEvent[]) => new Map(events.filter(isObject).map(object => [object.key, object]));

describe('the list', () => {
  it('tells how much of each object is on the disk, whether small, larger, or in pieces', async () => {
    const { origin, client, lines, core } = await startControlled();
    origin.put('data', 'dir/small', 'hello');
    origin.put('data', 'dir/empty', '');
    origin.put('data', 'dir/medium', generatedBody(3 * MIB, 1));
    origin.put('data', 'dir/large', generatedBody(40 * MIB, 2));
    origin.put('data', 'other', 'x');
    const before = Date.now();
    for (const key of ['dir/small', 'dir/empty', 'dir/medium', 'other']) await client.send({ key });
    await client.send({ key: 'dir/large', range: 'bytes=0-999999' });
    await client.send({ key: 'dir/large', range: `bytes=${20 * MIB}-${21 * MIB - 1}` });
    // Overlaps the first one.
    await client.send({ key: 'dir/large', range: 'bytes=500000-1499999' });
    const cached = 1_500_000 + MIB;
    await eventually(
      async () => byKey(await lines('GET', '/v1/objects?bucket=data')).get('dir/large')?.cached === cached,
    );

    const events = await lines<ListEvent>('GET', '/v1/objects?bucket=data&prefix=dir/');
    const objects = byKey(events);
    expect([...objects.keys()].sort()).toEqual(['dir/empty', 'dir/large', 'dir/medium', 'dir/small']);
    const told = (key: string) => [objects.get(key)!.cached, objects.get(key)!.length];
    expect(told('dir/small')).toEqual([5, 5]);
    expect(told('dir/empty')).toEqual([0, 0]);
    expect(told('dir/medium')).toEqual([3 * MIB, 3 * MIB]);
    expect(told('dir/large')).toEqual([cached, 40 * MIB]);
    for (const { origin: from, bucket, last_used, validated } of objects.values()) {
      expect({ from, bucket }).toEqual({ from: origin.address, bucket: 'data' });
      expect(Date.parse(last_used)).toBeGreaterThan(before - 5000);
      expect(Date.parse(validated!)).toBeGreaterThan(before - 5000);
    }
    const end = events.at(-1) as ListEnd;
    expect(end).toMatchObject({ type: 'end', objects: 4, cached: 5 + 3 * MIB + cached });
    expect(end.disk_bytes).toBeGreaterThanOrEqual(end.cached);
    expect(core.status().counters.disk_errors).toBe(0);
  });

  it('is of buckets where none is named, and of the origin that is meant', async () => {
    const { origin, client, lines } = await startControlled({}, { buckets: ['data', 'more'] });
    origin.put('data', 'a', 'one');
    origin.put('data', 'b', 'three');
    origin.put('more', 'a', 'x');
    for (const ask of [{ key: 'a' }, { key: 'b' }, { key: 'a', bucket: 'more' }]) await client.send(ask);
    await eventually(async () => (await lines<ListEnd>('GET', '/v1/buckets')).at(-1)!.objects === 3);
    expect(await lines('GET', '/v1/buckets')).toMatchObject([
      { type: 'bucket', origin: origin.address, bucket: 'data', objects: 2, cached: 8 },
      { type: 'bucket', bucket: 'more', objects: 1, cached: 1 },
      { type: 'end', objects: 3, cached: 9 },
    ]);
    expect(await lines('GET', '/v1/objects?bucket=data&origin=aws')).toEqual([
      { type: 'end', objects: 0, cached: 0, disk_bytes: 0 },
    ]);
    expect(await lines('GET', `/v1/objects?bucket=data&origin=${origin.address}`)).toHaveLength(3);
    expect(await lines('GET', '/v1/objects?bucket=dat')).toHaveLength(1);
  });

  it('does not count as a use, so that eviction takes what it would have taken', async () => {
    const { origin, client, lines, cacheDir } = await startControlled();
    origin.put('data', 'k', generatedBody(MIB, 1));
    await client.send();
    await eventually(async () => (await filesUnder(join(cacheDir, 'buckets'))).length === 2);
    const files = await filesUnder(join(cacheDir, 'buckets'));
    const long = new Date('2026-01-02T03:04:05Z');
    for (const file of files) utimesSync(file, long, long);
    const [listed] = (await lines<ListEvent>('GET', '/v1/objects?bucket=data')).filter(isObject);
    expect(Date.parse(listed!.last_used)).toBe(long.getTime());
    for (const file of files) expect(statSync(file).atimeMs).toBe(long.getTime());
  });

  it('has keys in any script', async () => {
    const { origin, client, lines } = await startControlled();
    const keys = ['schlüssel/日本', 'a b+c%"\\'];
    for (const key of keys) origin.put('data', key, 'x');
    const path = (key: string) => encodeURIComponent(key).replaceAll('%2F', '/');
    for (const key of keys) expect((await client.send({ key: path(key) })).status).toBe(200);
    await eventually(async () => byKey(await lines('GET', '/v1/objects?bucket=data')).size === 2);
    const objects = byKey(await lines('GET', '/v1/objects?bucket=data'));
    expect([...objects.keys()].sort()).toEqual([...keys].sort());
    expect(byKey(await lines('GET', `/v1/objects?bucket=data&prefix=${encodeURIComponent('schlü')}`)).size).toBe(1);
  });

  it('has keys that are no UTF-8, and heads that are longer than its first look', async () => {
    const { store } = await openStore(tempFolder());
    const key = 'odd/\xff\xfe';
    const entry = await store.catalog.look(address(key));
    const head = headOf(3, '"one"', ['x-amz-meta-long', 'x'.repeat(60_000)]);
    const stamp = { validatedAt: store.now(), epoch: '' };
    store.adopt(entry, head, stamp);
    await store.keepSmall(entry, head, stamp, Buffer.from('abc'), { ram: false, compress: false });
    const events: ListEvent[] = [];
    const target = { bucket: 'data', prefix: 'odd/\xff' };
    for await (const event of store.care.list(new AbortController().signal, target)) events.push(event);
    expect(events.filter(isObject)).toMatchObject([
      { key: 'odd/\ufffd\ufffd', key_base64: Buffer.from(key, 'latin1').toString('base64'), cached: 3, length: 3 },
    ]);
  });

  it("leaves out what is damaged, in the wrong place, or not the store's", async () => {
    const { origin, client, lines, cacheDir } = await startControlled();
    for (const key of ['one', 'two', 'three']) origin.put('data', key, key);
    for (const key of ['one', 'two', 'three']) await client.send({ key });
    const heads = async () => (await filesUnder(join(cacheDir, 'buckets'))).filter(path => path.endsWith('.head'));
    await eventually(async () => (await heads()).length === 3);
    const [first, second] = await heads();
    writeFileSync(first!, 'not a head');
    const elsewhere = second!.replace(/[0-9a-f]{5}\.head$/, 'fffff.head');
    writeFileSync(elsewhere, readFileSync(second!));
    mkdirSync(join(dirname(second!), 'odd'));
    writeFileSync(join(dirname(dirname(dirname(second!))), '_settings.json'), '{}');
    writeFileSync(join(cacheDir, 'buckets', 'stray'), '');
    const events = await lines<ListEvent>('GET', '/v1/objects?bucket=data');
    expect(events.filter(isObject)).toHaveLength(2);
    expect(await lines('GET', '/v1/buckets')).toHaveLength(2);
  });
});
