import type { Asked } from './expected.ts';
import type { Seen } from './judge.ts';

/** What happened in all, so that a test can tell that everything did. */
export class Tally {
  schedules = 0;
  steps = 0;
  readonly counts = new Map<string, number>();

  read(seen: Seen, { method }: Asked): void {
    this.count(`${method} ${seen.status}`);
    this.count(seen.complete ? 'complete' : seen.left ? 'left' : 'cut');
    const cache = seen.header('x-cache');
    if (cache !== undefined) this.count(cache);
  }

  add({ schedules, steps, counts }: Tally): void {
    this.schedules += schedules;
    this.steps += steps;
    for (const [name, count] of counts) this.count(name, count);
  }

  toString(): string {
    const counts = [...this.counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, count]) => `${name}: ${count}`);
    return `${this.schedules} schedules, ${this.steps} steps; ${counts.join(', ')}`;
  }

  count(name: string, times = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + times);
  }
}
