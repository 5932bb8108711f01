import type { CounterName, Counters, Level } from './counters.ts';
import { type Latency, OUTCOMES } from './latency.ts';

/** A value read at the time of a scrape, such as the bytes held in memory. Names get the prefix `cistern_`. */
export interface Gauge {
  readonly name: string;
  readonly help: string;
  readonly value: number;
  readonly labels?: Readonly<Record<string, string>>;
  /** Of the cache folder, which several processes may use: their values are not to be added up. */
  readonly shared?: boolean;
}

/** What a process has used of the machine. */
export interface ProcessUsage {
  readonly resident_bytes: number;
  readonly cpu_seconds: number;
}

export function processUsage(): ProcessUsage {
  const { user, system } = process.cpuUsage();
  return { resident_bytes: process.memoryUsage.rss(), cpu_seconds: (user + system) / 1e6 };
}

export interface MetricsSources {
  readonly version: string;
  /** ms since the epoch */
  readonly startedAt: number;
  readonly counters: Counters;
  readonly latency: Latency;
  readonly gauges: readonly Gauge[];
  /** Of all processes that serve together; by default of this one. */
  readonly usage?: ProcessUsage;
}

export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** The Prometheus text exposition format, version 0.0.4. */
export function renderMetrics({
  version,
  startedAt,
  counters,
  latency,
  gauges,
  usage = processUsage(),
}: MetricsSources): string {
  const families: string[] = [
    family('cistern_build_info', 'gauge', 'Which Cistern this is.', [['', { version, node: process.version }, 1]]),
    family('cistern_start_time_seconds', 'gauge', 'When the process started, Unix time.', [['', {}, startedAt / 1000]]),
    family('cistern_resident_memory_bytes', 'gauge', 'Memory of the process.', [['', {}, usage.resident_bytes]]),
    family('cistern_cpu_seconds_total', 'counter', 'CPU time of the process.', [['', {}, usage.cpu_seconds]]),
  ];
  for (const [name, help] of entries(TOTALS)) {
    families.push(family(`cistern_${name}_total`, 'counter', help, [['', {}, counters[name]]]));
  }
  for (const [name, help] of entries(LEVEL_HELP)) {
    families.push(family(`cistern_${name}`, 'gauge', help, [['', {}, counters[name]]]));
  }
  const byReason = (reasons: ReadonlyMap<string, number>) =>
    [...reasons].map(([reason, count]): Sample => ['', { reason }, count]);
  const bypasses = byReason(counters.bypass_reasons);
  families.push(family('cistern_bypasses_total', 'counter', 'Requests relayed past the cache, by reason.', bypasses));
  const passedBy = byReason(counters.upload_reasons);
  families.push(
    family('cistern_uploads_passed_by_total', 'counter', 'Uploaded objects that were not kept, by reason.', passedBy),
  );
  families.push(latencyFamily(latency));
  families.push(...gaugeFamilies(gauges));
  return families.join('');
}

/** A counter added to {@link Counters} has to be described here, or this does not compile. */
const TOTALS: Record<Exclude<CounterName, Level | 'bypasses'>, string> = {
  requests: 'Requests from clients.',
  hits: 'Reads answered from the cache without asking S3.',
  revalidated: 'Reads answered from the cache after S3 confirmed the version.',
  partial: 'Reads answered partly from the cache, partly from S3.',
  misses: 'Reads answered from S3.',
  errors: 'Requests that Cistern itself answered with an error.',
  bytes_from_cache: 'Body bytes served from the cache.',
  bytes_from_s3: 'Body bytes received from S3.',
  bytes_to_clients: 'Body bytes sent to clients.',
  bytes_uploaded: 'Body bytes received from clients.',
  s3_requests: 'Requests sent to S3.',
  disk_errors: 'Disk operations that failed.',
  disk_corrupt: 'Cached data that failed its check and was dropped.',
  disk_skipped: 'Cache writes and reads given up because the disk was too slow or out of order.',
  epochs_moved: 'Objects moved on by a write.',
  uploads_kept: 'Uploaded objects of which a copy was kept.',
  access_log_dropped: 'Access log lines lost because they could not be written.',
};

const LEVEL_HELP: Record<Level, string> = {
  active_requests: 'Requests being answered now.',
  active_connections: 'Client connections open now.',
};

/** Suffix of the name, labels, value. */
type Sample = readonly [suffix: string, labels: Readonly<Record<string, string>>, value: number];

function family(
  name: string,
  type: 'counter' | 'gauge' | 'histogram',
  help: string,
  samples: readonly Sample[],
): string {
  const lines = samples.map(([suffix, labels, value]) => `${name}${suffix}${renderLabels(labels)} ${value}\n`);
  return `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}

function latencyFamily(latency: Latency): string {
  const summaries = latency.read();
  const samples = OUTCOMES.flatMap((outcome): Sample[] => [
    ...latency
      .cumulative(outcome)
      .map(({ bound, count }): Sample => ['_bucket', { outcome, le: String(bound / 1000) }, count]),
    ['_bucket', { outcome, le: '+Inf' }, summaries[outcome].count],
    ['_sum', { outcome }, summaries[outcome].sum / 1000],
    ['_count', { outcome }, summaries[outcome].count],
  ]);
  return family(
    'cistern_first_byte_seconds',
    'histogram',
    "Time from a request to its answer's first byte, by outcome.",
    samples,
  );
}

/** All samples of one name stand together under one HELP and TYPE. */
function gaugeFamilies(gauges: readonly Gauge[]): string[] {
  const byName = new Map<string, Gauge[]>();
  for (const gauge of gauges) byName.set(gauge.name, [...(byName.get(gauge.name) ?? []), gauge]);
  return [...byName].map(([name, group]) =>
    family(
      `cistern_${name}`,
      'gauge',
      group[0]!.help,
      group.map((g): Sample => ['', g.labels ?? {}, g.value]),
    ),
  );
}

function renderLabels(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escapeLabel(value: string): string {
  return escapeHelp(value).replaceAll('"', '\\"');
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function entries<K extends string>(table: Record<K, string>): [K, string][] {
  return Object.entries(table) as [K, string][];
}
