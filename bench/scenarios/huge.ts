import { bytesBeside } from '../figures.ts';
import { objects, sizeOf } from '../objects.ts';
import type { Plan } from '../stage.ts';
import { measureFresh } from './fresh.ts';
import type { Run } from './types.ts';

export interface HugeOptions {
  readonly size: string;
  readonly title: string;
  readonly smallSize: string;
  readonly smallTitle: string;
}

/** More than can be read through any loopback. */
const AT_MOST_PER_SECOND = 10e9;
/** So that a long or fast run doesn't fill the disk. */
const cache = { max_cache_size: '8GiB' };

/** A reader of one object without end, and one of small objects one after the other: neither may need more memory. */
export function huge({ size, title, smallSize, smallTitle }: HugeOptions): Run {
  return async (stage, seconds) => {
    const [largeAsk] = objects(size, 1);
    const many = Math.ceil((seconds * AT_MOST_PER_SECOND) / sizeOf(objects(smallSize, 1)[0]!.path)!);
    const plans: Record<'small' | 'large', Plan> = {
      small: { asks: objects(smallSize, many), connections: 1, seconds, check: true },
      large: { asks: [largeAsk!], connections: 1, seconds, check: true },
    };
    const small = await measureFresh(stage, plans.small, { cache, watchBudget: true });
    const large = await measureFresh(stage, plans.large, { cache, watchBudget: true });
    return [
      {
        id: 'huge-small',
        title: `cold ${smallTitle}, one after the other`,
        figures: bytesBeside(small, await stage.measureDirect(plans.small)),
      },
      {
        id: 'huge',
        title: `the first of a cold ${title}`,
        figures: {
          ...bytesBeside(large, await stage.measureDirect(plans.large)),
          ...(small.used && large.used
            ? { times_small_memory: large.used.proxyPeakMiB / small.used.proxyPeakMiB }
            : {}),
        },
      },
    ];
  };
}
