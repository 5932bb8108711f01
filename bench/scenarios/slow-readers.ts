import { byteRate, bytesBeside, cpuPerByte, firstBytesBeside, rateBeside, usage } from '../figures.ts';
import type { LoadResult } from '../load.ts';
import { objects } from '../objects.ts';
import type { Measured, Plan, SlowPlan } from '../stage.ts';
import { measureFresh } from './fresh.ts';
import type { Run } from './types.ts';

export interface SlowReadersOptions {
  readonly fast: number;
  readonly slow: number;
  /** Of each slow reader. */
  readonly bytesPerSecond: number;
  readonly size: string;
  readonly title: string;
}

/** So that a long or fast run doesn't fill the disk. */
const cache = { max_cache_size: '8GiB' };

/** Each reads a cold object of its own, far larger than what memory there is: the fast ones alone, then slow ones beside. */
export function slowReaders({ fast, slow, bytesPerSecond, size, title }: SlowReadersOptions): Run {
  return async (stage, seconds) => {
    const plan: Plan = { asks: objects(size, fast, 'fast'), connections: fast, seconds, check: true };
    const slowPlan: SlowPlan = { asks: objects(size, slow, 'slow'), connections: slow, check: true, bytesPerSecond };
    const direct = {
      alone: await stage.measureDirect(plan),
      mixed: await stage.measureDirect(plan, { slow: slowPlan }),
    };
    const alone = await measureFresh(stage, plan, { cache, watchBudget: true });
    const mixed = await measureFresh(stage, plan, { cache, watchBudget: true, slow: slowPlan });
    const all = together(mixed);
    return [
      {
        id: 'readers-alone',
        title: `${fast} readers of cold ${title}`,
        figures: bytesBeside(alone, direct.alone),
      },
      {
        id: 'readers-mixed',
        title: `the same, ${slow} slow readers beside`,
        figures: {
          ...bytesBeside(mixed, direct.mixed),
          ...cpuPerByte(all),
          times_alone: byteRate(mixed) / byteRate(alone),
        },
      },
      {
        id: 'readers-slow',
        title: `the slow ones, ${bytesPerSecond / 1e6} MB/s each`,
        figures: {
          ...rateBeside(slowOf(mixed), slowOf(direct.mixed)),
          ...firstBytesBeside(slowOf(mixed), slowOf(direct.mixed)),
        },
      },
      {
        id: 'readers-all',
        title: 'all of them',
        figures: { ...rateBeside(all, together(direct.mixed)), ...cpuPerByte(all), ...usage(all) },
      },
    ];
  };
}

function slowOf({ slow }: Measured): LoadResult {
  if (!slow) throw new Error('there were no slow readers');
  return slow;
}

/** What fast and slow ones got. */
function together(measured: Measured): Measured {
  const { bytes, seconds } = slowOf(measured);
  // Each rate over its own time, which may differ by some ms.
  return { ...measured, bytes: measured.bytes + bytes * (measured.seconds / seconds) };
}
