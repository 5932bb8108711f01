import { describe, expect, it } from 'vitest';
import { generatedBody } from '../origin/index.ts';
import { type Ask, comparable, MIB, startPlace } from './helpers.ts';

const SIZES = [0, 1, 65_535, 65_536, 65_537, 8 * MIB - 1, 8 * MIB + 1, 20 * MIB];

/** Ranges that are worth asking of an object of `size` bytes. */
function rangesOf(size: number): string[] {
  const half = Math.floor(size / 2);
  return [
    'bytes=0-0',
    `bytes=0-${half}`,
    `bytes=${half}-`,
    `bytes=${half}-${half + 70_000}`,
    'bytes=-1',
    'bytes=-100000',
    `bytes=0-${size + 10}`,
    `bytes=${Math.max(0, size - 1)}-${size - 1}`,
  ];
}

describe.each(SIZES)('an object of %i bytes', size => {
  const body = generatedBody(size, 3);
  const put = {
    headers: ['Content-Type', 'text/csv', 'x-amz-meta-who', 'me', 'Cache-Control', 'max-age=1'],
  };

  it('is whole from the cache after one whole GET, with every range of it, byte for byte as from S3', async () => {
    const { origin, get, direct, count } = await startPlace();
    origin.put('data', 'k', body, put);
    expect(comparable(await get())).toEqual(comparable(await direct.send()));
    const asks: Ask[] = [{}, { method: 'HEAD' }, ...rangesOf(size).map(range => ({ range }))];
    for (const ask of asks) {
      const expected = comparable(await direct.send(ask));
      const seen = await count(async () => {
        expect(comparable(await get(ask)), JSON.stringify(ask)).toEqual(expected);
      });
      // S3 words its own 416.
      if (expected.status !== 416) expect(seen, JSON.stringify(ask)).toEqual({ bodies: 0, requests: 0, bytes: 0 });
    }
  });

  it('is assembled from ranges, in whatever order they were read', async () => {
    const { origin, get, direct, count } = await startPlace();
    origin.put('data', 'k', body, put);
    const cuts = [...new Set([0, Math.floor(size / 3), Math.floor(size / 2), size])];
    const pieces = cuts.slice(0, -1).map((start, i) => [start, cuts[i + 1]! - 1] as const);
    for (const [start, end] of [...pieces].reverse()) {
      const answer = await get({ range: `bytes=${start}-${end}` });
      expect(answer.body.equals(body.read(start, end + 1))).toBe(true);
    }
    const expected = comparable(await direct.send());
    const { bytes } = await count(async () => expect(comparable(await get())).toEqual(expected));
    expect(bytes).toBe(0);
    expect((await count(get)).requests).toBe(0);
  });
});
