import { describe, expect, it } from 'vitest';
import { generatedBody } from '../origin/index.ts';
import { type Answer, bytesOf, collect, eventually, filesUnder, MIB, type Place, startPlace } from './helpers.ts';

const HOUR = 3_600_000;
const SIZE = 60 * MIB;
const body = generatedBody(SIZE);

async function placeWith(): Promise<Place> {
  const place = await startPlace({
    cache: { get_ttl: HOUR, head_ttl: HOUR, parallel_fill: { connections: 1, min_object_size: SIZE } },
  });
  place.origin.put('data', 'k', body);
  return place;
}

/** A read of all of it, over a connection of so many bytes a second, that has come so far. */
async function slowRead({ origin, client }: Place, rate: number, come: number) {
  origin.faults.on({ key: 'k', times: 1 }, { throttle: rate });
  const response = await client.begin();
  const start = await bytesOf(response, come);
  return {
    /** The rest of it. */
    async end(): Promise<void> {
      const rest = await collect(response);
      expect(rest.complete).toBe(true);
      expect(Buffer.concat([start, rest.body]).equals(body.read(0, SIZE))).toBe(true);
    },
    leave: () => response.destroy(),
  };
}

function expectPart(answer: Answer, start: number, end: number): void {
  expect([answer.status, answer.complete, answer.body.length]).toEqual([206, true, end - start]);
  expect(answer.body.equals(body.read(start, end))).toBe(true);
}

const rangesSeen = ({ origin }: Place) => origin.requestsFor('k').map(({ headers }) => headers.range);

describe('a read of a part, while a slow read of the whole is under way', () => {
  it('that is far off does not wait for that', async () => {
    const place = await placeWith();
    const slow = await slowRead(place, 4 * MIB, MIB);
    const [from, to] = [50 * MIB, 52 * MIB];
    const begun = performance.now();
    expectPart(await place.get({ range: `bytes=${from}-${to - 1}` }), from, to);
    // The slow one would need more than ten seconds to come there.
    expect(performance.now() - begun).toBeLessThan(5000);
    expect(rangesSeen(place)).toEqual([undefined, `bytes=${from}-${to - 1}`]);
    slow.leave();
  });

  it('that is near, or behind, joins it', async () => {
    const place = await placeWith();
    const slow = await slowRead(place, 8 * MIB, 3 * MIB);
    const [near, behind, across] = await Promise.all([
      place.get({ range: `bytes=${6 * MIB}-${7 * MIB - 1}` }),
      place.get({ range: `bytes=0-${MIB - 1}` }),
      place.get({ range: `bytes=${MIB}-${5 * MIB - 1}` }),
    ]);
    expectPart(near, 6 * MIB, 7 * MIB);
    expectPart(behind, 0, MIB);
    expectPart(across, MIB, 5 * MIB);
    expect(rangesSeen(place)).toEqual([undefined]);
    slow.leave();
  });

  it('brings what is stored once, whichever of the two was first', async () => {
    const place = await placeWith();
    const slow = await slowRead(place, 60 * MIB, MIB);
    const parts = await Promise.all(
      [24, 32, 40].map(at => place.get({ range: `bytes=${at * MIB}-${(at + 8) * MIB - 1}` })),
    );
    for (const [i, part] of parts.entries()) expectPart(part, (24 + i * 8) * MIB, (32 + i * 8) * MIB);
    await slow.end();
    await eventually(async () => (await place.count(() => place.get())).bodies === 0);
    const extents = (await filesUnder(place.cacheDir))
      .map(path => /[./](\d+)-(\d+)$/.exec(path))
      .filter(found => found !== null)
      .map(([, start, end]) => [Number(start), Number(end)]);
    expect(extents.sort(([a = 0], [b = 0]) => a - b)).toEqual(
      Array.from({ length: 8 }, (_, i) => [i * 8 * MIB, Math.min(SIZE, (i + 1) * 8 * MIB) - 1]),
    );
  });
});
