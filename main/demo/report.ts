import type { RequestRecord } from './origin/index.ts';

export interface Row {
  readonly what: string;
  readonly ms: number;
  readonly bytes: number;
  /** X-Cache of each answer */
  readonly xCache: readonly string[];
  /** What the origin saw meanwhile */
  readonly asked: readonly RequestRecord[];
}

const WIDTHS = [36, 9, 12, 18] as const;

export function heading(): string[] {
  const line = columns(['', 'time', 'rate', 'X-Cache'], 'what S3 was asked for');
  return [line, '─'.repeat(line.length)];
}

export function rowLine({ what, ms, bytes, xCache, asked }: Row): string {
  return columns([what, duration(ms), rate(bytes, ms), summary(xCache)], askedFor(asked));
}

function columns([what = '', ...figures]: readonly string[], last: string): string {
  const padded = figures.map((figure, i) => figure.padStart(WIDTHS[i + 1]!));
  return `  ${what.padEnd(WIDTHS[0])}${padded.join('')}   ${last}`;
}

function duration(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}

/** Only where there is enough to make a rate of. */
function rate(bytes: number, ms: number): string {
  return bytes < 2 ** 20 ? '' : `${Math.round(bytes / 1e3 / ms)} MB/s`;
}

/** `HIT`, or `MISS × 3, HIT × 197` where answers differ. */
function summary(values: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].map(([value, count]) => (values.length > 1 ? `${count} × ${value}` : value)).join(', ');
}

function askedFor(asked: readonly RequestRecord[]): string {
  if (asked.length === 0) return 'nothing';
  const methods = new Map<string, number>();
  for (const { method, status } of asked) {
    const label = status < 300 ? method : `${method} → ${status}`;
    methods.set(label, (methods.get(label) ?? 0) + 1);
  }
  const bytes = asked.reduce((sum, record) => sum + (record.status < 300 ? record.bytesSent : 0), 0);
  const list = [...methods].map(([label, count]) => `${count} ${label}`).join(', ');
  const content = bytes > 0 ? size(bytes) : 'no content';
  return methods.has('PUT') ? list : `${list} (${content})`;
}

export function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 2 ** 20 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
