import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatDuration, formatSize, parseDuration, parseSize } from '../../proxy-core/settings/index.ts';

describe('durations', () => {
  test.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['7d', 604_800_000],
    ['1.5h', 5_400_000],
    ['0.25s', 250],
    ['30 seconds', 30_000],
    ['1 minute', 60_000],
    ['2hrs', 7_200_000],
    ['3650d', 315_360_000_000],
    ['315360000s', 315_360_000_000],
    ['60', 60_000],
    [60, 60_000],
    [0.5, 500],
    ['0', 0],
    [' 5 M ', 300_000],
  ])('%j is %d ms', (raw, milliseconds) => expect(parseDuration(raw)).toBe(milliseconds));

  test.each([
    '',
    's',
    '-5s',
    -5,
    '5x',
    '5 5s',
    '1h30m',
    'ss',
    '5ss',
    '5mss',
    Number.NaN,
    Number.POSITIVE_INFINITY,
    true,
    [],
    null,
  ])('%j is none', raw => expect(parseDuration(raw)).toBeUndefined());

  test('every whole number of milliseconds is the duration that it is formatted as', () => {
    fc.assert(
      fc.property(fc.nat(10 ** 12), ms => {
        expect(parseDuration(formatDuration(ms))).toBe(ms);
      }),
    );
  });
});

describe('sizes', () => {
  test.each([
    ['10GiB', 10 * 2 ** 30],
    ['500MB', 500_000_000],
    ['1.5 KiB', 1536],
    ['64kib', 65_536],
    ['2TB', 2e12],
    ['7b', 7],
    [524_288_000, 524_288_000],
    ['524288000', 524_288_000],
    [0, 0],
  ])('%j is %d bytes', (raw, bytes) => expect(parseSize(raw)).toBe(bytes));

  test.each(['', '10G', '10XB', '-1', -1, 1.5, '1.5', '5%', 2 ** 60, '999999999TiB', false, {}, null])(
    '%j is none',
    raw => expect(parseSize(raw)).toBeUndefined(),
  );

  test('every number of bytes is the size that it is formatted as', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), bytes => {
        expect(parseSize(formatSize(bytes))).toBe(bytes);
      }),
    );
  });
});
