import {
  type Addresses,
  type ControlRoutes,
  type Dashboard,
  type Figures,
  type StatusSnapshot,
  startControlServer,
  startDashboard,
} from './admin/index.ts';
import {
  Counters,
  Latency,
  renderMetrics,
  type SideServer,
  startHealthServer,
  startMetricsServer,
} from './observe/index.ts';
import type { Settings } from './settings/index.ts';

export interface SideOptions {
  readonly version: string;
  /** Folder of the built web UI, for the dashboard. */
  readonly rendererDir?: string | undefined;
  /** A port that is busy moves to a free one, instead of staying off. */
  readonly movePorts?: boolean | undefined;
  /** Folders for the control socket, the first that can be used is taken; without any there is no control interface. */
  readonly controlFolders?: readonly string[] | undefined;
}

/** What they show: of one process, or of several that serve behind one port. */
export interface SideSources {
  /** ms since the epoch */
  readonly startedAt: number;
  status(): StatusSnapshot | Promise<StatusSnapshot>;
  figures(): Figures | Promise<Figures>;
  /** Whether anybody is served. */
  serves(): boolean;
  readonly routes: ControlRoutes;
  /** A state that a person should know of. */
  onProblem(key: string, message: string): void;
}

export interface Sides {
  readonly addresses: Omit<Addresses, 'proxy'>;
  close(): Promise<void>;
}

/** Control socket, dashboard, metrics and health, as the settings want them. What can't be had is a problem, not the end. */
export async function startSides(settings: Settings, options: SideOptions, sources: SideSources): Promise<Sides> {
  const started: { close(): Promise<void> }[] = [];
  let addresses: Omit<Addresses, 'proxy'> = {};
  const side = async (
    name: 'health' | 'metrics' | 'dashboard',
    start: (port: number) => Promise<SideServer | Dashboard>,
  ) => {
    try {
      const one = await start(settings[name].port).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EADDRINUSE' || options.movePorts !== true) throw error;
        return start(0);
      });
      started.push(one);
      addresses = { ...addresses, [name]: one.address };
    } catch (error) {
      const { name: kind, message } = error as Error;
      sources.onProblem(name, kind === 'ListenError' ? message : `${name}.port: ${message}`);
    }
  };
  if (options.controlFolders !== undefined) {
    await startControlServer(options.controlFolders, sources.routes).then(
      control => started.push(control),
      (error: Error) =>
        sources.onProblem('control', `cistern status, ls and the like don't find this proxy: ${error.message}`),
    );
  }
  const { health, metrics, dashboard } = settings;
  const { version, rendererDir } = options;
  if (dashboard.enabled && rendererDir !== undefined)
    await side('dashboard', port =>
      startDashboard({ bind_address: dashboard.bind_address, port, rendererDir }, sources),
    );
  if (metrics.enabled)
    await side('metrics', port => startMetricsServer({ ...metrics, port }, () => exposition(version, sources)));
  if (health.enabled) {
    // A cache that can't be used costs hits, not requests: the proxy is still fit to serve.
    await side('health', port =>
      startHealthServer({ ...health, port }, async () => {
        const { problems, addresses } = await sources.status();
        return { ok: sources.serves(), reasons: problems, version, addresses };
      }),
    );
  }
  return {
    addresses,
    async close() {
      await Promise.all(started.map(one => one.close()));
    },
  };
}

async function exposition(version: string, { startedAt, figures }: SideSources): Promise<string> {
  const { counters: values, latency: counts, gauges, usage } = await figures();
  const [counters, latency] = [new Counters(), new Latency()];
  counters.add(values);
  latency.add(counts);
  return renderMetrics({ version, startedAt, counters, latency, gauges, usage });
}
