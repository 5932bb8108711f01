/** Numbers as a person reads them. A no-break space keeps each number with its unit. */
const GAP = '\u00a0';
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
const COUNT = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

/** Three significant digits in binary units, as sizes are written in the settings: `512 MiB`, `1.25 GiB`. */
export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  // 1023.5 would round to 1024 of its unit, which is 1 of the next.
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${Number(value.toFixed(digits))}${GAP}${UNITS[unit]}`;
}

export function rate(bytesPerSecond: number): string {
  return `${bytes(bytesPerSecond)}/s`;
}

/** `12,345`; from ten million on `12.3 M`, so that a number never outgrows its place. */
export function count(value: number): string {
  if (value < 10_000_000) return COUNT.format(value);
  return value < 10_000_000_000 ? `${(value / 1e6).toFixed(1)}${GAP}M` : `${(value / 1e9).toFixed(1)}${GAP}G`;
}

/** Whole percent, but never 0 for a little nor 100 for not quite all. */
export function percent(share: number): string {
  if (share > 0 && share < 0.01) return `<${GAP}1${GAP}%`;
  return `${share < 1 ? Math.min(99, Math.round(share * 100)) : 100}${GAP}%`;
}

/** `3 d 4 h`, `4 h 12 min`, `12 min`, `45 s` */
export function duration(seconds: number): string {
  const days = Math.floor(seconds / 86_400);
  const hours = Math.floor(seconds / 3600) % 24;
  const minutes = Math.floor(seconds / 60) % 60;
  if (days > 0) return `${days}${GAP}d ${hours}${GAP}h`;
  if (hours > 0) return `${hours}${GAP}h ${minutes}${GAP}min`;
  return minutes > 0 ? `${minutes}${GAP}min` : `${seconds}${GAP}s`;
}
