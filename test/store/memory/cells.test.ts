import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
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

/** The slabs that these cells lie in, and how many cells lie in each. */
function slabsOf(cells: readonly Cell[]): Map<ArrayBufferLike, number> {
  const slabs = new Map<ArrayBufferLike, number>();
  for (const { bytes } of cells) {
    const { buffer } = bytes;
    if (buffer.byteLength === SLAB) slabs.set(buffer, (slabs.get(buffer) ?? 0) + 1);
  }
  return slabs;
}

describe('cells', () => {
  let made = 0;
  const slabsMade = () => made;
  const real = Buffer.allocUnsafeSlow;
  beforeEach(() => {
    made = 0;
    // No spy: it would hold on to all it has given out.
    Buffer.allocUnsafeSlow = size => {
      if (size === SLAB) made++;
      return real(size);
    };
  });
  afterEach(() => {
    Buffer.allocUnsafeSlow = real;
  });

  it('keep their bytes until they have been given up and nobody holds them, and memory goes back', () => {
    fc.assert(
      fc.property(fc.array(move, { maxLength: 60, size: 'max' }), moves => {
        const cells = new Cells();
        let uses: Use[] = [];
        let made = 0;
        const start = slabsMade();
        const slabs = () => slabsOf(uses.map(({ cell }) => cell));
        const settle = () => {
          uses = uses.filter(({ dropped, pins }) => !dropped || pins > 0);
        };
        for (const next of moves) {
          if (next.do === 'copy') {
            const free = [...slabs().values()].reduce((sum, used) => sum + 64 - used, 0);
            const before = slabsMade();
            for (let i = 0; i < next.count; i++) {
              const content = contentOf(++made, next.size);
              uses.push({ id: made, size: next.size, cell: cells.copy(content), pins: 0, dropped: false });
              content.fill(0xee);
            }
            // What is free is used before there is more.
            if (next.count <= free || next.size < SLOT) expect(slabsMade()).toBe(before);
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
        }
        for (const { cell, id, size } of uses) expect(cell.bytes.equals(contentOf(id, size))).toBe(true);
        for (const { cell, pins } of uses) {
          cell.drop();
          for (let i = 0; i < pins; i++) cell.unpin();
        }
        // Of all the memory there was, one slab is kept in hand.
        const before = slabsMade();
        const again = slabsOf(Array.from({ length: 64 * 3 }, (_, i) => cells.copy(contentOf(i))));
        expect(again.size).toBe(3);
        expect(slabsMade() - before).toBe(before === start ? 3 : 2);
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
    expect(slabsMade()).toBe(1);
    expect(first.bytes.equals(contentOf(1))).toBe(true);
    first.unpin();
    const last = cells.copy(contentOf(99));
    expect([slabsMade(), last.bytes.byteOffset]).toEqual([1, first.bytes.byteOffset]);
    expect(others.every(({ bytes }, i) => bytes.equals(contentOf(i + 2)))).toBe(true);
  });

  it('shorter than a slot have memory of their own', () => {
    const cells = new Cells();
    const content = contentOf(7, 1000);
    expect(cells.copy(content).bytes.equals(content)).toBe(true);
    expect(slabsMade()).toBe(0);
  });
});
