import { describe, expect, it } from 'vitest';
import { checkPlan } from './check.ts';
import { PLANS } from './places.ts';
import { Tally } from './tally.ts';

/** Of the first schedule. The command `npm run model` takes another one each time. */
const SEED = 1;
const TIME = 13_000;
/** On a machine that is busy with other things. */
const LEAST = 7;
const SHRINK_TIME = 60_000;

/** What has to have come about in a place, or the test would show less than it says. */
const EVERYWHERE = ['HIT', 'MISS', 'REVALIDATED', 'complete', 'left', 'GET 200', 'GET 206', 'GET 304', 'GET 403'];
/** And in all of them together. */
const SOMEWHERE = [
  ...['put', 'post form', 'copy', 'multipart', 'delete', 'delete many', 'tag'],
  ...['write done', 'write refused', 'write unknown', 'write left', 'GET 404', 'GET 412'],
];
/** What the cache is for: not always, since it may be short of room, but nearly. */
const KEPT = ['uploads read', 'objects after a failed write read'];

const all = new Tally();

describe('whatever clients, writers, faults and losses do at the same time, every answer is right', () => {
  it.each(PLANS)(
    'with $name',
    async plan => {
      const tally = new Tally();
      await checkPlan(plan, { seed: SEED, time: TIME, least: LEAST, shrinkTime: SHRINK_TIME, tally });
      for (const name of EVERYWHERE) expect(tally.counts.get(name), `${name}: ${tally}`).toBeGreaterThan(0);
      expect(tally.steps).toBeGreaterThan(200);
      all.add(tally);
    },
    TIME + SHRINK_TIME + 60_000,
  );

  it('and every kind of write has come about, with what was uploaded read from the cache', () => {
    for (const name of SOMEWHERE) expect(all.counts.get(name), `${name}: ${all}`).toBeGreaterThan(0);
    for (const name of KEPT) {
      const [read = 0, kept = 0] = [name, `${name} without a body`].map(what => all.counts.get(what));
      expect(read, `${name}: ${all}`).toBeGreaterThan(3);
      expect(kept, `${name} without a body: ${all}`).toBeGreaterThanOrEqual(read * 0.7);
    }
  });
});
