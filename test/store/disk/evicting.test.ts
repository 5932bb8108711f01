import { expect, it } from 'vitest';
import { Evicting } from '../../../proxy-core/store/disk/evicting.ts';

const MIB = 1 << 20;
const NOTHING = { total: 0, staged: 0, removable: 0, records: 0, unread: 0 };

function evicting(tooMuch: boolean): Evicting {
  return new Evicting({
    step: async () => false,
    tooMuch: () => tooMuch,
    enough: () => !tooMuch,
    onBarren: () => {},
    onDone: () => {},
    onFailed: () => {},
  });
}

it.each([
  ['there is nothing but what has to stay', { total: 20 * MIB, records: 10 * MIB }, true],
  [
    'there is little else among records that are too much by themselves',
    { total: 80 * MIB, removable: 5 * MIB, records: 40 * MIB },
    true,
  ],
  [
    'there is enough to remove, though it was not found yet',
    { total: 20 * MIB, removable: 8 * MIB, records: 6 * MIB },
    false,
  ],
  ['there are only files, and the folders that go with them', { total: 80 * MIB, removable: 40 * MIB }, false],
])('a search for what may go was in vain, and is not begun again for a while: %s', (_, counted, isVain) => {
  const search = evicting(true);
  expect(search.judge({ ...NOTHING, ...counted }, 16 * MIB)).toBe(isVain);
  expect(search.isInVain).toBe(isVain);
});

it('what has to stay is no matter where there is not too much', () => {
  expect(evicting(false).judge({ ...NOTHING, total: 20 * MIB, records: 10 * MIB }, 16 * MIB)).toBe(false);
});
