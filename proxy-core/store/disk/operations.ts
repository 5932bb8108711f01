/** The disk did not do an operation in time, or is not being asked at the moment because it kept missing its deadline. */
export class DiskUnavailable extends Error {
  override readonly name = 'DiskUnavailable';
}

/** The disk was not asked at all, for a reason that is known already. */
export class NotAsked extends DiskUnavailable {}

/** The cache folder can't be used at the moment. */
export class FolderClosed extends NotAsked {
  constructor() {
    super("the cache folder can't be used at the moment");
  }
}

/** What stands before a volume: the folder on it, which may not be the right one. */
export interface Gate {
  /** Nothing may be asked of the volume. */
  readonly closed: boolean;
  /** Asked before a folder is made; rejects where it would not be in the right one. */
  mayMake(): Promise<void>;
}

export interface OperationsOptions {
  /** Deadline of one operation, ms. */
  readonly deadline: number;
  /** Operations in libuv's hands at once; the pool must be several times larger (main/command/cistern.cjs). */
  readonly maxOutstanding?: number;
  readonly gate?: Gate;
  /** Told when the breaker opens (`reason`) or closes (`undefined`). */
  readonly onState?: (reason: string | undefined) => void;
}

const MISSES_TO_OPEN = 3;
const PROBE_EVERY = 2000;
const TICK = 50;

interface Operation {
  readonly start: (done: (error: Error | null, value?: unknown) => void) => void;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly late: ((value: unknown) => void) | undefined;
  readonly path: string | undefined;
  readonly due: number;
  state: 'waiting' | 'running' | 'settled';
}

/**
 * File operations with a bound on how many are under way and a deadline on each, so that a slow or hung volume costs
 * hits and never requests (design section 3, rule 5). A deadline does not free the blocked thread: after a few misses
 * a breaker refuses everything but one probe every 2 s, until an operation comes back.
 */
export class Operations {
  readonly #deadline: number;
  readonly #max: number;
  readonly #onState: ((reason: string | undefined) => void) | undefined;
  protected readonly gate: Gate | undefined;
  readonly #waiting: Operation[] = [];
  readonly #pending = new Set<Operation>();
  /** Paths with an operation that has missed its deadline and not come back: one thread each is enough to lose. */
  readonly #stuck = new Set<string>();
  #outstanding = 0;
  #misses = 0;
  #open = false;
  #lastProbe = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: OperationsOptions) {
    this.#deadline = options.deadline;
    this.#max = options.maxOutstanding ?? 16;
    this.#onState = options.onState;
    this.gate = options.gate;
  }

  /** False while the breaker or the gate refuses operations; true lets a probe through, too. */
  get available(): boolean {
    return !this.gate?.closed && (!this.#open || performance.now() - this.#lastProbe > PROBE_EVERY);
  }

  /** Waits until every operation has come back. False when one has not by its deadline: then a thread is stuck, and with it the process. */
  async drained(): Promise<boolean> {
    const until = performance.now() + this.#deadline;
    while (this.isBusy && performance.now() < until) await new Promise(resolve => setTimeout(resolve, 2));
    return this.#outstanding === 0;
  }

  /** Something is under way, or about to be. */
  protected get isBusy(): boolean {
    return this.#outstanding > 0;
  }

  /** The breaker refuses operations. */
  protected get refuses(): boolean {
    return this.#open;
  }

  /** One has come back: the volume answers. */
  protected answered(): void {}

  /**
   * Runs one callback-style operation. Rejects with the system's error, or {@link DiskUnavailable}; in the latter case
   * `late` is called once, as soon as the operation holds nothing any more, with its value if it came to one.
   * While an operation on `path` is stuck, others on it are refused.
   */
  run<T>(
    start: (done: (error: Error | null, value?: T) => void) => void,
    late?: (value: T | undefined) => void,
    path?: string,
  ): Promise<T> {
    if (this.gate?.closed) {
      late?.(undefined);
      return Promise.reject(new FolderClosed());
    }
    return this.runPastGate(start, late, path);
  }

  /** The same, also where the gate is closed. */
  protected runPastGate<T>(
    start: (done: (error: Error | null, value?: T) => void) => void,
    late?: (value: T | undefined) => void,
    path?: string,
  ): Promise<T> {
    const now = performance.now();
    if (path !== undefined && this.#stuck.has(path)) {
      late?.(undefined);
      return Promise.reject(new NotAsked('the cache volume has not answered about this file yet'));
    }
    if (this.#open) {
      if (now - this.#lastProbe <= PROBE_EVERY) {
        late?.(undefined);
        return Promise.reject(new NotAsked('the cache volume is not answering'));
      }
      this.#lastProbe = now;
    }
    return new Promise<T>((resolve, reject) => {
      const operation: Operation = {
        start: start as Operation['start'],
        resolve: resolve as (value: unknown) => void,
        reject,
        late: late as ((value: unknown) => void) | undefined,
        path,
        due: now + this.#deadline,
        state: 'waiting',
      };
      this.#pending.add(operation);
      this.#timer ??= setInterval(() => this.#expire(), TICK).unref();
      if (this.#outstanding < this.#max) this.#begin(operation);
      else this.#waiting.push(operation);
    });
  }

  #begin(operation: Operation): void {
    operation.state = 'running';
    this.#outstanding++;
    operation.start((error, value) => this.#done(operation, error, value));
  }

  #done(operation: Operation, error: Error | null, value: unknown): void {
    this.#outstanding--;
    this.#misses = 0;
    if (this.#open) {
      this.#open = false;
      this.#onState?.(undefined);
    }
    this.answered();
    if (operation.state === 'settled') {
      if (operation.path !== undefined) this.#stuck.delete(operation.path);
      operation.late?.(error ? undefined : value);
    } else {
      this.#settle(operation);
      if (error) operation.reject(error);
      else operation.resolve(value);
    }
    while (this.#outstanding < this.#max) {
      const next = this.#waiting.shift();
      if (!next) break;
      if (next.state === 'waiting') this.#begin(next);
    }
  }

  #settle(operation: Operation): void {
    operation.state = 'settled';
    this.#pending.delete(operation);
    if (this.#pending.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  #expire(): void {
    const now = performance.now();
    for (const operation of this.#pending) {
      if (operation.due > now) continue;
      const began = operation.state === 'running';
      this.#settle(operation);
      if (!began) operation.late?.(undefined);
      else if (operation.path !== undefined) this.#stuck.add(operation.path);
      operation.reject(new DiskUnavailable(`the cache volume did not answer within ${this.#deadline} ms`));
      // One that waited in vain for a thread is a miss, too: else a volume with all threads stuck would cost a deadline each time.
      this.#misses++;
      if (!this.#open && this.#misses >= MISSES_TO_OPEN) {
        this.#open = true;
        this.#lastProbe = now;
        this.#onState?.(`the cache volume does not answer within ${this.#deadline} ms; reads go to S3 until it does`);
      }
    }
  }
}
