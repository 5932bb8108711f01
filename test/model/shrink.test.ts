import { expect, it } from 'vitest';
import { shrink } from './shrink.ts';
import { PLAIN_READ, type Schedule, type Step } from './steps.ts';

const removal: Step = { do: 'remove', of: 'plain', after: 3 };
const read: Step = { ...PLAIN_READ, want: { what: 'part', number: 2 }, checksums: true, after: 10 };

it('what is left of a schedule is what it fails for, made plain', async () => {
  const noise: Step[] = [read, read, read];
  const schedule: Schedule = [noise, [read, removal, read], noise, noise, [read, { ...read, signs: 'url' }], noise];
  // Fails when a presigned read comes in a later wave than a removal.
  const fails = (candidate: Schedule) => {
    const at = candidate.findIndex(wave => wave.some(step => step.do === 'remove'));
    const rest = at < 0 ? [] : candidate.slice(at + 1).flat();
    return Promise.resolve(rest.some(step => step.do === 'read' && step.signs === 'url'));
  };
  expect(await shrink(schedule, fails, performance.now() + 5000)).toEqual([
    [{ ...removal, after: 0 }],
    [{ ...PLAIN_READ, signs: 'url' }],
  ]);
});
