import { bytesBeside, fromOrigin, wholeTimes } from '../figures.ts';
import { type Ask, lengthOf, objects } from '../objects.ts';
import type { Shape } from '../shape.ts';
import { measureFresh } from './fresh.ts';
import type { Run } from './types.ts';

export interface HerdOptions {
  readonly clients: number;
  readonly size: string;
  readonly title: string;
  readonly shape: Shape;
}

/** Many clients ask at once for one object that nobody has read yet. */
export function herd({ clients, size, title, shape }: HerdOptions): Run {
  return async stage => {
    await stage.shape(shape);
    const [object] = objects(size, 1) as [Ask];
    const plan = { asks: Array.from({ length: clients }, () => object), connections: clients, check: true };
    const direct = await stage.measureDirect(plan);
    const through = await measureFresh(stage, plan, { watchBudget: true });
    const figures = {
      ...bytesBeside(through, direct),
      ...wholeTimes(through),
      ...fromOrigin(through, lengthOf(object)),
    };
    return [{ id: 'herd', title: `${clients} clients, one cold ${title}`, figures }];
  };
}
