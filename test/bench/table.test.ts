import { expect, test } from 'vitest';
import type { Row } from '../../bench/figures.ts';
import { changesTables, figuresTables } from '../../bench/table.ts';

const rows: Row[] = [
  { id: 'a', title: 'small', figures: { requests_per_second: 45_120, p50_ms: 0.6123, load_cpu_percent: 78.4 } },
  { id: 'b', title: 'large one', figures: { gigabytes_per_second: 2.5, cpu_s_per_gigabyte: 0.3333 } },
];

test('figures have three digits and a unit, and columns without any are left out', () => {
  expect(figuresTables(rows)).toBe(
    [
      '                  result   whole p50          CPU   load',
      'small       45.1 k req/s    0.612 ms                78 %',
      'large one      2.50 GB/s               0.333 s/GB',
    ].join('\n'),
  );
});

test('changes are in percent of the earlier figures, of lines that both runs have', () => {
  const earlier: Row[] = [
    { id: 'a', title: 'small', figures: { requests_per_second: 40_000, p50_ms: 0.7, load_cpu_percent: 10 } },
    { id: 'gone', title: 'gone', figures: { requests_per_second: 1 } },
  ];
  expect(changesTables(rows, earlier)).toBe(['         result   whole p50', 'small   +12.8 %     -12.5 %'].join('\n'));
});

test('lines that are beside direct come in a table of their own', () => {
  const beside = { gigabytes_per_second: 0.15, direct_gigabytes_per_second: 0.05, times_direct: 3 };
  expect(figuresTables([...rows, { id: 'c', title: 'cold one', figures: beside }]).split('\n\n')).toEqual([
    figuresTables(rows),
    ['               result        direct   × direct', 'cold one   0.150 GB/s   0.0500 GB/s       3.00'].join('\n'),
  ]);
});
