import { describe, expect, it } from 'vitest';
import { headKey, keysOfFile, stretchKey } from '../../../proxy-core/store/disk/use-keys.ts';
import { Uses } from '../../../proxy-core/store/disk/uses.ts';

const MIB = 1 << 20;
const HASH = 'ab12'.repeat(16);

function create(options: { noted?: boolean; entries?: number } = {}) {
  const clock = { seconds: 1_000_000 };
  const uses = new Uses({ seconds: () => clock.seconds, entries: 256, ...options });
  return { uses, clock };
}

describe('what uses are counted by', () => {
  it('is one key for a head, and one for each stretch of 8 MiB', () => {
    const head = headKey(HASH);
    expect(keysOfFile(HASH, `${HASH}.head`)).toEqual([head, head]);
    expect(keysOfFile(HASH, 'parts.json')).toEqual([head, head]);
    const [first, second] = [stretchKey(head, 0), stretchKey(head, 8 * MIB)];
    expect(new Set([head, first, second]).size).toBe(3);
    expect(stretchKey(head, 8 * MIB - 1)).toBe(first);
    expect(keysOfFile(HASH, `${HASH}.${'0'.repeat(32)}.0-${MIB - 1}`)).toEqual([first, first]);
    expect(keysOfFile(HASH, `${5 * MIB}-${13 * MIB - 1}`)).toEqual([first, second]);
  });
});

describe('uses', () => {
  it('within ten seconds are one', () => {
    const { uses, clock } = create();
    for (let i = 0; i < 10; i++) {
      uses.count(7);
      clock.seconds++;
    }
    expect(uses.frequency(7)).toBe(1);
    uses.count(7);
    expect(uses.frequency(7)).toBe(2);
  });

  it('are known by when they were, until others take the place', () => {
    const { uses, clock } = create();
    uses.count(7);
    clock.seconds += 60;
    uses.count(8);
    expect([uses.usedAt(7), uses.usedAt(8), uses.usedAt(9)]).toEqual([1_000_000, 1_000_060, 0]);
    for (let other = 1; other <= 3; other++) uses.count(7 + other * 512);
    expect(uses.usedAt(7)).toBe(1_000_000);
    uses.count(7 + 4 * 512);
    expect(uses.usedAt(7)).toBe(0);
    expect(uses.frequency(7)).toBe(1);
  });

  it('are to be noted on the volume once an hour, and not at all where files have their place in a queue', () => {
    const { uses, clock } = create();
    expect(uses.count(7)).toBe(true);
    uses.noted(7);
    clock.seconds += 3000;
    expect(uses.count(7)).toBe(false);
    clock.seconds += 600;
    expect(uses.count(7)).toBe(true);
    expect(create({ noted: false }).uses.count(7)).toBe(false);
  });

  it('of more files than it was made for make it grow, and it keeps what it knows', () => {
    const { uses, clock } = create();
    for (let i = 0; i < 3; i++) {
      for (let key = 0; key < 200; key++) uses.count(key * 7919);
      clock.seconds += 10;
    }
    for (let key = 1_000_000; key < 1_002_000; key++) uses.count(key * 7919);
    expect(uses.sketch.entries).toBeGreaterThan(1000);
    for (let key = 0; key < 200; key++) expect(uses.frequency(key * 7919)).toBeGreaterThanOrEqual(3);
  });

  it('of what passes through a cache that is full do not', () => {
    const { uses } = create();
    uses.limit(300);
    for (let key = 0; key < 10_000; key++) uses.count(key * 7919);
    expect(uses.sketch.entries).toBe(512);
  });
});
