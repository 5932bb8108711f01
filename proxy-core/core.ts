import { isIP } from 'node:net';
import { hostname } from 'node:os';
import {
  type Addresses,
  controlRoutes,
  type Figures,
  type StatusSnapshot,
  ThroughputMeter,
  takeSnapshot,
} from './admin/index.ts';
import { Gateway } from './gateway.ts';
import {
  createConnectHandler,
  createForwardProxy,
  descriptorLimit,
  type Inlet,
  shareDescriptors,
} from './listeners/index.ts';
import { AccessLog, Counters, createLog, Latency, type Log, Problems, processUsage } from './observe/index.ts';
import { compatibleHosts, compatibleStores, TargetParser } from './request/index.ts';
import { BucketSettings, type Settings, type SettingsChange } from './settings/index.ts';
import { SettingsInForce } from './settings-in-force.ts';
import { type SideOptions, startSides } from './sides.ts';
import { Store, type StoreLimits, type VolumeReport } from './store/index.ts';
import { createUpstream, hostPort, type OwnAddress } from './upstream/index.ts';

export interface CoreOptions extends Partial<SideOptions> {
  /** What the settings' reader had to remark; shown among the problems. */
  readonly notices?: readonly string[];
  /** One of several that serve behind one port: its name in logs, and where its connections come from. */
  readonly worker?: { readonly name: string; readonly inlet: Inlet };
  /** `false`: all requests are read by `node:http`, so that tests can compare. */
  readonly fastLane?: boolean;
}

/** Bytes a second below which a client that sends a body is taken for a broken one. */
const MIN_BODY_RATE = 100;

/** A running proxy. */
export interface Core {
  readonly addresses: Addresses;
  status(): StatusSnapshot;
  /** For whoever adds up several. */
  figures(): Figures;
  /**
   * Other settings from now on: what can change while it runs does, at once; what can't is named in a notice, too.
   * @param notices what their reader had to remark
   */
  applySettings(settings: Settings, notices?: readonly string[]): SettingsChange;
  /** Other settings were to be applied and make no sense: shown as a problem, until some are applied. */
  refuseSettings(why: string): void;
  /** Accepts no more, lets running transfers finish within `grace` (ms; `server.shutdown_grace`), then ends everything. */
  stop(grace?: number): Promise<void>;
}

/**
 * Settings in, running proxy out: the one place that knows every part. Rejects when the data port or the cache folder
 * can't be had; a side port that is busy is shown as a problem.
 */
