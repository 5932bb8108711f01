import { type ChildProcess, fork } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Figures } from '../../../proxy-core/admin/index.ts';
import type { Settings } from '../../../proxy-core/settings/index.ts';
import type { Taker } from './dispatch.ts';
import type { FromWorker, PlainError, ToWorker, WorkerOptions } from './messages.ts';

export interface WorkerEvents {
  /** It has taken a connection, or has one less. */
  readonly onConnections: () => void;
}

/** One worker's process, from its start to its end. */
export class Worker implements Taker {
  readonly controlFolder: string;
  /** Resolves when it serves; rejects with why it doesn't. */
  readonly serving: Promise<void>;
  /** Resolves with what ended it, in words, when its process is gone. */
  readonly ended: Promise<string>;
  /** As it told them last. */
  figures: Figures | undefined;
  /** Since when it owes an answer to {@link ask}, monotonic ms. */
  owesSince: number | undefined;
  open = 0;
  handedAt: number | undefined;
  lastAt = 0;
  isServing = false;
  readonly #child: ChildProcess;
  readonly #events: WorkerEvents;
  #handed = 0;
  /** Handed, but not taken yet. Node doesn't close it when the process ends that it was sent to. */
  #onItsWay: Socket | undefined;
  #asked = 0;
  #waiting: { readonly number: number; readonly handed: number; readonly answered: () => void }[] = [];

  /** @param script its built entry point */
  constructor(script: string, options: WorkerOptions, events: WorkerEvents) {
    this.#events = events;
    this.controlFolder = options.controlFolder;
    this.#child = fork(script, [], {
      // libuv reads the size of its pool once: the disk's bounded share must leave threads for DNS and LZ4.
      env: { ...process.env, UV_THREADPOOL_SIZE: process.env.UV_THREADPOOL_SIZE ?? '64' },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    let failure: PlainError | undefined;
    this.ended = new Promise(resolve => {
      // `close` comes when its last message has come, too.
      this.#child.once('close', (code, signal) => {
        this.isServing = false;
        this.#arrived();
        this.#answered(Number.POSITIVE_INFINITY);
        resolve(failure?.message ?? (signal === null ? `exit code ${code}` : `${signal}`));
      });
      this.#child.once('error', error => {
        if (this.#child.pid === undefined) resolve(error.message);
      });
    });
    this.serving = new Promise((resolve, reject) => {
      this.#child.on('message', (message: FromWorker) => {
        if (message.type === 'serving') {
          this.isServing = true;
          resolve();
        } else if (message.type === 'failed') {
          failure = message.error;
          reject(Object.assign(new Error(failure.message), failure));
        } else this.#hear(message);
      });
      void this.ended.then(how => reject(new Error(`a worker process did not start: ${how}`)));
    });
    this.serving.catch(() => {});
    this.#tell({ type: 'start', options });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  hand(socket: Socket): void {
    this.#handed++;
    this.lastAt = performance.now();
    this.handedAt = this.lastAt;
    this.#onItsWay = socket;
    // What fails here is a process whose end is about to be heard of.
    this.#child.send({ type: 'connection' } satisfies ToWorker, socket, { keepOpen: true }, () => {});
  }

  /** Resolves when it has told its figures as they are now, or has ended; or else after `patience`, ms. */
  ask(patience: number): Promise<void> {
    const number = ++this.#asked;
    this.owesSince ??= performance.now();
    return new Promise(resolve => {
      const late = setTimeout(resolve, patience);
      const answered = () => {
        clearTimeout(late);
        resolve();
      };
      this.#waiting.push({ number, handed: this.#handed, answered });
      this.#tell({ type: 'tell', number });
    });
  }

  /** @param settings its share of what is in force from now on */
  apply(settings: Settings): void {
    this.#tell({ type: 'settings', settings });
  }

  stop(): void {
    this.#tell({ type: 'stop' });
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #hear(message: Extract<FromWorker, { type: 'connections' | 'figures' }>): void {
    if (message.type === 'connections') {
      this.open = message.open;
      if (message.taken >= this.#handed) this.#arrived();
      this.#events.onConnections();
      return;
    }
    this.figures = message.figures;
    const asked = this.#waiting.find(({ number }) => number === message.number);
    // It was handed before the question, and so can't be on its way any more: the worker had no descriptor left for it.
    if (asked && message.taken < asked.handed && this.#onItsWay) {
      this.#handed = message.taken;
      this.#arrived();
      this.#events.onConnections();
    }
    this.#answered(message.number);
  }

  /** Where the worker has it, its connection lives on there; else it ends here. */
  #arrived(): void {
    this.#onItsWay?.destroy();
    this.#onItsWay = undefined;
    this.handedAt = undefined;
  }

  #answered(number: number): void {
    const answered = this.#waiting.filter(waiting => waiting.number <= number);
    this.#waiting = this.#waiting.filter(waiting => waiting.number > number);
    if (this.#waiting.length === 0) this.owesSince = undefined;
    for (const waiting of answered) waiting.answered();
  }

  /** What can't be told any more is for a process whose end is about to be heard of. */
  #tell(message: ToWorker): void {
    this.#child.send(message, () => {});
  }
}
