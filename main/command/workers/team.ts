import { join } from 'node:path';
import {
  addTotals,
  type Figures,
  NO_TOTALS,
  pastOf,
  type Totals,
  type WorkerFacts,
} from '../../../proxy-core/admin/index.ts';
import type { Listening } from '../../../proxy-core/listeners/index.ts';
import type { Log, Problems } from '../../../proxy-core/observe/index.ts';
import type { Settings } from '../../../proxy-core/settings/index.ts';
import { restartDelay, WELL_AFTER_MS } from '../../restart-delay.ts';
import { shareOf } from './share.ts';
import { Worker } from './worker.ts';

export interface TeamOptions {
  /** Built entry point of a worker. */
  readonly script: string;
  readonly version: string;
  readonly settings: Settings;
  readonly address: Listening;
  /** A folder of this process alone, for the workers' control sockets. */
  readonly folder: string;
  readonly log: Pick<Log, 'warn' | 'info'>;
  readonly problems: Pick<Problems, 'state'>;
  /** One serves or has ended, has taken a connection or has one less. */
  readonly onChange: () => void;
}

interface Place {
  readonly number: number;
  worker: Worker | undefined;
  /** Ends in a row. */
  failures: number;
  timer: NodeJS.Timeout | undefined;
}

/** How long one may take to tell its figures; above that it is shown to hang, ms. */
const ANSWERS_WITHIN = 500;
const HANGS_AFTER = 10_000;
/** A stop that is not through this long after its grace is made one, ms. */
const STOP_SLACK = 8000;

/** The workers: each has its place, and is replaced there when it ends. */
export class Team {
  readonly #options: TeamOptions;
  readonly #places: readonly Place[];
  #settings: Settings;
  #past: Totals = NO_TOTALS;
  #stopping = false;
  readonly #onExit = () => {
    for (const worker of this.#living()) worker.kill();
  };

  constructor(options: TeamOptions) {
    this.#options = options;
    this.#settings = options.settings;
    this.#places = Array.from({ length: options.settings.server.workers }, (_, i) => ({
      number: i + 1,
      worker: undefined,
      failures: 0,
      timer: undefined,
    }));
  }

  /** Resolves when all serve. Rejects with what the first to fail says, when all have ended. */
  async start(): Promise<void> {
    process.on('exit', this.#onExit);
    const workers = this.#places.map(place => this.#begin(place));
    try {
      await Promise.all(workers.map(({ serving }) => serving));
    } catch (error) {
      await this.stop(0);
      throw error;
    }
  }

  /** Those that serve. */
  get serving(): readonly Worker[] {
    return this.#living().filter(({ isServing }) => isServing);
  }

  /** What they are, for a person. */
  get facts(): readonly WorkerFacts[] {
    return this.#places.map(({ number, worker }) => ({
      number,
      ...(worker?.isServing && worker.pid !== undefined ? { pid: worker.pid } : {}),
      active_connections: worker?.open ?? 0,
    }));
  }

  /** As they told them last. */
  get figures(): readonly Figures[] {
    return this.#living().flatMap(({ figures }) => figures ?? []);
  }

  /** Of those that have ended. */
  get past(): Totals {
    return this.#past;
  }

  /** Resolves when all have told their figures as they are now, but for those that hang. */
  async ask(): Promise<void> {
    await Promise.all(this.serving.map(worker => worker.ask(ANSWERS_WITHIN)));
    for (const { number, worker } of this.#places) {
      const silent = worker?.owesSince === undefined ? 0 : performance.now() - worker.owesSince;
      this.#options.problems.state(
        `worker_${number}_hangs`,
        silent < HANGS_AFTER
          ? undefined
          : `worker ${number} (process ${worker?.pid}) does not answer; it gets no new connections. If it goes on, end that process: another one takes its place.`,
      );
    }
  }

  /** Each is told its share, and one that is started anew starts with it. */
  apply(settings: Settings): void {
    this.#settings = settings;
    for (const { number, worker } of this.#places) worker?.apply(this.#shareOf(number));
  }

  /** Running transfers may finish within `grace`, ms. */
  async stop(grace: number): Promise<void> {
    this.#stopping = true;
    const living = this.#living();
    for (const { timer } of this.#places) clearTimeout(timer);
    for (const worker of living) worker.stop();
    const late = setTimeout(() => this.#onExit(), grace + STOP_SLACK);
    await Promise.all(living.map(({ ended }) => ended));
    clearTimeout(late);
    process.off('exit', this.#onExit);
  }

  #living(): Worker[] {
    return this.#places.flatMap(({ worker }) => worker ?? []);
  }

  #shareOf(number: number): Settings {
    return shareOf(this.#settings, number - 1, this.#places.length);
  }

  #begin(place: Place): Worker {
    const { script, version, address, folder, onChange } = this.#options;
    const { number } = place;
    const options = {
      name: `worker-${number}`,
      version,
      settings: this.#shareOf(number),
      address,
      controlFolder: join(folder, String(number)),
    };
    const worker = new Worker(script, options, { onConnections: onChange });
    place.worker = worker;
    worker.serving.then(
      () => {
        place.timer = setTimeout(() => {
          place.failures = 0;
          this.#options.problems.state(`worker_${number}`, undefined);
        }, WELL_AFTER_MS).unref();
        onChange();
      },
      () => {},
    );
    void worker.ended.then(how => this.#ended(place, worker, how));
    return worker;
  }

  #ended(place: Place, worker: Worker, how: string): void {
    if (worker.figures) this.#past = addTotals(this.#past, pastOf(worker.figures));
    place.worker = undefined;
    clearTimeout(place.timer);
    this.#options.onChange();
    if (this.#stopping) return;
    place.failures++;
    const delay = restartDelay(place.failures);
    const said = `worker ${place.number} (process ${worker.pid}) ended unexpectedly (${how}) and is started again in ${delay / 1000} s`;
    if (place.failures === 1) this.#options.log.warn(said);
    else this.#options.problems.state(`worker_${place.number}`, `${said}; it was so ${place.failures} times in a row`);
    place.timer = setTimeout(() => this.#begin(place), delay);
  }
}
