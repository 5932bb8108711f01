import { afterEach, expect, it, vi } from 'vitest';
import { RecordRoom } from '../../../proxy-core/store/disk/record-room.ts';

const MIB = 1 << 20;
const MINUTE = 60_000;

function room({ full = false, sharers = 1, fits = (): boolean => true } = {}) {
  let reserved = 0;
  const capacity = {
    most: 16 * MIB,
    full,
    accounts: { sharers } as never,
    reserveSoon: async (bytes: number) => {
      if (fits()) reserved += bytes;
      return fits();
    },
    release: (bytes: number) => {
      reserved -= bytes;
    },
  };
  const records = new RecordRoom(capacity);
  /** How many of so many get room. */
  const write = async (count: number) => {
    let granted = 0;
    for (let i = 0; i < count; i++) if (await records.reserve()) granted++;
    for (let i = 0; i < granted; i++) records.release();
    return granted;
  };
  return { write, reserved: () => reserved };
}

afterEach(() => {
  vi.useRealTimers();
});

it('young epochs get a sixteenth of the cache, all processes together', async () => {
  const alone = room();
  expect(await alone.write(1000)).toBe(85);
  expect(await alone.write(1000)).toBe(0);
  expect(alone.reserved()).toBe(0);
  expect(await room({ sharers: 4 }).write(1000)).toBe(21);
});

it('there is room again once they are older than any read', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const records = room();
  expect(await records.write(40)).toBe(40);
  vi.advanceTimersByTime(10 * MINUTE);
  expect(await records.write(1000)).toBe(45);
  vi.advanceTimersByTime(5 * MINUTE);
  expect(await records.write(1000)).toBe(0);
  vi.advanceTimersByTime(1.1 * MINUTE);
  expect(await records.write(1000)).toBe(40);
});

it('there is none where the cache takes nothing, and what got none doesn’t count', async () => {
  expect(await room({ full: true }).write(10)).toBe(0);
  let fits = false;
  const records = room({ fits: () => fits });
  expect(await records.write(1000)).toBe(0);
  fits = true;
  expect(await records.write(1000)).toBe(85);
});
