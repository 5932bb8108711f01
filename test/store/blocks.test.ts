import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Blocks } from '../../proxy-core/store/blocks.ts';
import { UNIT } from '../../proxy-core/store/index.ts';
import type { Cell } from '../../proxy-core/store/memory/cells.ts';
import { EVICTION_ALGORITHMS } from '../../proxy-core/store/memory/index.ts';
import { noise } from './helpers.ts';

const create = (maxBytes = 64 << 20) => new Blocks({ algorithm: 'lru', maxBytes });

describe('blocks in memory', () => {
  it('are the whole cells of what is offered, with the object’s bytes in them, and no other', () => {
    const length = 5 * UNIT + 1234;
    const object = noise(length);
    fc.assert(
      fc.property(fc.nat(length - 1), fc.nat(length - 1), (a, b) => {
        const [start, end] = [Math.min(a, b), Math.max(a, b)];
        const blocks = create();
        blocks.offer('v:', start, object.subarray(start, end + 1), length, false);
        for (let cell = 0; cell <= Math.floor((length - 1) / UNIT); cell++) {
          const [first, last] = [cell * UNIT, Math.min(length, (cell + 1) * UNIT) - 1];
          const whole = start <= first && last <= end;
          expect(blocks.has('v:', cell)).toBe(whole);
          expect(blocks.get('v:', cell)?.bytes.equals(object.subarray(first, last + 1)) ?? false).toBe(whole);
        }
      }),
    );
  });

  it('are copies: what was offered may be overwritten', () => {
    const blocks = create();
    const piece = noise(UNIT);
    const before = Buffer.from(piece);
    blocks.offer('v:', 0, piece, UNIT, false);
    piece.fill(0);
    expect(blocks.get('v:', 0)?.bytes.equals(before)).toBe(true);
  });

  it('belong to one version', () => {
    const blocks = create();
    blocks.offer('v:', 0, noise(UNIT), UNIT, false);
    expect([blocks.has('v:', 0), blocks.has('w:', 0), blocks.has('v:', 1)]).toEqual([true, false, false]);
  });

  it('stay within their bytes, and are none at 0', () => {
    const blocks = create(10 * UNIT);
    for (let i = 0; i < 100; i++) blocks.offer('v:', i * UNIT, noise(UNIT, i), 200 * UNIT, false);
    expect(blocks.bytes).toBeGreaterThan(8 * UNIT);
    expect(blocks.bytes).toBeLessThanOrEqual(10 * UNIT);
    const none = create(0);
    none.offer('v:', 0, noise(UNIT), UNIT, false);
    none.put('v:', 1, noise(UNIT));
    expect([none.bytes, none.has('v:', 0), none.has('v:', 1)]).toEqual([0, false, false]);
  });

  it.each(EVICTION_ALGORITHMS)(
    'that a reader holds keep their bytes, whatever is evicted, replaced or refused (%s)',
    algorithm => {
      const index = fc.nat(30);
      const move = fc.oneof(
        fc.record({ do: fc.constantFrom('offer' as const, 'put' as const), index, scan: fc.boolean() }),
        fc.record({ do: fc.constantFrom('hold' as const, 'let go' as const), index }),
      );
      fc.assert(
        fc.property(fc.array(move, { maxLength: 150, size: 'max' }), moves => {
          const blocks = new Blocks({ algorithm, maxBytes: 12 * UNIT });
          const current = new Map<number, number>();
          const held: { cell: Cell; fill: number }[] = [];
          let made = 0;
          const isAll = (cell: Cell, fill: number) => cell.bytes.equals(Buffer.alloc(UNIT, fill));
          for (const next of moves) {
            if (next.do === 'offer' || next.do === 'put') {
              const fill = ++made & 0xff;
              const content = Buffer.alloc(UNIT, fill);
              const had = blocks.has('v:', next.index);
              if (next.do === 'put') blocks.put('v:', next.index, content);
              else blocks.offer('v:', next.index * UNIT, content, 100 * UNIT, next.scan);
              // What is there is not copied again.
              if (next.do === 'put' || !had) current.set(next.index, fill);
              if (next.do === 'offer') content.fill(0xee);
            } else if (next.do === 'hold') {
              const cell = blocks.get('v:', next.index);
              if (!cell) continue;
              expect(isAll(cell, current.get(next.index)!)).toBe(true);
              cell.pin();
              held.push({ cell, fill: current.get(next.index)! });
            } else {
              const [one] = held.splice(next.index % Math.max(1, held.length), 1);
              if (one) expect(isAll(one.cell, one.fill)).toBe(true);
              one?.cell.unpin();
            }
            expect(blocks.bytes).toBeLessThanOrEqual(12 * UNIT);
          }
          for (const { cell, fill } of held) expect(isAll(cell, fill)).toBe(true);
          for (let i = 0; i <= 30; i++) {
            const cell = blocks.get('v:', i);
            if (cell) expect(isAll(cell, current.get(i)!)).toBe(true);
          }
        }),
        { numRuns: 60 },
      );
    },
  );

  it.each(EVICTION_ALGORITHMS)('give their memory back when they are evicted, replaced or refused (%s)', algorithm => {
    const blocks = new Blocks({ algorithm, maxBytes: 64 * UNIT });
    const content = noise(UNIT);
    const seen = new Set<ArrayBufferLike>();
    for (let i = 0; i < 1000; i++) {
      blocks.offer('v:', i * UNIT, content, 2000 * UNIT, i % 3 === 0);
      const cell = blocks.get('v:', i);
      if (cell) seen.add(cell.bytes.buffer);
      if (i % 2 === 0) blocks.put('v:', i, Buffer.from(content));
    }
    // Slabs of two cells each, that are used again and again: without that there would be hundreds.
    const slabs = [...seen].filter(({ byteLength }) => byteLength === 2 * UNIT);
    expect(slabs.length).toBeGreaterThan(0);
    expect(slabs.length).toBeLessThan(100);
  });
});
