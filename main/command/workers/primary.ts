import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Addresses,
  type Figures,
  figuresTogether,
  findProxies,
  forwardedRoutes,
  type StatusSnapshot,
  ThroughputMeter,
  takeSnapshot,
} from '../../../proxy-core/admin/index.ts';
import type { Core, CoreOptions } from '../../../proxy-core/core.ts';
import { CisternError } from '../../../proxy-core/errors.ts';
import { ACCEPTING, BACKLOG, descriptorLimit, shareDescriptors } from '../../../proxy-core/listeners/index.ts';
import { Counters, createLog, Problems, processUsage } from '../../../proxy-core/observe/index.ts';
import type { Settings } from '../../../proxy-core/settings/index.ts';
import { SettingsInForce } from '../../../proxy-core/settings-in-force.ts';
import { type Sides, startSides } from '../../../proxy-core/sides.ts';
import { hostPort } from '../../../proxy-core/upstream/index.ts';
import { Dispatch } from './dispatch.ts';
import { Team } from './team.ts';
import type { Worker } from './worker.ts';

const SAMPLE_EVERY = 1000;

/**
 * `server.workers` processes, each with a core of its own on the one cache folder, behind one port that this process listens on. It
 * accepts connections and hands each to a worker; it shows the figures of all as if they were one proxy's. Rejects as
 * `startCore` does.
 * @param script built entry point of a worker
 */
export async function startWorkers(
  script: string,
  settings: Settings,
  options: Omit<CoreOptions, 'worker' | 'fastLane'> = {},
): Promise<Core> {
  const { server, logging, cache } = settings;
  const version = options.version ?? '0.0.0';
  const startedAt = Date.now();
  const log = createLog({
    level: logging.log_level,
    dir: logging.app_log_dir,
    retentionDays: logging.app_log_retention_days,
  });
  const problems = new Problems(log);
  const inForce = new SettingsInForce({
    settings,
    notices: options.notices,
    problems,
    log,
    onChange: changed => team.apply(changed),
  });

  // Before anything else: a port that is taken ends the start, and nothing has to be taken back.
  const listener = await listen(server.bind_address, server.proxy_port);
  const address = listener.address() as AddressInfo;
  let addresses: Addresses = { proxy: hostPort(address.address, address.port) };
  const folder = await mkdtemp(join(placeForSockets(), 'cistern-'));
  const team: Team = new Team({
    script,
    version,
    settings,
    address: { address: address.address, port: address.port },
    folder,
    log,
    problems,
    onChange: () => dispatch.next(),
  });
  let ready = false;
  const dispatch = new Dispatch({
    // All or none: whoever comes first finds all of them.
    takers: () => (ready ? team.serving : []),
    mostWaiting: server.max_connections,
  });
  listener.on('connection', socket => dispatch.take(socket));
  // Of one connection that could not be accepted: the next one is tried.
  const { advice } = shareDescriptors(descriptorLimit(), server.max_connections);
  listener.on('error', () => problems.event('descriptors', advice));

  let sides: Sides | undefined;
  let sampling: NodeJS.Timeout | undefined;
  const shutDown = async () => {
    clearInterval(sampling);
    await sides?.close();
    await rm(folder, { recursive: true, force: true });
    await log.close();
  };
  const stopAccepting = () => {
    // Its callback would come when the workers' connections have ended, too.
    listener.close();
    dispatch.close();
  };
  try {
    await team.start();
  } catch (error) {
    stopAccepting();
    await shutDown();
    throw error;
  }
  ready = true;
  dispatch.next();

  const own = (): Figures => {
    const { counters, latency, cpu_seconds } = team.past;
    const usage = processUsage();
    return {
      counters,
      latency,
      gauges: [],
      usage: { ...usage, cpu_seconds: usage.cpu_seconds + cpu_seconds },
      cache: { dir: cache.cache_dir, ram_bytes: 0, ram_limit: 0, disk_limit: inForce.now.cache.max_cache_size },
      problems: [
        ...inForce.notices,
        ...(team.serving.length > 0 ? [] : ['nobody is served at the moment: all workers are being started again']),
        ...problems.list(),
      ],
    };
  };
  const figures = () => figuresTogether([own(), ...team.figures]);
  const snapshot = (): StatusSnapshot => {
    const { counters: values, cache, problems } = figures();
    const counters = new Counters();
    counters.add(values);
    return takeSnapshot({
      version,
      startedAt,
      addresses,
      workers: team.facts,
      counters,
      throughput: () => meter.read(),
      cache: () => cache,
      problems: () => problems,
    });
  };
  const bytes = { bytes_from_cache: 0, bytes_from_s3: 0 };
  const meter = new ThroughputMeter(bytes);
  const sample = async () => {
    await team.ask();
    const { bytes_from_cache, bytes_from_s3 } = figures().counters;
    Object.assign(bytes, { bytes_from_cache, bytes_from_s3 });
    meter.sample();
  };
  sampling = setInterval(() => void sample(), SAMPLE_EVERY).unref();
  // For whoever doesn't wait for figures of the moment.
  await team.ask();

  const status = async () => {
    await team.ask();
    return snapshot();
  };
  const care = new CareTaker(team);
  sides = await startSides(
    settings,
    { ...options, version },
    {
      startedAt,
      status,
      figures: async () => {
        await team.ask();
        return figures();
      },
      serves: () => team.serving.length > 0,
      routes: forwardedRoutes({ status, chosen: () => care.chosen(), others: () => care.others() }),
      onProblem: (key, message) => problems.state(key, message),
    },
  );
  addresses = { ...addresses, ...sides.addresses };
  log.info(`Cistern ${version} serves on ${addresses.proxy} by ${server.workers} workers`);

  return {
    get addresses() {
      return addresses;
    },
    status: snapshot,
    figures,
    applySettings: (wanted, notices) => inForce.apply(wanted, notices),
    refuseSettings: why => inForce.refuse(why),
    async stop(grace = inForce.now.server.shutdown_grace) {
      stopAccepting();
      await team.stop(grace);
      await shutDown();
    },
  };
}

