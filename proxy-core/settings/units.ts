/** Durations and sizes as people write them. Both parsers answer undefined for what is not one. */

const MILLISECONDS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const LONG_FORMS: Readonly<Record<string, string>> = {
  millisecond: 'ms',
  sec: 's',
  second: 's',
  min: 'm',
  minute: 'm',
  hr: 'h',
  hour: 'h',
  day: 'd',
};
const BYTES: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

export const DURATION_PATTERN = '^\\s*\\d+(\\.\\d+)?\\s*[a-zA-Z]*\\s*$';
export const SIZE_PATTERN = '^\\s*\\d+(\\.\\d+)?\\s*([kKmMgGtT]?[iI]?[bB])?\\s*$';

/** Milliseconds of `500ms`, `1.5h`, `30 seconds`, or of a bare number, which counts seconds as in the reference's files. */
export function parseDuration(raw: unknown): number | undefined {
  const parts = split(raw);
  if (!parts) return undefined;
  const unit = LONG_FORMS[parts.unit.replace(/s$/, '')] ?? parts.unit;
  const scale = unit === '' ? MILLISECONDS.s : MILLISECONDS[unit];
  return scale === undefined ? undefined : Math.round(parts.number * scale);
}

/** Bytes of `10GiB`, `500MB`, or of a bare whole number. */
export function parseSize(raw: unknown): number | undefined {
  const parts = split(raw);
  if (!parts) return undefined;
  const scale = parts.unit === '' ? 1 : BYTES[parts.unit];
  if (scale === undefined || (parts.unit === '' && !Number.isInteger(parts.number))) return undefined;
  const bytes = Math.round(parts.number * scale);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** The shortest exact spelling: 60000 → `1m`, 1500 → `1500ms`. */
export function formatDuration(milliseconds: number): string {
  for (const unit of ['d', 'h', 'm', 's']) {
    const scale = MILLISECONDS[unit]!;
    if (milliseconds >= scale && milliseconds % scale === 0) return `${milliseconds / scale}${unit}`;
  }
  return milliseconds === 0 ? '0s' : `${milliseconds}ms`;
}

/** The shortest exact spelling in binary units: 1048576 → `1MiB`, 1500 → `1500`. */
export function formatSize(bytes: number): string {
  for (const [unit, scale] of [
    ['TiB', 2 ** 40],
    ['GiB', 2 ** 30],
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
  ] as const) {
    if (bytes >= scale && bytes % scale === 0) return `${bytes / scale}${unit}`;
  }
  return String(bytes);
}

function split(raw: unknown): { number: number; unit: string } | undefined {
  if (typeof raw === 'number') return Number.isFinite(raw) && raw >= 0 ? { number: raw, unit: '' } : undefined;
  if (typeof raw !== 'string') return undefined;
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(raw);
  return match ? { number: Number(match[1]), unit: match[2]!.toLowerCase() } : undefined;
}
