import type { Measured } from './stage.ts';

/** A line of the table. */
export interface Row {
  /** Same in each run, so that runs can be compared. */
  readonly id: string;
  readonly title: string;
  readonly figures: Figures;
}

export type Figures = Readonly<Partial<Record<FigureName, number>>>;
export type FigureName = keyof typeof FIGURES;

interface Figure {
  /** With its unit. */
  text(value: number): string;
}

/** Everything that is measured; names and units are those of the JSON files. */
export const FIGURES = {
  requests_per_second: { text: value => `${digits(value / 1_000)} k req/s` },
  gigabytes_per_second: { text: value => `${digits(value)} GB/s` },
  ready_ms: { text: value => `${digits(value)} ms` },
  first_byte_p50_ms: { text: value => `${digits(value)} ms` },
  p50_ms: { text: value => `${digits(value)} ms` },
  p99_ms: { text: value => `${digits(value)} ms` },
  cpu_us_per_request: { text: value => `${digits(value)} µs/req` },
  cpu_s_per_gigabyte: { text: value => `${digits(value)} s/GB` },
  cpu_ms: { text: value => `${digits(value)} ms` },
  from_files_percent: { text: value => `${value.toFixed(0)} %` },
  peak_memory_mib: { text: value => `${value.toFixed(0)} MiB` },
  load_cpu_percent: { text: value => `${value.toFixed(0)} %` },
  other_cpu_percent: { text: value => `${value.toFixed(0)} %` },
} satisfies Record<string, Figure>;

/** Of small answers, where what counts is the work for each. */
export function perRequest(measured: Measured): Figures {
  return {
    requests_per_second: measured.requests / measured.seconds,
    ...(measured.used ? { cpu_us_per_request: (measured.used.proxyCpu / measured.requests) * 1e6 } : {}),
    ...common(measured),
  };
}

/** Of large answers, where what counts is the work for each byte. */
export function perByte(measured: Measured): Figures {
  return {
    gigabytes_per_second: measured.bytes / measured.seconds / 1e9,
    ...(measured.used ? { cpu_s_per_gigabyte: (measured.used.proxyCpu / measured.bytes) * 1e9 } : {}),
    ...common(measured),
  };
}

/** How much of what was sent had been read from files; the rest was in memory. For warm reads only. */
export function fromFiles({ used, bytes, bytesSent }: Measured): Figures {
  return used ? { from_files_percent: (Math.max(0, used.proxyBytesRead - bytesSent) / bytes) * 100 } : {};
}

/** Three significant digits. */
export function digits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function common({ used, firstByte, whole, seconds }: Measured): Figures {
  return {
    first_byte_p50_ms: firstByte.p50,
    p50_ms: whole.p50,
    p99_ms: whole.p99,
    ...(used
      ? {
          peak_memory_mib: used.proxyPeakMiB,
          load_cpu_percent: (used.loadCpu / seconds) * 100,
          other_cpu_percent: (used.otherCpu / seconds) * 100,
        }
      : {}),
  };
}
