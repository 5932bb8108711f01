import type { LoadResult } from './load.ts';
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

const ms: Figure = { text: value => `${digits(value)} ms` };
const percent: Figure = { text: value => `${value.toFixed(0)} %` };
const shares: Figure = { text: value => `${value.toFixed(1)} %` };
const mebibytes: Figure = { text: value => `${value.toFixed(0)} MiB` };
const times: Figure = { text: digits };
const thousands: Figure = { text: value => `${digits(value / 1_000)} k req/s` };
const rate: Figure = { text: value => `${digits(value)} GB/s` };

/** Everything that is measured; names and units are those of the JSON files. */
export const FIGURES = {
  requests_per_second: thousands,
  gigabytes_per_second: rate,
  ready_ms: ms,
  direct_requests_per_second: thousands,
  direct_gigabytes_per_second: rate,
  /** Of the result, with the proxy by without it: above 1 the proxy is faster. */
  times_direct: times,
  /** By the result with one connection to the origin. */
  times_one_connection: times,
  /** By the result without slow readers beside. */
  times_alone: times,
  first_byte_p50_ms: ms,
  first_byte_p95_ms: ms,
  direct_first_byte_p50_ms: ms,
  direct_first_byte_p95_ms: ms,
  first_byte_added_ms: ms,
  p50_ms: ms,
  p99_ms: ms,
  origin_requests: { text: value => value.toFixed(0) },
  /** Bytes that the origin sent, by the length of the object. */
  origin_bodies: { text: value => value.toFixed(2) },
  hit_percent: shares,
  byte_hit_percent: shares,
  /** To the disk, in all. */
  written_gigabytes: { text: value => `${digits(value)} GB` },
  /** Of the volume, for each file that was evicted. */
  operations_per_file: { text: digits },
  operations_per_gigabyte: { text: value => `${value.toFixed(0)} /GB` },
  cpu_us_per_request: { text: value => `${digits(value)} µs/req` },
  cpu_s_per_gigabyte: { text: value => `${digits(value)} s/GB` },
  cpu_ms: ms,
  from_files_percent: percent,
  peak_memory_mib: mebibytes,
  /** Peak memory by that with small objects. */
  times_small_memory: times,
  most_budget_mib: mebibytes,
  load_cpu_percent: percent,
  other_cpu_percent: percent,
} satisfies Record<string, Figure>;

/** Of small answers, where what counts is the work for each. */
export function perRequest(measured: Measured): Figures {
  return {
    requests_per_second: requestRate(measured),
    ...cpuPerRequest(measured),
    ...(measured.firstByte ? { first_byte_p50_ms: measured.firstByte.p50 } : {}),
    ...wholeTimes(measured),
    ...usage(measured),
  };
}

/** Of large answers, where what counts is the work for each byte. */
export function perByte(measured: Measured): Figures {
  return {
    gigabytes_per_second: byteRate(measured),
    ...cpuPerByte(measured),
    ...(measured.firstByte ? { first_byte_p50_ms: measured.firstByte.p50 } : {}),
    ...wholeTimes(measured),
    ...usage(measured),
  };
}

/** How much of what was sent had been read from files; the rest was in memory. For warm reads only. */
export function fromFiles({ used, bytes, bytesSent }: Measured): Figures {
  return used ? { from_files_percent: (Math.max(0, used.proxyBytesRead - bytesSent) / bytes) * 100 } : {};
}

/** Small answers beside the origin's own. */
export function requestsBeside(measured: Measured, direct: LoadResult): Figures {
  return {
    requests_per_second: requestRate(measured),
    direct_requests_per_second: requestRate(direct),
    times_direct: requestRate(measured) / requestRate(direct),
    ...firstBytesBeside(measured, direct),
    ...cpuPerRequest(measured),
    ...usage(measured),
  };
}

/** Large answers beside the origin's own. */
export function bytesBeside(measured: Measured, direct: LoadResult): Figures {
  return {
    ...rateBeside(measured, direct),
    ...firstBytesBeside(measured, direct),
    ...cpuPerByte(measured),
    ...usage(measured),
  };
}

export function rateBeside(measured: LoadResult, direct: LoadResult): Figures {
  return {
    gigabytes_per_second: byteRate(measured),
    direct_gigabytes_per_second: byteRate(direct),
    times_direct: byteRate(measured) / byteRate(direct),
  };
}

export function firstBytesBeside({ firstByte }: LoadResult, { firstByte: direct }: LoadResult): Figures {
  if (!firstByte || !direct) return {};
  return {
    first_byte_p50_ms: firstByte.p50,
    first_byte_p95_ms: firstByte.p95,
    direct_first_byte_p50_ms: direct.p50,
    direct_first_byte_p95_ms: direct.p95,
    first_byte_added_ms: firstByte.p50 - direct.p50,
  };
}

export function wholeTimes({ whole }: LoadResult): Figures {
  return whole ? { p50_ms: whole.p50, p99_ms: whole.p99 } : {};
}

/** What the origin was asked for. */
export function fromOrigin({ originRequests, originBytes }: Measured, objectLength: number): Figures {
  return { origin_requests: originRequests, origin_bodies: originBytes / objectLength };
}

export function cpuPerByte({ used, bytes }: Measured): Figures {
  return used ? { cpu_s_per_gigabyte: (used.proxyCpu / bytes) * 1e9 } : {};
}

/** Of memory and of the machine. */
export function usage({ used, mostBudgetBytes, seconds }: Measured): Figures {
  return {
    ...(mostBudgetBytes === undefined ? {} : { most_budget_mib: mostBudgetBytes / 2 ** 20 }),
    ...(used
      ? {
          peak_memory_mib: used.proxyPeakMiB,
          load_cpu_percent: (used.loadCpu / seconds) * 100,
          other_cpu_percent: (used.otherCpu / seconds) * 100,
        }
      : {}),
  };
}

export function byteRate({ bytes, seconds }: LoadResult): number {
  return bytes / seconds / 1e9;
}

/** Three significant digits. */
export function digits(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function requestRate({ requests, seconds }: LoadResult): number {
  return requests / seconds;
}

function cpuPerRequest({ used, requests }: Measured): Figures {
  return used ? { cpu_us_per_request: (used.proxyCpu / requests) * 1e6 } : {};
}
