import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EXTENT } from '../../../proxy-core/store/disk/extent-format.ts';
import { type Extent, ExtentIndex } from '../../../proxy-core/store/disk/extent-index.ts';

const extent = fc
  .tuple(fc.nat(40), fc.integer({ min: 1, max: 8 }))
  .map(([at, size]): Extent => ({ start: at << 20, end: ((at + size) << 20) - 1, path: `${at}-${at + size}` }));
const step = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), extent }),
  fc.record({ kind: fc.constant('remove' as const), extent }),
  fc.record({ kind: fc.constant('replace' as const), extents: fc.array(extent, { maxLength: 6 }) }),
);

describe('the index of extents', () => {
  it('finds what a list of them would find, whatever was added, removed and replaced', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 20 }),
        fc.array(fc.nat(50 << 20), { minLength: 5, maxLength: 20 }),
        (steps, offsets) => {
          const index = new ExtentIndex();
          let model = new Map<string, Extent>();
          for (const taken of steps) {
            if (taken.kind === 'add') {
              index.add(taken.extent);
              model.set(taken.extent.path, taken.extent);
            } else if (taken.kind === 'remove') {
              for (const known of index.all.filter(({ path }) => path === taken.extent.path)) index.remove(known);
              model.delete(taken.extent.path);
            } else {
              model = new Map(taken.extents.map(found => [found.path, found]));
              index.replace([...model.values()], Number.POSITIVE_INFINITY);
            }
          }
          expect(new Set(index.all.map(({ path }) => path))).toEqual(new Set(model.keys()));
          for (const at of offsets) {
            const holding = [...model.values()].filter(({ start, end }) => start <= at && at <= end);
            const furthest = Math.max(...holding.map(({ end }) => end));
            expect(index.at(at)?.end ?? Number.NEGATIVE_INFINITY).toBe(furthest);
            if (holding.length > 0) expect(holding).toContainEqual(index.at(at));
            expect(index.nextStart(at)).toBe(
              Math.min(
                Number.POSITIVE_INFINITY,
                ...[...model.values()].map(({ start }) => start).filter(start => start > at),
              ),
            );
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('finds the byte before an extent’s end when it is as long as one may be', () => {
    const index = new ExtentIndex();
    const longest = { start: 5, end: 5 + EXTENT - 1, path: 'a' };
    index.add(longest);
    expect([index.at(4), index.at(5), index.at(longest.end), index.at(longest.end + 1)]).toEqual([
      undefined,
      longest,
      longest,
      undefined,
    ]);
  });

  it('looks at few of thousands of small ones behind a large one', () => {
    const index = new ExtentIndex();
    let looks = 0;
    const counted = (start: number, end: number): Extent => ({
      start,
      get end() {
        looks++;
        return end;
      },
      path: `${start}-${end}`,
    });
    index.add(counted(0, EXTENT - 1));
    const small = 3000;
    for (let i = 0; i < small; i++) index.add(counted(EXTENT + i * 1024, EXTENT + i * 1024 + 1023));
    looks = 0;
    for (let i = 0; i < small; i++) expect(index.at(EXTENT + i * 1024)?.start).toBe(EXTENT + i * 1024);
    expect(looks).toBeLessThan(10 * small);
  });

  it('keeps what was added after a look at the directory began, when the look ends', () => {
    const index = new ExtentIndex();
    const before = { start: 0, end: 9, path: 'before' };
    const after = { start: 10, end: 19, path: 'after' };
    index.add(before);
    const began = performance.now() + 0.001;
    while (performance.now() < began);
    index.add(after);
    index.replace([], began);
    expect(index.all).toEqual([after]);
    index.replace([], performance.now() + 1);
    expect(index.all).toEqual([]);
  });
});