/** Who works on the cache folder for all: one worker, as long as it lives, so that it knows what is being done already. */
class CareTaker {
  readonly #team: Team;
  #worker: Worker | undefined;

  constructor(team: Team) {
    this.#team = team;
  }

  async chosen(): Promise<string> {
    return socketOf(this.#choose());
  }

  others(): Promise<readonly string[]> {
    const chosen = this.#choose();
    return Promise.all(this.#team.serving.filter(worker => worker !== chosen).map(socketOf));
  }

  #choose(): Worker {
    if (!this.#worker?.isServing) this.#worker = this.#team.serving[0];
    if (!this.#worker)
      throw new CisternError('InternalError', 'No worker serves at the moment; they are being started again.');
    return this.#worker;
  }
}

async function socketOf({ controlFolder }: Worker): Promise<string> {
  const { proxies, problems } = await findProxies([controlFolder]);
  const [proxy] = proxies;
  if (!proxy) throw new CisternError('InternalError', `A worker does not answer. ${problems.join(' ')}`.trim());
  return proxy.address;
}

/** The path of a socket in a folder below it has to fit into 103 bytes. */
function placeForSockets(): string {
  const usual = tmpdir();
  return process.platform !== 'win32' && Buffer.byteLength(usual) > 60 ? '/tmp' : usual;
}

function listen(host: string, port: number): Promise<Server> {
  // Paused: what a client sends is the worker's to read.
  const listener = createServer({ ...ACCEPTING, allowHalfOpen: true, pauseOnConnect: true });
  return new Promise((resolve, reject) => {
    listener.once('error', reject);
    listener.listen({ host, port, backlog: BACKLOG }, () => {
      listener.off('error', reject);
      resolve(listener);
    });
  });
}
