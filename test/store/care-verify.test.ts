import {
  appendFileSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import type { Fault, Head, Store, VerifyEnd, VerifyEvent } from '../../proxy-core/store/index.ts';
import { startControlled } from '../admin/controlled.ts';
import { generatedBody } from '../origin/index.ts';
import { eventually, filesUnder, hash } from '../read/helpers.ts';
import {
  address,
  diskUsage,
  filesIn,
  fillWhole,
  headOf,
  noise,
  openStore,
  prose,
  tempFolder,
  until,
} from './helpers.ts';

const MIB = 1 << 20;
const HOUR = 3_600_000;

/** An object as a read from S3 leaves it: small ones in their head file. */
async function keep(store: Store, key: string, content: Buffer, head: Head = headOf(content.length)): Promise<void> {
  const entry = await store.catalog.look(address(key));
  const stamp = { validatedAt: store.now(), epoch: entry.epoch };
  store.adopt(entry, head, stamp);
  if (content.length <= 65_536) return store.keepSmall(entry, head, stamp, content, { ram: false, compress: true });
  await store.keepHead(entry, head, stamp);
  await fillWhole(store, entry, head, content);
}

async function verified(store: Store, fromStart = true, signal = new AbortController().signal): Promise<VerifyEvent[]> {
  const events: VerifyEvent[] = [];
  for await (const event of store.care.verify(signal, { fromStart })) events.push(event);
  return events;
}

const end = (events: readonly VerifyEvent[]) => events.at(-1) as VerifyEnd;
const faults = (events: readonly VerifyEvent[]) =>
  events
    .filter((event): event is Fault => event.type === 'fault')
    .map(({ what, key }) => (key ? `${what} ${key}` : what));

/** Changes a byte in the middle of a file, and nothing else of it. */
function harm(path: string, at = Math.floor(statSync(path).size / 2)): void {
  const content = readFileSync(path);
  content[at] = content[at]! ^ 1;
  writeFileSync(path, content);
}

/** As if it had been there for a day and a half. The ctime can't be set, so the store's clock is put forward instead. */
function later(store: Store, ms: number): void {
  const real = Date.now;
  vi.spyOn(Date, 'now').mockImplementation(() => real() + ms);
  // The volume's clock as well, by which the store would know.
  const stat = store.volume.stat.bind(store.volume);
  vi.spyOn(store.volume, 'stat').mockImplementation(async path => {
    const stats = await stat(path);
    return path.includes('/instances/') ? Object.assign(stats, { mtimeMs: stats.mtimeMs + ms }) : stats;
  });
  expect(store.now()).toBeGreaterThan(real() + ms - 60_000);
}

const heads = (folder: string) => filesIn(join(folder, 'buckets')).filter(path => path.endsWith('.head'));
const extentsOf = (folder: string) => filesIn(join(folder, 'buckets')).filter(path => /\d-\d+$/.test(path));

describe('verify', () => {
  it('finds nothing wrong with what was stored, of any size and kind', async () => {
    const folder = tempFolder();
    const { store, counters } = await openStore(folder);
    await keep(store, 'empty', Buffer.alloc(0));
    await keep(store, 'small', Buffer.from('hello'));
    await keep(store, 'text', prose(60_000));
    await keep(store, 'medium', noise(3 * MIB));
    await keep(store, 'prose', prose(5 * MIB));
    await keep(store, 'large', noise(20 * MIB));
    await store.moveOn([address('medium')]);
    const files = filesIn(join(folder, 'buckets'));
    const events = await verified(store);
    expect(end(events)).toMatchObject({
      objects: 6,
      files: files.length,
      damaged: 0,
      leftover: 0,
      unreadable: 0,
      unknown: 0,
    });
    expect(end(events).correction).toBe(0);
    expect(faults(events)).toEqual([]);
    expect(filesIn(join(folder, 'buckets'))).toEqual(files);
    expect(counters.disk_corrupt).toBe(0);
    expect(existsSync(join(folder, 'verify.json'))).toBe(false);
  });

  it('does not count as a use of what it reads', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    await keep(store, 'small', Buffer.from('hello'));
    await keep(store, 'large', noise(20 * MIB));
    const long = new Date('2026-01-02T03:04:05Z');
    for (const path of filesIn(join(folder, 'buckets'))) utimesSync(path, long, long);
    await verified(store);
    for (const path of filesIn(join(folder, 'buckets'))) expect(statSync(path).atimeMs).toBe(long.getTime());
  });

  it('finds a changed byte anywhere in content and indexes, and removes the file', async () => {
    const folder = tempFolder();
    const { store, counters } = await openStore(folder);
    await keep(store, 'small', noise(40_000, 1));
    await keep(store, 'medium', noise(3 * MIB, 2));
    await keep(store, 'prose', prose(5 * MIB));
    await keep(store, 'large', noise(20 * MIB, 3));
    const [small] = heads(folder).filter(path => statSync(path).size > 40_000);
    const extents = extentsOf(folder);
    expect(extents).toHaveLength(5);
    harm(small!);
    for (const [i, path] of extents.entries()) harm(path, i % 2 ? statSync(path).size - 20 : undefined);
    const before = diskUsage(join(folder, 'buckets'));
    const events = await verified(store);
    expect(faults(events).sort()).toEqual(
      ['large', 'large', 'large', 'medium', 'prose', 'small'].map(key => `damaged ${key}`),
    );
    expect(extentsOf(folder)).toEqual([]);
    expect(existsSync(small!)).toBe(false);
    expect(counters.disk_corrupt).toBe(6);
    expect(store.capacity.bytes).toBe(diskUsage(join(folder, 'buckets')));
    expect(store.capacity.bytes).toBeLessThan(before - 20 * MIB);
    expect(faults(await verified(store))).toEqual([]);
  });

  it('leaves reads in this process nothing that is gone: what was damaged comes from S3 and is stored anew', async () => {
    const place = await startControlled({ cache: { ram_cache_enabled: false } });
    const { origin, client, lines, cacheDir } = place;
    origin.put('data', 'k', generatedBody(20 * MIB, 1));
    origin.put('data', 's', 'hello');
    for (const key of ['k', 's']) await client.send({ key });
    const files = () => filesUnder(join(cacheDir, 'buckets'));
    await eventually(async () => (await files()).length === 5);
    harm((await files()).find(path => path.endsWith('-8388607'))!);
    harm(
      (await files()).filter(path => path.endsWith('.head')).sort((a, b) => statSync(b).size - statSync(a).size)[0]!,
      200,
    );
    const found = await lines<VerifyEvent>('POST', '/v1/verify');
    expect(end(found).damaged).toBe(2);
    const { body, header } = await client.send({ key: 'k' });
    expect(hash(body)).toBe(hash(generatedBody(20 * MIB, 1).read(0, 20 * MIB)));
    expect(header('x-cache')).not.toBe('HIT');
    expect((await client.send({ key: 's' })).body.toString()).toBe('hello');
    await eventually(async () => (await files()).length === 5);
    expect(end(await lines('POST', '/v1/verify')).damaged).toBe(0);
    expect((await client.send({ key: 'k' })).header('x-cache')).toBe('HIT');
  });

  it('finds heads that are damaged, in the wrong place, or of another bucket', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    for (const key of ['a', 'b', 'c']) await keep(store, key, Buffer.from(key));
    const [a, b, c] = heads(folder) as [string, string, string];
    harm(a, 100);
    const elsewhere = join(
      dirname(b),
      basename(b).replace(/^./, d => (d === '0' ? '1' : '0')),
    );
    copyFileSync(b, elsewhere);
    const other = c.replace(`${join(folder, 'buckets')}/data`, `${join(folder, 'buckets')}/other`);
    mkdirSync(dirname(other), { recursive: true });
    copyFileSync(c, other);
    const events = await verified(store);
    expect(faults(events)).toEqual(['damaged', 'damaged', 'damaged']);
    expect(heads(folder)).toEqual([b, c].sort());
  });

  it('finds an extent under the name of another place, version or object', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    await keep(store, 'k', noise(20 * MIB));
    const [first, second] = extentsOf(folder).sort();
    renameSync(first!, `${first}x`);
    renameSync(second!, first!);
    renameSync(`${first}x`, second!);
    expect(faults(await verified(store))).toEqual(['damaged k', 'damaged k']);
  });

  it('puts a damaged epoch right by a new one, so that S3 is asked', async () => {
    const { client, origin, lines, cacheDir } = await startControlled();
    await client.send({ key: 'k', method: 'PUT', body: Buffer.from('one') });
    await client.send({ key: 'k' });
    const [epoch] = (await filesUnder(join(cacheDir, 'buckets'))).filter(path => path.endsWith('.epoch'));
    writeFileSync(epoch!, '');
    expect(end(await lines('POST', '/v1/verify')).damaged).toBe(1);
    expect(readFileSync(epoch!, 'latin1')).toMatch(/^[0-9a-f]{32}$/);
    const asked = origin.requestsFor('k').length;
    expect((await client.send({ key: 'k' })).header('x-cache')).toBe('REVALIDATED');
    expect(origin.requestsFor('k').length).toBeGreaterThan(asked);
  });

  it('takes what nobody would look for: other versions, what is held twice, what has no head; but nothing that is young', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    await keep(store, 'k', noise(3 * MIB, 1), headOf(3 * MIB, '"old"'));
    const [old] = extentsOf(folder);
    linkSync(old!, join(folder, 'aside'));
    await keep(store, 'k', noise(3 * MIB, 2), headOf(3 * MIB, '"new"'));
    await until(() => !existsSync(old!));
    linkSync(join(folder, 'aside'), old!);
    const [current] = extentsOf(folder).filter(path => path !== old);
    const headless = current!.replace(/[^/]+$/, name => `${'0'.repeat(64)}${name.slice(64)}`);
    copyFileSync(current!, headless);
    expect(faults(await verified(store))).toEqual([]);
    later(store, HOUR);
    expect(faults(await verified(store))).toEqual(['leftover k']);
    expect(existsSync(old!)).toBe(false);
    later(store, 30 * HOUR);
    expect(faults(await verified(store))).toEqual(['leftover']);
    expect(extentsOf(folder)).toEqual([current]);
    vi.restoreAllMocks();
  });

  it('leaves alone what it does not know, and says so', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    await keep(store, 'k', noise(20 * MIB));
    const leaf = dirname(heads(folder)[0]!);
    const tree = readdirSync(leaf).find(name => name.endsWith('.d'))!;
    for (const path of [join(leaf, 'notes.txt'), join(leaf, tree, 'x')]) writeFileSync(path, 'mine');
    expect(faults(await verified(store))).toEqual(['unknown', 'unknown k']);
    expect(existsSync(join(leaf, 'notes.txt'))).toBe(true);
  });

  it('tells what the volume does not give out, leaves it, and goes on', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    await keep(store, 'k', noise(20 * MIB));
    const { volume } = store;
    const real = volume.read.bind(volume);
    let reads = 0;
    volume.read = (...args) =>
      ++reads === 12 ? Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' })) : real(...args);
    const events = await verified(store);
    expect(faults(events)).toEqual(['unreadable k']);
    expect(end(events)).toMatchObject({ unreadable: 1, damaged: 0 });
    expect(extentsOf(folder)).toHaveLength(3);
  });

  it('puts the accounting right, and says by how much it was off', async () => {
    const folder = tempFolder();
    const { store } = await openStore(folder);
    await keep(store, 'k', noise(3 * MIB));
    await until(() => store.capacity.counted);
    store.capacity.add(1_000_000, join(folder, 'buckets', 'data'));
    expect(end(await verified(store)).correction).toBe(-1_000_000);
    expect(store.capacity.bytes).toBe(diskUsage(join(folder, 'buckets')));
  });

  it('goes on where it was stopped, in another process, too, or begins from the start', async () => {
    const folder = tempFolder();
    const first = await openStore(folder);
    for (let i = 0; i < 40; i++) await keep(first.store, `k${i}`, noise(100_000, i));
    const stop = new AbortController();
    const seen: string[] = [];
    const { volume } = first.store;
    const real = volume.readdir.bind(volume);
    volume.readdir = path => {
      if (/[/\\][0-9a-f]{3}$/.test(path)) seen.push(path);
      if (seen.length === 20) stop.abort();
      return real(path);
    };
    await expect(verified(first.store, true, stop.signal)).rejects.toThrow(/abort/i);
    await first.close();

    const { store } = await openStore(folder);
    const state = JSON.parse(readFileSync(join(folder, 'verify.json'), 'utf8'));
    expect(state.counts.objects).toBeGreaterThan(10);
    expect(statSync(join(folder, 'verify.json')).mode & 0o777).toBe(0o600);
    const again: string[] = [];
    const readdir = store.volume.readdir.bind(store.volume);
    store.volume.readdir = path => {
      if (/[/\\][0-9a-f]{3}$/.test(path)) again.push(path);
      return readdir(path);
    };
    const { began, objects } = end(await verified(store, false));
    expect(began).toBe(state.began);
    // Those that were in hand when it was stopped are looked at again.
    const both = new Set([...seen, ...again.filter(path => path.startsWith(join(folder, 'buckets')))]);
    expect(both.size).toBe(new Set(heads(folder).map(path => dirname(path))).size);
    expect(objects).toBeGreaterThanOrEqual(40);
    expect(objects).toBeLessThanOrEqual(45);
    expect(existsSync(join(folder, 'verify.json'))).toBe(false);
    expect(end(await verified(store, false)).objects).toBe(40);

    appendFileSync(join(folder, 'verify.json'), '{"began":"20');
    expect(end(await verified(store, false)).objects).toBe(40);
  });

  it('is done once at a time', async () => {
    const { store } = await openStore(tempFolder());
    const running = store.care.verify(new AbortController().signal, { fromStart: true })[Symbol.asyncIterator]();
    await running.next();
    await expect(verified(store)).rejects.toThrow('verifying its cache already');
    await running.return?.();
    expect(end(await verified(store)).objects).toBe(0);
  });

  it('holds up no reads, and harms nothing that is written meanwhile', async () => {
    const place = await startControlled();
    const { origin, client, core, lines } = place;
    const size = 700_000;
    for (let i = 0; i < 12; i++) origin.put('data', `k${i}`, generatedBody(size, i));
    let verifying = true;
    const reads = Promise.all(
      Array.from({ length: 3 }, async (_, who) => {
        for (let i = who; verifying; i = (i + 5) % 12) {
          const { body, complete } = await client.send({ key: `k${i}` });
          if (!complete || hash(body) !== hash(generatedBody(size, i).read(0, size))) throw new Error(`k${i} is wrong`);
          if (i % 4 === 0)
            await client.send({ key: `k${i}`, method: 'PUT', body: generatedBody(size, i).read(0, size) });
        }
      }),
    );
    for (let i = 0; i < 3; i++) expect(faults(await lines('POST', '/v1/verify?from_start=true'))).toEqual([]);
    verifying = false;
    await reads;
    expect(core.status().counters).toMatchObject({ disk_errors: 0, disk_corrupt: 0 });
  });
});
