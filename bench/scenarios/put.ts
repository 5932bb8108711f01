import { bytesBeside, type Figures, requestsBeside } from '../figures.ts';
import { type Ask, objects, uploads } from '../objects.ts';
import type { Shape } from '../shape.ts';
import type { Measured, Stage } from '../stage.ts';
import type { Run } from './types.ts';

export interface PutLine {
  readonly id: string;
  readonly title: string;
  readonly size: string;
  readonly count: number;
  readonly connections: number;
  readonly shape: Shape;
  /** Of what the result is told. */
  readonly per: 'byte' | 'request';
}

/** Uploads beside those straight to the origin, and what the origin is asked for when they are read afterwards. */
export function put(lines: readonly PutLine[]): Run {
  return async stage => {
    await stage.startProxy();
    await stage.measure({ asks: uploads(objects('1k', 16, 'first')), connections: 4 });
    const rows = [];
    for (const { id, title, size, count, connections, shape, per } of lines) {
      await stage.shape(shape);
      const asks = objects(size, count, id.replaceAll('-', ''));
      const plan = { asks: uploads(asks), connections };
      // Between two of the origin's own, so that both see the machine alike.
      const before = await stage.measureDirect(plan);
      const measured = await stage.measure(plan);
      const after = await stage.measureDirect(plan);
      const direct = { ...before, seconds: (before.seconds + after.seconds) / 2 };
      const figures = per === 'byte' ? bytesBeside(measured, direct) : requestsBeside(measured, direct);
      rows.push({ id, title, figures: { ...figures, ...(await readBack(stage, asks, measured)) } });
    }
    return rows;
  };
}

/** What of the uploads the origin had to send when they were read: a byte of each, where all of them were kept. */
async function readBack(stage: Stage, asks: readonly Ask[], { bytes }: Measured): Promise<Figures> {
  await stage.shape({});
  const read = await stage.measure({ asks, connections: 1, check: true });
  return { origin_requests: read.originRequests, origin_bodies: (read.originBytes / bytes) * asks.length };
}