export async function startCore(settings: Settings, options: CoreOptions = {}): Promise<Core> {
  const version = options.version ?? '0.0.0';
  const startedAt = Date.now();
  const counters = new Counters();
  const latency = new Latency();
  const { worker } = options;
  const root = createLog({
    level: settings.logging.log_level,
    dir: settings.logging.app_log_dir,
    retentionDays: settings.logging.app_log_retention_days,
  });
  const log = worker ? root.child(worker.name) : root;
  const problems = new Problems(log);
  const onProblem = (key: string, message: string | undefined) => problems.state(key, message);
  const onEvent = (key: string, message: string) => problems.event(key, message);

  const { cache, server, connection_pool: pool, logging } = settings;
  const descriptors = shareDescriptors(descriptorLimit(), server.max_connections);
  const outOfDescriptors = () => onEvent('descriptors', descriptors.advice);
  const buckets: BucketSettings = new BucketSettings(settings, { isThere: () => store.isThere() });
  let volume: VolumeReport | undefined;
  const store: Store = new Store({
    cacheDir: cache.cache_dir,
    ...storeLimits(settings),
    incompleteUploadTtl: cache.incomplete_upload_ttl,
    putTtl: (folder, key) => buckets.resolve(folder, key).put_ttl,
    stores: compatibleStores(Object.keys(pool.upstream_overrides)),
    maxHeads: cache.metadata_cache.max_entries,
    algorithm: cache.eviction_algorithm,
    memoryBudget: cache.memory_budget,
    mergeGap: cache.range_merge_gap_threshold,
    diskTimeout: cache.disk_timeout,
    shared: cache.file_mode === 'shared',
    maxOpenFiles: descriptors.extents,
    onProblem,
    onEvent,
    onVolume: report => {
      volume = report;
      for (const line of [`cache volume: ${report.summary}`, ...report.notes]) log.info(line);
    },
    counters,
  });
  await store.open();

  const own: OwnAddress[] = [];
  const targets = new TargetParser({ isS3Compatible: compatibleHosts(Object.keys(pool.upstream_overrides)) });
  const upstream = createUpstream({
    isS3: authority => targets.parse(authority, '/').origin !== undefined,
    ownAddresses: () => own,
    anyHost: isLoopback(server.bind_address),
    upstreamOverrides: pool.upstream_overrides,
    endpointOverrides: pool.endpoint_overrides,
    dnsServers: pool.dns_servers,
    dnsRefreshInterval: pool.dns_refresh_interval,
    connectTimeout: pool.connection_timeout,
    firstByteTimeout: pool.upstream_first_byte_timeout,
    idleTimeout: pool.upstream_idle_timeout,
    keepAliveTimeout: pool.idle_timeout,
    keepAlive: pool.keepalive_enabled,
    maxIdlePerAddress: pool.max_idle_per_ip,
    maxConnectionsPerAddress: pool.connections_per_address,
    health: {
      threshold: pool.ip_failure_threshold,
      initialCooldown: pool.health_probe_initial_cooldown,
      maxCooldown: pool.health_probe_max_cooldown,
    },
    upstreamProxy: pool.upstream_proxy,
    onOutOfDescriptors: outOfDescriptors,
  });
  const accessLog = logging.access_log_enabled
    ? new AccessLog({
        dir: logging.access_log_dir,
        mode: logging.access_log_mode,
        flushInterval: logging.access_log_flush_interval,
        rotationInterval: logging.access_log_file_rotation_interval,
        retentionDays: logging.access_log_retention_days,
        counters,
        onProblem: problem => onProblem('access_log', problem),
        // Lines of two processes would have to share a file that each of them may leave half a line in.
        ...(worker ? { hostname: `${hostname()}-${worker.name}` } : {}),
      })
    : undefined;
  const gateway = new Gateway({ settings, targets, buckets, store, upstream, counters, latency, accessLog, onEvent });
  const inForce = new SettingsInForce({
    settings,
    notices: options.notices,
    problems,
    log: root,
    onChange: changed => {
      gateway.settings = changed;
      buckets.update(changed);
      store.setLimits(storeLimits(changed));
    },
  });
  const proxy = createForwardProxy({
    handle: exchange => gateway.handle(exchange),
    answerAtOnce:
      options.fastLane === false ? undefined : (request, client, wire) => gateway.answerAtOnce(request, client, wire),
    host: server.bind_address,
    port: server.proxy_port,
    inlet: worker?.inlet,
    headerTimeout: server.header_timeout,
    idleTimeout: server.idle_timeout,
    minBodyRate: MIN_BODY_RATE,
    maxConnections: descriptors.clients,
    maxSurplus: descriptors.surplus,
    maxRequests: server.max_concurrent_requests,
    connect: createConnectHandler({ upstream, idleTimeout: server.idle_timeout }),
    activity: counters,
    onRefused: () => counters.errors++,
    onCrowded: error => {
      if (error || descriptors.clients < server.max_connections) outOfDescriptors();
    },
  });

  const throughput = new ThroughputMeter(counters);
  const closing: { close(): Promise<void> }[] = [];
  const shutDown = async () => {
    throughput.stop();
    await Promise.all(closing.map(one => one.close()));
    await upstream.close();
    await accessLog?.close();
    const clean = await store.close();
    log.close();
    // A thread that hangs on the cache volume would keep the process for ever (design section 3, rule 5).
    if (!clean) process.kill(process.pid, 'SIGKILL');
  };
  try {
    await proxy.listen();
  } catch (error) {
    await shutDown();
    throw error;
  }
  const { address, port } = proxy.address;
  own.push({ address, port });
  throughput.start();

  let addresses: Addresses = { proxy: hostPort(address, port) };
  const cacheFacts = () => ({
    dir: cache.cache_dir,
    ram_bytes: store.ramBytes,
    ram_limit: inForce.now.cache.ram_cache_enabled ? inForce.now.cache.max_ram_cache_size : 0,
    ...(store.capacity.counted ? { disk_bytes: store.capacity.bytes } : {}),
    disk_limit: store.capacity.accounts.limit,
    ...(volume ? { volume } : {}),
  });
  const allProblems = () => [
    ...inForce.notices,
    ...problems.list(),
    ...buckets.problems().map(({ file, message }) => `${file}: ${message}`),
  ];
  const figures = (): Figures => ({
    counters: counters.values(),
    latency: latency.counts(),
    gauges: [
      { name: 'ram_cache_bytes', help: 'Content held in memory.', value: store.ramBytes },
      {
        name: 'disk_cache_bytes',
        help: 'Allocated bytes of the cache on disk, as far as counted.',
        value: store.capacity.bytes,
        shared: true,
      },
      { name: 'flights', help: 'Fetches from S3 under way.', value: gateway.reader.flights },
      { name: 'buffer_bytes', help: 'Bytes held by reads and fills under way.', value: store.pool.bytesOut },
    ],
    usage: processUsage(),
    cache: cacheFacts(),
    problems: allProblems(),
  });
  const status = () =>
    takeSnapshot({
      version,
      startedAt,
      addresses,
      counters,
      throughput: () => throughput.read(),
      cache: cacheFacts,
      problems: allProblems,
    });

  const sides = await startSides(
    settings,
    { ...options, version },
    { startedAt, status, figures, serves: () => true, routes: controlRoutes({ care: store.care, status }), onProblem },
  );
  closing.push(sides);
  addresses = { ...addresses, ...sides.addresses };
  started(log, version, addresses);

  return {
    get addresses() {
      return addresses;
    },
    status,
    figures,
    applySettings: (wanted, notices) => inForce.apply(wanted, notices),
    refuseSettings: why => inForce.refuse(why),
    async stop(grace = inForce.now.server.shutdown_grace) {
      await proxy.close(grace);
      await shutDown();
    },
  };
}

function started(log: Log, version: string, addresses: Addresses): void {
  log.info(`Cistern ${version} serves on ${addresses.proxy}`);
}

function storeLimits({ cache }: Settings): StoreLimits {
  return {
    maxDiskBytes: cache.max_cache_size,
    minFreeSpace: cache.min_free_space,
    uploadPercent: cache.write_cache_percent,
    pinPercent: cache.pin_percent,
    ramEnabled: cache.ram_cache_enabled,
    maxRamBytes: cache.max_ram_cache_size,
  };
}

function isLoopback(address: string): boolean {
  return address === 'localhost' || address === '::1' || (isIP(address) === 4 && address.startsWith('127.'));
}
