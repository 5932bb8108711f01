import { readdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { expect, it } from 'vitest';
import { generatedBody } from '../origin/index.ts';
import { eventually } from '../read/helpers.ts';
import { describeWith } from '../tools/index.ts';
import { mountFaulty, type Rule } from './mount.ts';
import { type FaultyPlace, MIB, PATIENCE, SECOND, startFaultyPlace } from './place.ts';

const SIZE = 12 * MIB;
const BODY = generatedBody(SIZE, 3).read(0, SIZE);
const TEXT = Buffer.from('a line of text that is repeated, again and again\n'.repeat(60_000));
const SMALL = TEXT.subarray(0, 20_000);
const BODIES: Readonly<Record<string, Buffer>> = { noise: BODY, text: TEXT, small: SMALL };
const ADDING = ['write', 'create', 'mkdir', 'link', 'rename'];

/** Last the words that a person finds in status and health. */
const FAULTS: readonly [string, readonly Rule[], RegExp][] = [
  ['is full', [{ ops: ADDING, error: 'ENOSPC' }], /ENOSPC/],
  ['fills up in the middle of a fill', [{ ops: ['write'], after: 5 * MIB, error: 'ENOSPC' }], /ENOSPC/],
  ['fails in the middle of a fill', [{ ops: ['write'], after: 5 * MIB, error: 'EIO' }], /EIO/],
  ['can not be read', [{ ops: ['read'], error: 'EIO' }], /could not be read.*EIO/],
  ['no longer knows its files', [{ error: 'ESTALE' }], /ESTALE/],
  ['fails at everything', [{ error: 'EIO' }], /EIO/],
  ['has become read-only', [{ ops: ['changes'], error: 'EROFS' }], /EROFS/],
];

describeWith('fuse', 'a cache volume that', () => {
  it.each(FAULTS)(
    '%s costs hits, not reads, and is used again when it is well',
    async (_, rules, seen) => {
      const place = await startFaultyPlace();
      const { volume, health, status } = place;
      await keep(place, 'before');
      await volume.set(...rules);
      await readAll(place, 'before');
      await readAll(place, 'during');
      await volume.met;
      await readAll(place, 'during');
      await eventually(async () => (await health()).reasons.some(reason => seen.test(reason)));
      expect((await health()).status).toBe(200);
      expect((await status()).problems).toEqual((await health()).reasons);
      await volume.set();
      await keep(place, 'before');
      await keep(place, 'after');
      await expectNothingHeld(place);
    },
    PATIENCE,
  );

  it(
    'has lost the cache folder costs hits, not reads, and gets a new one',
    async () => {
      const place = await startFaultyPlace();
      await keep(place, 'before');
      await rm(`${place.volume.backing}/cache`, { recursive: true });
      await readAll(place, 'before');
      await keep(place, 'before');
      await keep(place, 'after');
      await expectNothingHeld(place);
    },
    PATIENCE,
  );

  it(
    'is read-only from the start is no reason not to start',
    async () => {
      const place = await startFaultyPlace(volume => volume.set({ ops: ['changes'], error: 'EROFS' }));
      await readAll(place, 'during');
      expect((await place.health()).reasons.join()).toMatch(/EROFS/);
      await place.volume.set();
      await keep(place, 'after');
      expect((await place.health()).reasons).toEqual([]);
    },
    PATIENCE,
  );

  it(
    'has become read-only is told in a line or two, however much is read',
    async () => {
      const place = await startFaultyPlace();
      await keep(place, 'before');
      await place.volume.set({ ops: ['changes'], error: 'EROFS' });
      for (let i = 0; i < 10; i++) await readAll(place, `during-${i}`);
      await eventually(async () => (await place.health()).reasons.some(reason => /EROFS/.test(reason)));
      for (let i = 0; i < 10; i++) await readAll(place, `after-${i}`);
      expect((await place.logged()).filter(line => /EROFS/.test(line)).length).toBeLessThanOrEqual(3);
    },
    PATIENCE,
  );

  it(
    'is taken away costs hits, not reads; nothing is made where it was, and it is used again when it is back',
    async () => {
      const place = await startFaultyPlace();
      const { volume, health } = place;
      await keep(place, 'before');
      await volume.unmount();
      await readAll(place, 'before');
      await readAll(place, 'during');
      await eventually(async () => (await health()).reasons.some(reason => /not mounted any more/.test(reason)));
      await readAll(place, 'during');
      await expectNothingHeld(place);
      expect(await readdir(volume.path)).toEqual([]);
      await using _again = await mountFaulty(dirname(volume.path));
      await eventually(async () => (await health()).reasons.every(reason => !/not mounted/.test(reason)));
      await keep(place, 'before');
      await keep(place, 'after');
    },
    PATIENCE,
  );
});

async function readAll({ origin, read }: FaultyPlace, prefix: string): Promise<number> {
  let bodies = 0;
  for (const [name, body] of Object.entries(BODIES)) {
    const key = `${prefix}/${name}`;
    if (!origin.object('data', key)) origin.put('data', key, body);
    bodies += (await read({ key }, body)).bodies;
    bodies += (await read({ key, range: `bytes=1000-${body.length - 2000}` }, body.subarray(1000, body.length - 1999)))
      .bodies;
  }
  return bodies;
}

/** Reads until all comes from the cache. */
async function keep(place: FaultyPlace, prefix: string): Promise<void> {
  await eventually(async () => (await readAll(place, prefix)) === 0, 10 * SECOND);
}

async function expectNothingHeld({ metric, leakedFiles }: FaultyPlace): Promise<void> {
  await eventually(async () => (await metric('cistern_flights')) === 0);
  await eventually(async () => (await metric('cistern_buffer_bytes')) === 0);
  await eventually(async () => (await leakedFiles()).length === 0);
}
