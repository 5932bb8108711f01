import { EventEmitter } from 'node:events';
import { type UtilityProcess, utilityProcess } from 'electron';
import type { StatusSnapshot } from '../../proxy-core/admin/index.ts';
import type { FromCore, StartOptions, ToCore } from './core-messages.ts';
import type { CoreState, DesktopStatus } from './ipc.ts';
import { restartDelay, WELL_AFTER_MS } from './restart-delay.ts';

export interface CoreHostOptions {
  /** The built core-process. */
  readonly modulePath: string;
  /** Asked at each start, so that a restart takes the settings of the moment. */
  readonly startOptions: () => StartOptions;
}

/**
 * Hosts the core in a utility process: a process of its own, so that a busy proxy never makes the window or the tray
 * wait, and one that crashes takes nothing with it. Started again whenever it ends, until {@link stop}.
 */
export class CoreHost extends EventEmitter<{ status: [DesktopStatus] }> {
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

  get status(): DesktopStatus {
    return { core: this.#state, snapshot: this.#snapshot };
  }

  start(): void {
    this.#enter({ phase: 'starting' });
    this.#reason = undefined;
    // libuv reads the size of its pool once: the disk's bounded share must leave threads for DNS and LZ4.
    const env = { ...process.env, UV_THREADPOOL_SIZE: '64' };
    const child = utilityProcess.fork(this.#options.modulePath, [], { serviceName: 'Cistern core', env });
    this.#child = child;
    child.on('message', (message: FromCore) => this.#hear(child, message));
    child.once('exit', code => this.#ended(code));
    this.#tell({ type: 'start', options: this.#options.startOptions() });
  }

  /**
   * Lets running transfers finish for as long as the core's settings say; resolves when its process has ended. A second
   * call ends it at once.
   */
  stop(): Promise<void> {
    if (this.#stopped !== undefined && this.#child !== undefined) end(this.#child);
    this.#stopped ??= new Promise(resolve => {
      clearTimeout(this.#retry);
      this.#enter({ phase: 'stopping' });
      if (this.#child === undefined) return resolve();
      this.#child.once('exit', () => resolve());
      this.#tell({ type: 'stop' });
    });
    return this.#stopped;
  }

  #tell(message: ToCore): void {
    this.#child?.postMessage(message);
  }

  #hear(child: UtilityProcess, message: FromCore): void {
    if (message.type === 'failed') {
      this.#reason = message.reason;
      end(child);
      return;
    }
    this.#snapshot = message.snapshot;
    if (this.#state.phase === 'starting') {
      this.#wellTimer = setTimeout(() => {
        this.#failures = 0;
      }, WELL_AFTER_MS);
      this.#enter({ phase: 'serving' });
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

/** Not `child.kill()`: its SIGTERM asks for an orderly stop, which a core that failed may not manage. */
function end(child: UtilityProcess): void {
  if (child.pid !== undefined) process.kill(child.pid, 'SIGKILL');
}
