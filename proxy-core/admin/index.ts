export { ask, askMany, ControlRefused, findProxies, type RunningProxy } from './control-client.ts';
export { controlFolders } from './control-folder.ts';
export { type ControlSources, controlRoutes, type Hello } from './control-routes.ts';
export { type ControlRoutes, type ControlServer, startControlServer } from './control-server.ts';
export { type Dashboard, type DashboardOptions, startDashboard } from './dashboard.ts';
export { addTotals, type Figures, figuresTogether, NO_TOTALS, pastOf, type Totals } from './figures.ts';
export { type ForwardTo, forwardedRoutes } from './forwarded-routes.ts';
export { loadRendererFiles, RENDERER_HEADERS, type RendererFile } from './renderer-files.ts';
export {
  type Addresses,
  type CacheFacts,
  type SnapshotSources,
  type StatusSnapshot,
  takeSnapshot,
  type WorkerFacts,
} from './snapshot.ts';
export { type Throughput, ThroughputMeter } from './throughput.ts';
