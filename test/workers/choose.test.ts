import { describe, expect, it } from 'vitest';
import { type Candidate, choose, HANGS_AFTER } from '../../main/command/workers/choose.ts';

const NOW = 1_000_000;
const worker = (open: number, more: Partial<Candidate> = {}): Candidate => ({
  open,
  handedAt: undefined,
  lastAt: 0,
  ...more,
});

describe('the next connection', () => {
  it('goes to the worker with the fewest', () => {
    const workers = [worker(3), worker(1), worker(2)];
    expect(choose(workers, NOW)).toBe(workers[1]);
  });

  it('goes round among equals', () => {
    const workers = [worker(0, { lastAt: 3 }), worker(0, { lastAt: 1 }), worker(0, { lastAt: 2 })];
    expect(choose(workers, NOW)).toBe(workers[1]);
  });

  it('waits for the worker that is to have it until that has taken the one before', () => {
    expect(choose([worker(0, { handedAt: NOW - 1 }), worker(5)], NOW)).toBeUndefined();
  });

  it('counts one that is not taken yet as one that is there', () => {
    const workers = [worker(1, { handedAt: NOW - 1 }), worker(1)];
    expect(choose(workers, NOW)).toBe(workers[1]);
  });

  it('goes past a worker that hangs, and waits where all do', () => {
    const hanging = worker(0, { handedAt: NOW - HANGS_AFTER });
    const busy = worker(50);
    expect(choose([hanging, busy], NOW)).toBe(busy);
    expect(choose([hanging, hanging], NOW)).toBeUndefined();
    expect(choose([], NOW)).toBeUndefined();
  });

  it('spreads a burst evenly, however late connections are taken', () => {
    const workers = [0, 1, 2].map(() => ({ open: 0, handedAt: undefined as number | undefined, lastAt: 0 }));
    let now = NOW;
    for (let handed = 0; handed < 300; now++) {
      // The first takes what it gets at once, the last only now and then.
      for (const [i, one] of workers.entries())
        if (one.handedAt !== undefined && now % (i * 7 + 1) === 0) {
          one.handedAt = undefined;
          one.open++;
        }
      const chosen = choose(workers, now);
      if (!chosen) continue;
      Object.assign(chosen, { handedAt: now, lastAt: now });
      handed++;
    }
    for (const one of workers) if (one.handedAt !== undefined) one.open++;
    expect(workers.map(({ open }) => open)).toEqual([100, 100, 100]);
  });
});
