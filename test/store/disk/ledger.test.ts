import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ModelProcess, ModelVolume } from '../ledger-model.ts';

const LIMIT = 100;
const OPERATIONS = [
  'publish',
  'look',
  'look',
  'look',
  'reserve',
  'reserve',
  'place',
  'place',
  'evict',
  'count',
] as const;
const EVENTS = ['join', 'kill', 'stop', 'wait'] as const;

type Step = { readonly what: (typeof OPERATIONS)[number] | (typeof EVENTS)[number]; who: number; n: number };

const steps = (events: readonly (typeof EVENTS)[number][]) =>
  fc.array(
    fc.record<Step>({
      what: fc.oneof(
        { weight: 30, arbitrary: fc.constantFrom(...OPERATIONS) },
        { weight: 2, arbitrary: fc.constantFrom(...events) },
      ),
      who: fc.nat(3),
      n: fc.integer({ min: 1, max: 30 }),
    }),
    { maxLength: 400, size: 'max' },
  );

let volume: ModelVolume;
beforeEach(() => {
  vi.spyOn(performance, 'now').mockImplementation(() => volume.clock);
});
afterEach(() => void vi.restoreAllMocks());

function begin(processes: number, stale = false): void {
  volume = new ModelVolume();
  const first = new ModelProcess(volume, 'a', LIMIT, stale);
  // It finds an empty folder.
  first.beat();
  for (let i = 0; i < 5; i++) first.count();
  first.beat();
  for (let i = 1; i < processes; i++) new ModelProcess(volume, 'abcd'[i]!, LIMIT, stale);
}

function living(): ModelProcess[] {
  return volume.processes.filter(({ alive }) => alive);
}

function take({ what, who, n }: Step, stale: boolean): void {
  if (what === 'wait') {
    volume.clock += n * 3000;
    return;
  }
  if (what === 'join') {
    if (living().length < 4) new ModelProcess(volume, `p${volume.processes.length}-`, LIMIT, stale);
    return;
  }
  const all = living();
  const process = all[who % Math.max(1, all.length)];
  if (!process) return;
  if (what === 'kill' || what === 'stop') process[what]();
  else if (what === 'reserve') process.reserve(n);
  else if (what === 'place') process.place(n % 4);
  else if (what === 'evict') process.evict(n);
  else process[what]();
}

/** All live on for a while, and one counts. */
function calmDown(): void {
  if (living().length === 0) new ModelProcess(volume, 'last', LIMIT, false);
  const beat = (seconds: number) => {
    for (let i = 0; i < seconds; i++) {
      volume.clock += 1000;
      for (const process of living()) process.beat();
    }
  };
  beat(70);
  // One that had begun before somebody was known to be dead says nothing of it.
  for (let round = 0; round < 2; round++) {
    living()[0]!.count();
    for (let i = 0; i < 10; i++) {
      for (const process of living()) if (process.isCounting) process.count();
      beat(1);
    }
  }
  beat(30);
}

describe('processes that keep one limit together', () => {
  it('never exceed it, whatever happens between two operations of one of them', () => {
    fc.assert(
      fc.property(steps(EVENTS), all => {
        begin(2);
        for (const step of all) {
          take(step, false);
          expect(volume.bytes).toBeLessThanOrEqual(LIMIT);
        }
      }),
      { numRuns: 400, interruptAfterTimeLimit: 20_000 },
    );
  });

  it('nor where a listing of the folder is old, as on a network volume', () => {
    fc.assert(
      fc.property(steps(['join', 'stop']), all => {
        begin(1, true);
        for (const step of all) {
          take(step, true);
          expect(volume.bytes).toBeLessThanOrEqual(LIMIT);
        }
      }),
      { numRuns: 400, interruptAfterTimeLimit: 20_000 },
    );
  });

  it('agree in the end on what is there, and nothing of those that have ended is left', () => {
    fc.assert(
      fc.property(steps(EVENTS), all => {
        begin(2);
        for (const step of all) take(step, false);
        calmDown();
        const told = living().map(({ accounts }) => accounts.bytes);
        expect(told).toEqual(told.map(() => volume.content));
        expect([...volume.ended.keys()]).toEqual([]);
      }),
      { numRuns: 200, interruptAfterTimeLimit: 20_000 },
    );
  });

  it('hear of what a newcomer has removed before they knew of it, without a count', () => {
    begin(1);
    const [first] = living();
    while (first!.isCounting) first!.count();
    first!.reserve(20);
    first!.place(0);
    first!.beat();
    const newcomer = new ModelProcess(volume, 'b', LIMIT, false);
    newcomer.beat();
    newcomer.evict(0);
    newcomer.evict(1);
    expect(volume.content).toBe(0);
    for (let i = 0; i < 5; i++) for (const process of living()) process.beat();
    expect(living().map(({ accounts }) => accounts.bytes)).toEqual([0, 0]);
  });

  it('count it once where one of them counts while it tells', () => {
    begin(1);
    const [first] = living();
    for (const bytes of [20, 21, 22]) {
      first!.reserve(bytes);
      first!.place(0);
      first!.beat();
    }
    while (first!.isCounting) first!.count();
    first!.beat();
    const newcomer = new ModelProcess(volume, 'b', LIMIT, false);
    newcomer.beat();
    newcomer.evict(0);
    // It looks at who is there, and walks through both folders.
    for (let i = 0; i < 3; i++) first!.count();
    newcomer.beat();
    newcomer.publish();
    first!.beat();
    while (newcomer.isLooking) newcomer.look();
    first!.count();
    expect(first!.isCounting).toBe(false);
    for (let i = 0; i < 3; i++) for (const process of living()) process.beat();
    expect(living().map(({ accounts }) => accounts.bytes)).toEqual([volume.content, volume.content]);
  });

  it('nor twice where another one ends before it is told', () => {
    begin(1);
    const [first] = living();
    while (first!.isCounting) first!.count();
    for (const bytes of [3, 18]) {
      first!.reserve(bytes);
      first!.place(0);
      first!.beat();
    }
    const [newcomer, guest] = ['b', 'c'].map(name => new ModelProcess(volume, name, LIMIT, false));
    newcomer!.beat();
    guest!.beat();
    newcomer!.evict(1);
    guest!.stop();
    newcomer!.beat();
    for (let i = 0; i < 5; i++) for (const process of living()) process.beat();
    expect(volume.content).toBe(18);
    expect(living().map(({ accounts }) => accounts.bytes)).toEqual([18, 18]);
  });

  it('see what they remove themselves at once, also before the others know of them', () => {
    begin(1);
    const [first] = living();
    first!.reserve(20);
    first!.place(0);
    first!.beat();
    const newcomer = new ModelProcess(volume, 'b', LIMIT, false);
    newcomer.beat();
    expect(newcomer.accounts.bytes).toBe(20);
    newcomer.evict(0);
    expect(newcomer.accounts.bytes).toBe(0);
    expect(newcomer.accounts.fits(1)).toBe(false);
  });

  it('leave nothing of it unused: one that needs room gets all that the others do not use', () => {
    begin(3);
    const [first, second, third] = living();
    for (const idle of [first, second]) idle!.wanted = { all: 0, first: 0 };
    for (let i = 0; i < 10; i++) for (const process of living()) process.beat();
    for (let i = 0; i < 200; i++) {
      third!.reserve(10);
      third!.place(0);
      third!.beat();
      if (i % 10 === 0) {
        volume.clock += 1000;
        first!.beat();
      }
    }
    expect(volume.content).toBeGreaterThan(LIMIT - 20);
  });
});
