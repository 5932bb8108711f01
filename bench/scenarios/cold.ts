import { perByte } from '../figures.ts';
import { objects } from '../objects.ts';
import type { Run } from './types.ts';

const OBJECTS = 12;

/** As much as the objects hold, however long it takes; their first reading, stored on disk. */
export const cold: Run = async stage => {
  await stage.startProxy();
  await stage.verify(objects('64m', 1, 'verified'));
  const one = await stage.measure({ asks: objects('64m', OBJECTS, 'one'), connections: 1 });
  const four = await stage.measure({ asks: objects('64m', OBJECTS, 'four'), connections: 4 });
  return [
    { id: 'cold-1', title: 'cold 64 MiB, one at a time', figures: perByte(one) },
    { id: 'cold-4', title: 'cold 64 MiB, four at a time', figures: perByte(four) },
  ];
};
