import { type Row, requestsBeside } from '../figures.ts';
import { objects } from '../objects.ts';
import type { Shape } from '../shape.ts';
import type { Run } from './types.ts';

export interface ColdSmallLine {
  readonly id: string;
  readonly title: string;
  readonly connections: number;
  readonly shape: Shape;
}

/** Small objects that are read for the first time, beside what the origin needs for the same. */
export function coldSmall(count: number, lines: readonly ColdSmallLine[]): Run {
  return async stage => {
    await stage.startProxy();
    await stage.verify(objects('1k', count, 'first'), 16);
    const rows: Row[] = [];
    for (const [i, { id, title, connections, shape }] of lines.entries()) {
      await stage.shape(shape);
      const plan = { asks: objects('1k', count, `line${i}n`), connections, check: true };
      const direct = await stage.measureDirect(plan);
      const figures = requestsBeside(await stage.measure(plan), direct);
      rows.push({ id, title, figures });
    }
    return rows;
  };
}
