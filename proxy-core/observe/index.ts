export { type AccessEntry, formatLine } from './access-line.ts';
export { AccessLog, type AccessLogOptions } from './access-log.ts';
export { Counters, type CounterValues, LEVELS } from './counters.ts';
export { Latency, type LatencyCounts, type LatencySummary, OUTCOMES, type Outcome } from './latency.ts';
export { createLog, LOG_LEVELS, type Log, type LogFields, type LogLevel, type LogOptions } from './log.ts';
export { type Gauge, type MetricsSources, type ProcessUsage, processUsage, renderMetrics } from './metrics.ts';
export { Problems } from './problems.ts';
export { redactText, redactUrl } from './redact.ts';
export {
  type Health,
  ListenError,
  type SideServer,
  type SideServerOptions,
  startHealthServer,
  startMetricsServer,
} from './side-servers.ts';
