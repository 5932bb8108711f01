import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VolumeClock } from '../../../proxy-core/store/disk/volume-clock.ts';

const MINUTE = 60_000;

/** A heartbeat a second, a little late each time, on a volume whose clock is ahead and knows times no finer than `grain`. */
function beats(clock: VolumeClock, ahead: number, grain: number, count: number, start = 1_700_000_000_123): number[] {
  return Array.from({ length: count }, (_, i) => {
    const before = start + i * 1003;
    const after = before + 7;
    clock.saw(Math.floor((before + 3 + ahead) / grain) * grain, before, after);
    return clock.ahead;
  });
}

describe('the clock of a volume', () => {
  it('is ours where the two can’t be told apart, however coarse its times are', () => {
    for (const grain of [1, 4, 10, 1000]) {
      expect(new Set(beats(new VolumeClock(), 0, grain, 1000))).toEqual(new Set([0]));
    }
  });

  it('is found to within what it knows of times, comes nearer with each file, and does not tremble', () => {
    fc.assert(
      fc.property(fc.integer({ min: -15 * MINUTE, max: 15 * MINUTE }), fc.constantFrom(1, 10, 1000), (ahead, grain) => {
        const seen = beats(new VolumeClock(), ahead, grain, 400);
        const off = seen.map(one => Math.abs(one - ahead));
        // The first times may be whole seconds by chance (each beat is 3 ms later in its second), and then be taken for coarse ones.
        expect(off[0]).toBeLessThanOrEqual(1040);
        expect(off[4]).toBeLessThanOrEqual(grain + 40);
        for (let i = 1; i < off.length; i++) expect(off[i]).toBeLessThanOrEqual(off[i - 1]! + 1e-6);
        // It goes one way and stays: never there and back.
        const steps = seen.slice(1).map((one, i) => Math.sign(one - seen[i]!));
        expect(new Set(steps.filter(step => step !== 0)).size).toBeLessThanOrEqual(1);
      }),
      { examples: [[-706_120, 10]] },
    );
  });

  it('is followed at once where it, or ours, is set', () => {
    const clock = new VolumeClock();
    beats(clock, 5 * MINUTE, 1, 3);
    expect(Math.abs(clock.ahead - 5 * MINUTE)).toBeLessThan(50);
    beats(clock, -3 * MINUTE, 1000, 1);
    expect(Math.abs(clock.ahead + 3 * MINUTE)).toBeLessThan(1100);
    beats(clock, 0, 1, 1);
    expect(Math.abs(clock.ahead)).toBeLessThan(50);
  });

  it('takes nothing from a file that was written while ours was set back', () => {
    const clock = new VolumeClock();
    clock.saw(1000_500, 1000_400, 990_000);
    expect(clock.ahead).toBe(0);
  });
});
