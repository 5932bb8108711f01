import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytes, count, duration, percent, rate } from '../../renderer/format.ts';

const plain = (text: string) => text.replaceAll('\u00a0', ' ');

describe('numbers for a person', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '0.98 KiB'],
    [1024, '1 KiB'],
    [1536, '1.5 KiB'],
    [10 * 1024 ** 3, '10 GiB'],
    [1.25 * 1024 ** 3, '1.25 GiB'],
    [999.6 * 1024, '0.98 MiB'],
  ])('%d bytes are %s', (value, text) => {
    expect(plain(bytes(value))).toBe(text);
  });

  it('a size has at most four characters before its unit and is right to one part in a hundred', () => {
    const power = { B: 0, KiB: 1, MiB: 2, GiB: 3, TiB: 4, PiB: 5 };
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 52 }), value => {
        const [figure, unit] = bytes(value).split('\u00a0') as [string, keyof typeof power];
        expect(figure.length).toBeLessThanOrEqual(4);
        expect(Math.abs(Number(figure) * 1024 ** power[unit] - value) / value).toBeLessThan(0.01);
      }),
    );
  });

  it.each([
    [0, '0 %'],
    [0.001, '< 1 %'],
    [0.995, '99 %'],
    [1, '100 %'],
  ])('a share of %d is %s', (share, text) => {
    expect(plain(percent(share))).toBe(text);
  });

  it.each([
    [45, '45 s'],
    [720, '12 min'],
    [15_120, '4 h 12 min'],
    [273_600, '3 d 4 h'],
  ])('%d seconds are %s', (seconds, text) => {
    expect(plain(duration(seconds))).toBe(text);
  });

  it('counts are grouped, and shortened where they grow long', () => {
    expect(count(1_234_567)).toBe('1,234,567');
    expect(plain(count(12_345_678))).toBe('12.3 M');
    expect(plain(rate(2048))).toBe('2 KiB/s');
  });
});
