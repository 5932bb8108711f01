import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { open, readFile, rm, stat, truncate, unlink, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { describe, expect, it } from 'vitest';
import { generatedBody } from '../origin/index.ts';
import { type Ask, bytesOf, collect, eventually, filesUnder, MIB, type Place, startPlace } from './helpers.ts';

const HOUR = 3_600_000;
/** One that compresses, one that does not, a small one, and one of several extents with parts. */
const OBJECTS = {
  text: Buffer.from('a line of text that is repeated, again and again\n'.repeat(40_000)),
  noise: generatedBody(3 * MIB).read(0, 3 * MIB),
  small: Buffer.from('a small object'.repeat(100)),
  big: generatedBody(20 * MIB, 8).read(0, 20 * MIB),
} as const;
type Key = keyof typeof OBJECTS;
const KEYS = Object.keys(OBJECTS) as Key[];

async function filled(cache: { ram_cache_enabled?: boolean; get_ttl?: number } = {}): Promise<Place> {
  const place = await startPlace({
    cache: { get_ttl: HOUR, head_ttl: HOUR, ram_cache_enabled: false, disk_timeout: 300, ...cache },
  });
  for (const key of KEYS) place.origin.put('data', key, OBJECTS[key], key === 'big' ? { partSize: 8 * MIB } : {});
  for (const key of KEYS) await place.get({ key });
  await place.get({ key: 'big', query: '?partNumber=2' });
  // A write gives `small` an epoch file.
  await place.client.send({ key: 'small', method: 'PUT', body: OBJECTS.small });
  await place.get({ key: 'small' });
  await eventually(async () => {
    if ((await cached(place)).length >= 10) return true;
    // The disk may have missed its short deadline on a busy machine.
    for (const key of KEYS) await place.get({ key });
    await place.get({ key: 'big', query: '?partNumber=2' });
    return false;
  }, 20_000);
  return place;
}

/** Files that hold what is cached. */
async function cached({ cacheDir }: Place): Promise<string[]> {
  return filesUnder(`${cacheDir}/buckets`);
}

const asks: { key: Key; ask: Ask; start: number; end: number }[] = KEYS.flatMap(key => {
  const size = OBJECTS[key].length;
  return [
    { key, ask: { key }, start: 0, end: size },
    { key, ask: { key, range: `bytes=${Math.floor(size / 2)}-` }, start: Math.floor(size / 2), end: size },
    ...(key === 'big' ? [{ key, ask: { key, query: '?partNumber=2' }, start: 8 * MIB, end: 16 * MIB }] : []),
  ];
});

/** Every answer is complete and right. */
async function expectRight({ get }: Pick<Place, 'get'>): Promise<void> {
  for (const { key, ask, start, end } of asks) {
    const answer = await get(ask);
    expect([answer.status, answer.complete, answer.body.length], JSON.stringify(ask)).toEqual([
      start === 0 && end === OBJECTS[key].length ? 200 : 206,
      true,
      end - start,
    ]);
    expect(answer.body.equals(OBJECTS[key].subarray(start, end)), JSON.stringify(ask)).toBe(true);
  }
}

async function flip(file: string, at: number): Promise<void> {
  const handle = await open(file, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, at);
  byte[0]! ^= 0x01;
  await handle.write(byte, 0, 1, at);
  await handle.close();
}

function diskBytes({ core }: Place): number {
  return core.status().cache.disk_bytes ?? 0;
}

const DAMAGES: Record<string, (file: string) => Promise<unknown>> = {
  'a flipped bit at the start': file => flip(file, 0),
  'a flipped bit in the middle': async file => flip(file, Math.floor((await stat(file)).size / 2)),
  'a flipped bit near the start': async file => flip(file, Math.min(9, (await stat(file)).size - 1)),
  'a flipped bit at the end': async file => flip(file, (await stat(file)).size - 1),
  'a flipped bit in a digit': async file => {
    const at = (await readFile(file)).subarray(0, 4096).findIndex(byte => byte >= 0x30 && byte <= 0x38);
    return flip(file, Math.max(0, at));
  },
  truncation: async file => truncate(file, Math.floor((await stat(file)).size / 2)),
  'truncation to nothing': file => truncate(file, 0),
  deletion: file => unlink(file),
  'another content': async file => writeFile(file, Buffer.alloc((await stat(file)).size, 0x37)),
};

describe.each(Object.entries(DAMAGES))('%s of every file of the cache', (_, damage) => {
  it('while it runs never shows in what clients get', async () => {
    const place = await filled();
    await expectRight(place);
    for (const file of await cached(place)) await damage(file).catch(() => {});
    await expectRight(place);
    await expectRight(place);
  });

  it('between two runs, and with the parts of what is known in memory, never shows either', async () => {
    const place = await filled({ ram_cache_enabled: true });
    await place.core.stop();
    for (const file of await cached(place)) await damage(file).catch(() => {});
    const { client } = await place.another();
    await expectRight({ get: ask => client.send(ask) });
    await expectRight({ get: ask => client.send(ask) });
  });
});

it('a file put in the place of another is not served for it', async () => {
  const place = await filled();
  const files = (await cached(place)).filter(file => /\.\w+\.\d+-\d+$/.test(basename(file)));
  const [one, other] = files;
  const [a, b] = [await readFile(one!), await readFile(other!)];
  await writeFile(one!, b);
  await writeFile(other!, a);
  const heads = (await cached(place)).filter(file => file.endsWith('.head'));
  const contents = await Promise.all(heads.map(head => readFile(head)));
  await Promise.all(heads.map((head, i) => writeFile(head, contents[(i + 1) % heads.length]!)));
  await place.core.stop();
  const { client } = await place.another();
  await expectRight({ get: ask => client.send(ask) });
});

describe('in the middle of a read', () => {
  it.each([
    [
      'every file is damaged',
      async (place: Place) => {
        for (const file of await cached(place)) await flip(file, Math.floor((await stat(file)).size / 2));
      },
    ],
    [
      'every file is cut',
      async (place: Place) => {
        for (const file of await cached(place)) await truncate(file, 1000);
      },
    ],
    ['the whole folder is removed', (place: Place) => rm(place.cacheDir, { recursive: true, force: true })],
  ])('%s: the answer is right all the same', async (_, harm) => {
    const place = await filled();
    const response = await place.client.begin({ key: 'big' });
    const start = await bytesOf(response, MIB);
    await harm(place);
    const rest = await collect(response);
    expect(rest.complete).toBe(true);
    expect(Buffer.concat([start, rest.body]).equals(OBJECTS.big)).toBe(true);
    await expectRight(place);
  });
});

it('a cache folder that was removed is used again', async () => {
  const place = await filled();
  await rm(place.cacheDir, { recursive: true });
  await expectRight(place);
  const kept = async () => (await place.count(() => place.get({ key: 'big' }), 'big')).requests === 0;
  await eventually(kept);
});

it('a cache folder that was removed is counted anew', async () => {
  const place = await filled();
  await eventually(async () => diskBytes(place) > 20 * MIB);
  await rm(place.cacheDir, { recursive: true });
  await place.get({ key: 'small' });
  await eventually(async () => diskBytes(place) < MIB, 10_000);
});

it('an answer for which nothing is kept any more is no hit', async () => {
  const place = await filled();
  // None of these is open.
  const { hits, misses } = place.core.status().counters;
  for (const file of await cached(place)) await unlink(file);
  for (const ask of [{ key: 'noise' }, { key: 'small' }, { key: 'big', range: 'bytes=9000000-' }]) {
    const answer = await place.get(ask);
    expect([answer.complete, answer.header('x-cache'), answer.header('cache-status')]).toEqual([
      true,
      'MISS',
      'cistern; fwd=uri-miss; stored',
    ]);
  }
  await eventually(() => place.core.status().counters.misses === misses + 3);
  expect(place.core.status().counters.hits).toBe(hits);
});

it('a FIFO in the place of an extent costs a wait of the deadline, not the answer', async () => {
  const place = await filled();
  await place.core.stop();
  const extent = (await cached(place)).find(file => file.endsWith('/0-8388607'))!;
  await unlink(extent);
  execFileSync('mkfifo', [extent]);
  const { client, core } = await place.another();
  await expectRight({ get: ask => client.send(ask) });
  await expectRight({ get: ask => client.send(ask) });
  // The thread that waits for a writer is let go, or the stop would have to kill this process.
  const writer = openSync(extent, constants.O_RDWR | constants.O_NONBLOCK);
  await core.stop();
  closeSync(writer);
}, 40_000);

describe('a file that tells of a part', () => {
  it.each(Object.entries(DAMAGES))('with %s is not believed', async (_, damage) => {
    const place = await filled();
    await place.core.stop();
    const part = (await cached(place)).find(file => file.endsWith('part-2'))!;
    await damage(part);
    const { client } = await place.another();
    await expectRight({ get: ask => client.send(ask) });
  });
});
