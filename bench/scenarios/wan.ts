import { bytesBeside, fromOrigin } from '../figures.ts';
import { type Ask, lengthOf, objects } from '../objects.ts';
import type { Shape } from '../shape.ts';
import { inTurn, measureFresh } from './fresh.ts';
import { ONE_CONNECTION } from './parallel.ts';
import type { Run } from './types.ts';

export interface WanOptions {
  readonly size: string;
  readonly title: string;
  readonly shape: Shape;
  readonly rounds: number;
}

/** What the way through the proxy costs a cold read that is bounded by a far origin, parallel fill not helping. */
export function wan({ size, title, shape, rounds }: WanOptions): Run {
  return async stage => {
    await stage.shape(shape);
    const asks = objects(size, 1) as [Ask];
    const plan = { asks, connections: 1, check: true };
    const { direct, through } = await inTurn(rounds, {
      direct: () => stage.measureDirect(plan),
      through: () => measureFresh(stage, plan, { cache: ONE_CONNECTION }),
    });
    const figures = { ...bytesBeside(through, direct), ...fromOrigin(through, lengthOf(asks[0])) };
    return [{ id: 'wan', title: `cold ${title}`, figures }];
  };
}
