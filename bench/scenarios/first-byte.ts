import { bytesBeside, fromFiles, requestsBeside } from '../figures.ts';
import { objects } from '../objects.ts';
import type { Run } from './types.ts';

/** How soon a hit in memory begins, one request at a time. */
export const firstByte: Run = async (stage, seconds) => {
  const small = objects('1k', 100);
  const large = objects('64m', 1);
  await stage.startProxy();
  await stage.warm([...small, ...large]);
  await stage.verify([...small, ...large]);
  const smallHits = await stage.measureWarm(small, 1, seconds);
  const largeHits = await stage.measureWarm(large, 1, seconds);
  const directSmall = await stage.measureDirect({ asks: small, connections: 1, seconds });
  const directLarge = await stage.measureDirect({ asks: large, connections: 1, seconds });
  return [
    {
      id: 'first-byte-1k',
      title: 'warm 1 KiB, memory, one request at a time',
      figures: { ...requestsBeside(smallHits, directSmall), ...fromFiles(smallHits) },
    },
    {
      id: 'first-byte-64m',
      title: 'warm 64 MiB, memory, one request at a time',
      figures: { ...bytesBeside(largeHits, directLarge), ...fromFiles(largeHits) },
    },
  ];
};
