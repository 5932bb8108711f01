import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BufferPool, PIECE } from '../../proxy-core/store/buffer-pool.ts';

describe('the buffer pool', () => {
  it('hands out no more than its budget, counts what is out, and never hands out a buffer twice', () => {
    const moves = fc.array(fc.constantFrom('take', 'give', 'forget'), { maxLength: 200 });
    fc.assert(
      fc.property(fc.integer({ min: 4, max: 40 }), moves, (limit, steps) => {
        const pool = new BufferPool(limit * PIECE);
        const out: Buffer[] = [];
        for (const move of steps) {
          if (move === 'take') {
            const buffer = pool.take();
            expect(buffer === undefined).toBe(out.length === limit);
            if (!buffer) continue;
            expect(buffer.length).toBe(PIECE);
            expect(out.some(other => other.buffer === buffer.buffer)).toBe(false);
            out.push(buffer);
          } else if (out.length > 0) {
            const buffer = out.shift()!;
            if (move === 'give') pool.give(buffer);
            else pool.forget();
          }
          expect(pool.bytesOut).toBe(out.length * PIECE);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('uses a buffer again that came back, and not one that may still be in use', () => {
    const pool = new BufferPool(8 * PIECE);
    const first = pool.take()!;
    pool.give(first);
    expect(pool.take()).toBe(first);
    pool.forget();
    expect(pool.take()).not.toBe(first);
  });
});
