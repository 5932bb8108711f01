import { describe, expect, it } from 'vitest';
import { generatedBody } from '../origin/index.ts';
import { bytesOf, collect, MIB, type Place, startPlace } from './helpers.ts';

const HOUR = 3_600_000;
/** More room than any volume has. */
const FULL = { min_free_space: { bytes: Number.MAX_SAFE_INTEGER } };
const ON = { get_ttl: HOUR, head_ttl: HOUR };

const skipped = ({ core }: Place) => core.status().counters.disk_skipped;

describe('a read that leaves nothing on the disk from the start', () => {
  it.each([
    ['small', 1000],
    ['large', 3 * MIB],
  ])('(%s) is counted once, and not said to be stored', async (_, size) => {
    const place = await startPlace({ cache: { ...ON, ...FULL, ram_cache_enabled: false } });
    place.origin.put('data', 'k', generatedBody(size));
    for (let reads = 1; reads <= 2; reads++) {
      const answer = await place.get();
      expect([answer.complete, answer.header('x-cache')]).toEqual([true, 'MISS']);
      expect(answer.header('cache-status')).toBe('cistern; fwd=uri-miss; detail=not_kept');
      expect(skipped(place)).toBe(reads);
    }
  });

  it('is counted, and said to be stored, where RAM keeps it', async () => {
    const place = await startPlace({ cache: { ...ON, ...FULL } });
    place.origin.put('data', 'k', generatedBody(3 * MIB));
    expect((await place.get()).header('cache-status')).toBe('cistern; fwd=uri-miss; stored');
    expect((await place.get()).header('x-cache')).toBe('HIT');
    expect(skipped(place)).toBe(1);
  });

  it('because memory is spent is counted, and shown', async () => {
    const place = await startPlace({ cache: { ...ON, memory_budget: MIB } });
    place.origin.put('data', 'other', generatedBody(9 * MIB));
    place.origin.put('data', 'k', generatedBody(3 * MIB));
    // What waits in this transfer takes up all that the least budget, 4 MiB, leaves to bytes that arrive.
    const stall = place.origin.faults.on({ key: 'other' }, { stallAfter: 2.5 * MIB });
    const other = await place.client.begin({ key: 'other' });
    await bytesOf(other, 2.5 * MIB);
    await stall.struck;
    expect(skipped(place)).toBe(0);
    const answer = await place.get();
    expect(answer.body.equals(generatedBody(3 * MIB).read(0, 3 * MIB))).toBe(true);
    expect(skipped(place)).toBe(1);
    expect(place.core.status().problems).toContain('memory ran short');
    stall.release();
    expect((await collect(other)).complete).toBe(true);
  });

  it('is not counted where all goes well', async () => {
    const place = await startPlace({ cache: ON });
    place.origin.put('data', 'k', generatedBody(3 * MIB));
    expect((await place.get()).header('cache-status')).toBe('cistern; fwd=uri-miss; stored');
    expect((await place.get()).header('x-cache')).toBe('HIT');
    expect(skipped(place)).toBe(0);
  });
});
