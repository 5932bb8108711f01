import { describe, expect, it } from 'vitest';
import { checkPlan } from './check.ts';
import { PLANS } from './places.ts';
import { Tally } from './tally.ts';

/** Of the first schedule. The command `npm run model` takes another one each time. */
const SEED = 1;
const TIME = 18_000;
const SHRINK_TIME = 60_000;

/** What has to have come about in a place, or the test would show less than it says. */
const MUST_HAPPEN = ['HIT', 'MISS', 'REVALIDATED', 'complete', 'left', 'GET 200', 'GET 206', 'GET 304', 'GET 403'];

describe('whatever clients, writers, faults and losses do at the same time, every answer is right', () => {
  it.each(PLANS)(
    'with $name',
    async plan => {
      const tally = new Tally();
      await checkPlan(plan, { seed: SEED, time: TIME, shrinkTime: SHRINK_TIME, tally });
      for (const name of MUST_HAPPEN) expect(tally.counts.get(name), `${name}: ${tally}`).toBeGreaterThan(0);
      expect(tally.steps).toBeGreaterThan(200);
    },
    TIME + SHRINK_TIME + 60_000,
  );
});
