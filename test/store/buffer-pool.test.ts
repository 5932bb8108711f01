import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BufferPool, PIECE, type Piece } from '../../proxy-core/store/buffer-pool.ts';

type Move = { do: 'take' } | { do: 'arrive'; size: number } | { do: 'retain' | 'release'; which: number };

const move: fc.Arbitrary<Move> = fc.oneof(
  fc.constant({ do: 'take' as const }),
  fc.record({
    do: fc.constant('arrive' as const),
    size: fc.oneof(fc.constant(PIECE), fc.integer({ min: 1, max: PIECE })),
  }),
  fc.record({ do: fc.constantFrom('retain' as const, 'release' as const), which: fc.nat(1000) }),
);

describe('the buffer pool', () => {
  it('hands out no more than its budget, counts what is out, and never hands out memory that somebody uses', () => {
    fc.assert(
      fc.property(fc.integer({ min: 4, max: 40 }), fc.array(move, { maxLength: 200 }), (limit, moves) => {
        const budget = limit * PIECE;
        const pool = new BufferPool(budget);
        const users: Piece[] = [];
        let out = 0;
        const took = (piece: Piece | undefined, size: number, bound: number) => {
          expect(piece === undefined).toBe(out + size > bound);
          if (!piece) return;
          expect(piece.bytes.length).toBe(size);
          expect(users.some(({ bytes }) => bytes.buffer === piece.bytes.buffer)).toBe(false);
          users.push(piece);
          out += size;
        };
        for (const next of moves) {
          if (next.do === 'take') took(pool.take(), PIECE, budget);
          else if (next.do === 'arrive') took(pool.takeIncoming(next.size), next.size, budget * 0.75);
          else if (users.length > 0) {
            const piece = users[next.which % users.length]!;
            if (next.do === 'retain') users.push(piece.retain());
            else {
              users.splice(users.indexOf(piece), 1);
              piece.release();
              if (!users.includes(piece)) out -= piece.bytes.length;
            }
          }
          expect(pool.bytesOut).toBe(out);
          expect(pool.tight).toBe(out > budget / 2);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('leaves room for reads of what is kept, however much arrives', () => {
    const pool = new BufferPool(8 * PIECE);
    const arrived = Array.from({ length: 8 }, () => pool.takeIncoming(PIECE)).filter(piece => piece !== undefined);
    expect(arrived).toHaveLength(6);
    expect([pool.take(), pool.take(), pool.take()].map(piece => piece !== undefined)).toEqual([true, true, false]);
  });

  it('uses a buffer again when its last user has given it back, and no sooner', () => {
    const pool = new BufferPool(8 * PIECE);
    const first = pool.take()!;
    first.retain();
    first.release();
    expect(pool.take()!.bytes === first.bytes).toBe(false);
    first.release();
    expect(pool.take()!.bytes === first.bytes).toBe(true);
  });
});
