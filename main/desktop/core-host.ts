import { EventEmitter } from 'node:events';
import { type UtilityProcess, utilityProcess } from 'electron';
import type { StatusSnapshot } from '../../proxy-core/admin/index.ts';
import { restartDelay, WELL_AFTER_MS } from '../restart-delay.ts';
import type { FromCore, StartOptions, ToCore } from './core-messages.ts';
import type { CoreState, CoreStatus } from './ipc.ts';

export interface CoreHostOptions {
  /** The built core-process. */
  readonly modulePath: string;
  /** Asked at each start, so that a restart takes the settings of the moment. */
  readonly startOptions: () => StartOptions;
}

interface CoreEvents {
  /** At every change, and about once a second while it serves. */
  status: [CoreStatus];
  /** Each time that it has begun to serve. */
  serving: [StatusSnapshot];
}

/**
 * Hosts the core in a utility process: a process of its own, so that a busy proxy never makes the window or the tray
 * wait, and one that crashes takes nothing with it. Started again whenever it ends, until {@link stop}.
 */
export class CoreHost extends EventEmitter<CoreEvents> {
  readonly #options: CoreHostOptions;
  #child: UtilityProcess | undefined;
  #state: CoreState = { phase: 'starting' };
  #snapshot: StatusSnapshot | null = null;
  #failures = 0;
  #reason: string | undefined;
  #retry: NodeJS.Timeout | undefined;
  #wellTimer: NodeJS.Timeout | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: CoreHostOptions) {
    super();
    this.#options = options;
  }

  get status(): CoreStatus {
    return { core: this.#state, snapshot: this.#snapshot };
  }

  start(): void {
    this.#enter({ phase: 'starting' });
    this.#reason = undefined;
    // libuv reads the size of its pool once: the disk's bounded share must leave threads for DNS and LZ4.
    const env = { ...process.env, UV_THREADPOOL_SIZE: '64' };
    const child = utilityProcess.fork(this.#options.modulePath, [], { serviceName: 'Cistern core', env });
    this.#child = child;
    child.on('message', (message: FromCore) => this.#hear(message));
    child.once('exit', code => this.#ended(code));
    this.#tell({ type: 'start', options: this.#options.startOptions() });
  }

  /** Lets running transfers finish for as long as the core's settings say; resolves when its process has ended. */
  stop(): Promise<void> {
    this.#stopped ??= new Promise(resolve => {
      clearTimeout(this.#retry);
      this.#enter({ phase: 'stopping' });
      if (this.#child === undefined) return resolve();
      this.#child.once('exit', () => resolve());
      this.#tell({ type: 'stop' });
    });
    return this.#stopped;
  }

  /** Ends its process at once, transfers or not. */
  kill(): void {
    // Not `child.kill()`: its SIGTERM asks for an orderly stop, which a core that failed may not manage.
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      // It ended by itself in this moment; `exit` tells so next.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  #tell(message: ToCore): void {
    this.#child?.postMessage(message);
  }

  #hear(message: FromCore): void {
    if (message.type === 'failed') {
      this.#reason = message.reason;
      this.kill();
      return;
    }
    this.#snapshot = message.snapshot;
    if (this.#state.phase === 'starting') {
      this.#wellTimer = setTimeout(() => {
        this.#failures = 0;
      }, WELL_AFTER_MS);
      this.#enter({ phase: 'serving' });
      this.emit('serving', message.snapshot);
    } else {
      this.emit('status', this.status);
    }
  }

  #ended(code: number): void {
    this.#child = undefined;
    clearTimeout(this.#wellTimer);
    if (this.#stopped !== undefined) return;
    this.#failures++;
    const retry_in_ms = restartDelay(this.#failures);
    const reason = this.#reason ?? `The proxy's process ended unexpectedly (code ${code}).`;
    process.stderr.write(`cistern: ${reason} It is started again in ${retry_in_ms / 1000} s.\n`);
    this.#retry = setTimeout(() => this.start(), retry_in_ms);
    this.#enter({ phase: 'down', reason, retry_in_ms });
  }

  #enter(state: CoreState): void {
    this.#state = state;
    this.emit('status', this.status);
  }
}
