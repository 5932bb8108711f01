import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Cell, Cells, SLOT } from '../../../proxy-core/store/memory/cells.ts';

const SLAB = 64 * SLOT;

/** Content that says whose it is. */
const contentOf = (id: number, size = SLOT) => {
  const content = Buffer.alloc(size, id & 0xff);
  content.writeUInt32LE(id, 0);
  content.writeUInt32LE(id, size - 4);
  return content;
};

interface Use {
  readonly id: number;
  readonly size: number;
  readonly cell: Cell;
  pins: number;
  dropped: boolean;
}

type Move = { do: 'copy'; count: number; size: number } | { do: 'pin' | 'unpin' | 'drop'; which: number };

const move: fc.Arbitrary<Move> = fc.oneof(
  fc.record({
    do: fc.constant('copy' as const),
    count: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 150 })),
    size: fc.oneof({ weight: 4, arbitrary: fc.constant(SLOT) }, fc.integer({ min: 8, max: SLOT })),
  }),
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom('pin' as const, 'unpin' as const, 'drop' as const),
      which: fc.nat(1000),
    }),
  },
);

describe('cells', () => {
  it('keep their bytes until they have been given up and nobody holds them, and memory goes back', () => {
    fc.assert(
      fc.property(fc.array(move, { maxLength: 60, size: 'max' }), moves => {
        const cells = new Cells();
        let uses: Use[] = [];
        let made = 0;
        let most = 0;
        const full = () => uses.filter(({ size }) => size === SLOT).length;
        const settle = () => {
          uses = uses.filter(({ dropped, pins }) => !dropped || pins > 0);
        };
        for (const next of moves) {
          if (next.do === 'copy') {
            const free = cells.allocated / SLOT - full();
            const { allocated } = cells;
            for (let i = 0; i < next.count; i++) {
              const content = contentOf(++made, next.size);
              uses.push({ id: made, size: next.size, cell: cells.copy(content), pins: 0, dropped: false });
              content.fill(0xee);
            }
            // What is free is used before there is more.
            if (next.count <= free || next.size < SLOT) expect(cells.allocated).toBe(allocated);
          } else if (uses.length > 0) {
            const use = uses[next.which % uses.length]!;
            if (next.do === 'pin') {
              use.cell.pin();
              use.pins++;
            } else if (next.do === 'unpin' && use.pins > 0) {
              use.cell.unpin();
              use.pins--;
            } else if (next.do === 'drop') {
              // Many at once, so that whole slabs are left; and twice, for what is evicted while it is replaced.
              const from = next.which % uses.length;
              for (const one of uses.slice(from, from + (next.which % 130))) {
                one.cell.drop();
                if (next.which % 2 === 0) one.cell.drop();
                one.dropped = true;
              }
            }
          }
          settle();
          most = Math.max(most, full());
          expect(cells.allocated).toBeGreaterThanOrEqual(full() * SLOT);
          expect(cells.allocated).toBeLessThanOrEqual((Math.ceil(most / 64) + 1) * SLAB);
        }
        for (const { cell, id, size } of uses) expect(cell.bytes.equals(contentOf(id, size))).toBe(true);
        for (const { cell, pins } of uses) {
          cell.drop();
          for (let i = 0; i < pins; i++) cell.unpin();
        }
        expect(cells.allocated).toBeLessThanOrEqual(SLAB);
      }),
      { numRuns: 60 },
    );
  }, 60_000);

  it('use a slot again as soon as it is free, and no sooner', () => {
    const cells = new Cells();
    const first = cells.copy(contentOf(1));
    first.pin();
    first.drop();
    const others = Array.from({ length: 63 }, (_, i) => cells.copy(contentOf(i + 2)));
    expect(cells.allocated).toBe(SLAB);
    expect(first.bytes.equals(contentOf(1))).toBe(true);
    first.unpin();
    const last = cells.copy(contentOf(99));
    expect([cells.allocated, last.bytes.byteOffset]).toEqual([SLAB, first.bytes.byteOffset]);
    expect(others.every(({ bytes }, i) => bytes.equals(contentOf(i + 2)))).toBe(true);
  });

  it('shorter than a slot have memory of their own', () => {
    const cells = new Cells();
    const content = contentOf(7, 1000);
    expect(cells.copy(content).bytes.equals(content)).toBe(true);
    expect(cells.allocated).toBe(0);
  });
});
