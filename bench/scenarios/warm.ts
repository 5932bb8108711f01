import { fromFiles, perByte, perRequest, type Row } from '../figures.ts';
import { type Ask, objects } from '../objects.ts';
import type { Run } from './types.ts';

const MIB = 2 ** 20;
const RANGES = 5_000;

/** Small cached objects in turn. */
export function small(id: string, size: string, asks: readonly Ask[]): Run {
  return async (stage, seconds) => {
    await stage.startProxy();
    await stage.warm(asks);
    await stage.verify(asks);
    const measured = await stage.measureWarm(asks, 32, seconds);
    return [
      { id, title: `warm ${size}, 32 connections`, figures: { ...perRequest(measured), ...fromFiles(measured) } },
    ];
  };
}

/** A large cached object, again and again. */
export function large(id: string, what: string, asks: readonly Ask[], connections: readonly number[]): Run {
  return async (stage, seconds) => {
    await stage.startProxy();
    await stage.warm(asks, 1);
    await stage.verify(asks);
    const rows: Row[] = [];
    for (const many of connections) {
      const measured = await stage.measureWarm(asks, many, seconds);
      rows.push({
        id: `${id}-${many}`,
        title: `warm ${what}, ${many === 1 ? '1 connection' : `${many} connections`}`,
        figures: { ...perByte(measured), ...fromFiles(measured) },
      });
    }
    return rows;
  };
}

/** The object comes by one whole GET; what is read of it then are ranges that lie anywhere in it. */
export function ranges(id: string, from: string): Run {
  return async (stage, seconds) => {
    const [object] = objects('256m', 1) as [Ask];
    const asks = Array.from({ length: RANGES }, (_, i): Ask => {
      const first = scattered(i) % (256 * MIB - 65_536);
      return { path: object.path, range: [first, first + 65_535] };
    });
    await stage.startProxy();
    await stage.warm([object], 1);
    await stage.verify(asks.slice(0, 100));
    const measured = await stage.measureWarm(asks, 16, seconds);
    const figures = { ...perRequest(measured), ...fromFiles(measured) };
    return [{ id, title: `warm random 64 KiB of 256 MiB, ${from}, 16 connections`, figures }];
  };
}

/** The same numbers in each run, spread over 32 bits (the finaliser of MurmurHash3). */
function scattered(index: number): number {
  let hash = index + 1;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
