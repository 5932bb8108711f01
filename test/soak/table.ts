import type { Soaked } from './soak.ts';

/** What was done and the extremes that were seen, in lines. */
export function tableOf(name: string, { tally, extremes, looks, bytes, problems }: Soaked): string[] {
  const counts = [...tally.counts].sort(([a], [b]) => (a < b ? -1 : 1));
  const width = Math.max(...counts.map(([what]) => what.length), ...extremes.map(({ what }) => what.length));
  const row = (what: string, text: string) => `  ${what.padEnd(width)}  ${text}`;
  return [
    `${name}: ${problems.length === 0 ? 'all right' : `${problems.length} problems`}`,
    row('steps', `${tally.steps} in ${tally.schedules} schedules`),
    ...counts.map(([what, count]) => row(what, String(count))),
    row('read when all was quiet', `${(bytes / 2 ** 20).toFixed(0)} MiB`),
    `  extremes, of ${looks} looks:`,
    ...extremes.map(({ what, seen, limit, unit }) =>
      row(what, `${format(seen)} ${unit}${Number.isFinite(limit) ? ` of ${format(limit)}` : ''}`),
    ),
  ];
}

function format(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(1);
}
