import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Blocks } from '../../proxy-core/store/blocks.ts';
import { UNIT } from '../../proxy-core/store/index.ts';
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

  it('stay within their bytes, which can change, and are none at 0', () => {
    const blocks = create(10 * UNIT);
    for (let i = 0; i < 100; i++) blocks.offer('v:', i * UNIT, noise(UNIT, i), 200 * UNIT, false);
    expect(blocks.bytes).toBeGreaterThan(8 * UNIT);
    expect(blocks.bytes).toBeLessThanOrEqual(10 * UNIT);
    blocks.maxBytes = 3 * UNIT;
    expect(blocks.bytes).toBeLessThanOrEqual(3 * UNIT);
    const none = create(0);
    none.offer('v:', 0, noise(UNIT), UNIT, false);
    none.put('v:', 1, noise(UNIT));
    expect([none.bytes, none.has('v:', 0), none.has('v:', 1)]).toEqual([0, false, false]);
  });
});
