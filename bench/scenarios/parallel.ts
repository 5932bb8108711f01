import { byteRate, bytesBeside, fromOrigin } from '../figures.ts';
import { type Ask, lengthOf, objects } from '../objects.ts';
import type { Shape } from '../shape.ts';
import { inTurn, measureFresh } from './fresh.ts';
import type { Run } from './types.ts';

export interface ParallelOptions {
  readonly id: string;
  readonly title: string;
  readonly size: string;
  readonly shape: Shape;
  readonly rounds: number;
  /** Where the object is smaller than those that are fetched in parallel by default. */
  readonly minObjectSize?: string;
}

/** Parallel fetching is off. */
export const ONE_CONNECTION = { parallel_fill: { connections: 1 } };

/** One client reads one cold object on one connection: from the origin, with parallel fill, and with it off. */
export function parallel({ id, title, size, shape, rounds, minObjectSize }: ParallelOptions): Run {
  return async stage => {
    await stage.shape(shape);
    const asks = objects(size, 1) as [Ask];
    const plan = { asks, connections: 1, check: true };
    const cache = minObjectSize === undefined ? {} : { parallel_fill: { min_object_size: minObjectSize } };
    const { direct, on, off } = await inTurn(rounds, {
      direct: () => stage.measureDirect(plan),
      on: () => measureFresh(stage, plan, { cache, watchBudget: true }),
      off: () => measureFresh(stage, plan, { cache: ONE_CONNECTION, watchBudget: true }),
    });
    const length = lengthOf(asks[0]);
    return [
      {
        id,
        title: `cold ${title}, parallel fill`,
        figures: {
          ...bytesBeside(on, direct),
          times_one_connection: byteRate(on) / byteRate(off),
          ...fromOrigin(on, length),
        },
      },
      {
        id: `${id}-off`,
        title: `cold ${title}, one connection`,
        figures: { ...bytesBeside(off, direct), ...fromOrigin(off, length) },
      },
    ];
  };
}
