export { type Dashboard, type DashboardOptions, startDashboard } from './dashboard.ts';
export { loadRendererFiles, RENDERER_HEADERS, type RendererFile } from './renderer-files.ts';
export {
  type Addresses,
  type CacheFacts,
  type CounterValues,
  type SnapshotSources,
  type StatusSnapshot,
  takeSnapshot,
} from './snapshot.ts';
export { type Throughput, ThroughputMeter } from './throughput.ts';
