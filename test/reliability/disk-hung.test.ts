import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { generatedBody } from '../origin/index.ts';
import { bytesOf } from '../read/client.ts';
import { eventually } from '../read/helpers.ts';
import { describeWith } from '../tools/index.ts';
import { BY_NAME, type FaultyPlace, MIB, PATIENCE, SECOND, startFaultyPlace } from './place.ts';

const SIZE = 20 * MIB;
const BODY = generatedBody(SIZE, 3).read(0, SIZE);
const TEXT = Buffer.from('a line of text that is repeated, again and again\n'.repeat(60_000));
/** What a read may take beside a hung disk: a few deadlines of half a second, on a busy machine. */
const SOON = 5 * SECOND;
const NOT_ANSWERING = /cache volume (does|did) not answer/;

async function placeWith(): Promise<FaultyPlace> {
  const place = await startFaultyPlace();
  const { origin } = place;
  for (const key of ['warm', 'cold', 'new', 'after']) origin.put('data', key, BODY);
  for (const key of ['text', 'new-text']) origin.put('data', key, TEXT);
  await kept(place, 'warm', BODY);
  await kept(place, 'text', TEXT);
  return place;
}

async function kept({ read }: FaultyPlace, key: string, body: Buffer): Promise<void> {
  await eventually(async () => (await read({ key }, body)).bodies === 0, 10 * SECOND);
}

async function expectSoon(reading: Promise<{ ms: number }>): Promise<void> {
  expect((await reading).ms).toBeLessThan(SOON);
}

describeWith('fuse', 'a cache volume that hangs', () => {
  it.each([
    ['as a whole', (place: FaultyPlace) => place.volume.freeze(), (place: FaultyPlace) => place.volume.thaw()],
    [
      'in reads',
      ({ volume }: FaultyPlace) => volume.set({ ops: ['read'], hang: true }),
      ({ volume }: FaultyPlace) => volume.set(),
    ],
    [
      'in opening',
      ({ volume }: FaultyPlace) => volume.set({ ops: ['open', 'create'], hang: true }),
      ({ volume }: FaultyPlace) => volume.set(),
    ],
    [
      'in writes',
      ({ volume }: FaultyPlace) => volume.set({ ops: ['changes'], hang: true }),
      ({ volume }: FaultyPlace) => volume.set(),
    ],
  ])(
    '%s: reads under way end, others go on, and caching resumes when it answers',
    async (_, hang, release) => {
      const place = await placeWith();
      const { origin, client, read, metric, leakedFiles, health } = place;
      const stalled = origin.faults.on({ key: 'cold', times: 1 }, { stallAfter: 10 * MIB });
      const cold = await client.begin({ key: 'cold' });
      const warm = await client.begin({ key: 'warm' });
      const starts = await Promise.all([bytesOf(cold, MIB), bytesOf(warm, MIB)]);
      await stalled.struck;
      await hang(place);
      stalled.release();
      const began = performance.now();
      for (const [i, response] of [cold, warm].entries()) {
        const rest = await bytesOf(response, Number.POSITIVE_INFINITY);
        expect(response.complete).toBe(true);
        expect(Buffer.concat([starts[i]!, rest]).equals(BODY)).toBe(true);
      }
      expect(performance.now() - began).toBeLessThan(2 * SOON);
      await expectSoon(read({ key: 'new' }, BODY));
      await expectSoon(read({ key: 'warm' }, BODY));
      await expectSoon(read({ key: 'text' }, TEXT));
      await expectSoon(read({ key: 'new-text' }, TEXT));
      // A name that has to be looked up, which takes a thread of the same pool.
      const looked = performance.now();
      expect((await client.send({ key: '', query: '?list-type=2', base: BY_NAME })).status).toBe(200);
      expect(performance.now() - looked).toBeLessThan(SOON);
      await Promise.all(
        Array.from({ length: 40 }, (_, i) => expectSoon(read({ key: 'text', range: `bytes=${i}-` }, TEXT.subarray(i)))),
      );
      // All that may be before the first operation has missed its deadline.
      await eventually(async () => NOT_ANSWERING.test((await health()).reasons.join()), 5 * SECOND);
      await release(place);
      await eventually(
        async () => (await health()).reasons.every(reason => !/does not answer/.test(reason)),
        10 * SECOND,
      );
      for (const key of ['warm', 'after']) await kept(place, key, BODY);
      await eventually(async () => (await metric('cistern_buffer_bytes')) === 0);
      await eventually(async () => (await leakedFiles()).length === 0);
    },
    40 * SECOND,
  );

  it(
    'lets a bucket be read for the first time',
    async () => {
      const { volume, read, health } = await placeWith();
      volume.freeze();
      await expectSoon(read({ key: 'new', base: BY_NAME }, BODY));
      expect((await health()).reasons.join()).toMatch(/_settings\.json: the cache volume does not answer/);
    },
    PATIENCE,
  );

  it(
    'lets writes through, and nobody reads what was there before',
    async () => {
      const place = await placeWith();
      const { volume, client, read } = place;
      const written = Buffer.from('written while the cache volume hung\n'.repeat(60_000));
      volume.freeze();
      const began = performance.now();
      expect((await client.send({ key: 'text', method: 'PUT', body: written })).status).toBe(200);
      expect(performance.now() - began).toBeLessThan(SOON);
      await expectSoon(read({ key: 'text' }, written));
      volume.thaw();
      await read({ key: 'text' }, written);
      await kept(place, 'text', written);
    },
    PATIENCE,
  );

  it(
    'from the start on is no reason not to start',
    async () => {
      const began = performance.now();
      const place = await startFaultyPlace(volume => volume.freeze());
      expect(performance.now() - began).toBeLessThan(10 * SECOND);
      place.origin.put('data', 'new', BODY);
      await expectSoon(place.read({ key: 'new' }, BODY));
      expect((await place.health()).reasons.join()).toMatch(NOT_ANSWERING);
      place.volume.thaw();
      await kept(place, 'new', BODY);
      expect((await place.health()).reasons.filter(reason => /at the moment/.test(reason))).toEqual([]);
    },
    PATIENCE,
  );

  it.each<[string, (place: FaultyPlace) => unknown]>([
    ['where it can be killed', place => place.volume.freeze()],
    ['where it can not', place => place.volume.set({ hang: true })],
  ])(
    'does not keep the process from ending when told, %s while it waits',
    async (_, hang) => {
      const place = await placeWith();
      const { cistern, pid, read } = place;
      await hang(place);
      await expectSoon(read({ key: 'new' }, BODY));
      const began = performance.now();
      void cistern.stop();
      await eventually(() => hasEnded(pid), 5 * SECOND);
      expect(performance.now() - began).toBeLessThan(5 * SECOND);
      await expect(read({ key: 'new' }, BODY)).rejects.toThrow(/ECONNREFUSED/);
    },
    PATIENCE,
  );
});

/** Gone, or killed: the kernel keeps what is left of a process until the threads are back that no signal reaches. */
function hasEnded(pid: number): boolean {
  try {
    return /^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return true;
  }
}
