import type { Log } from './log.ts';

/** How long something that happened once is still shown, ms. */
const SHOWN_FOR = 5 * 60_000;

interface Problem {
  readonly message: string;
  /** When it stops being shown by itself; Infinity for a state that lasts until it is cleared. */
  readonly until: number;
}

/**
 * What a person should know is wrong, in sentences: states, which last until they are cleared (the volume hangs), and
 * events, which are shown for five minutes (a write to the cache failed). Each is logged when it is new.
 */
export class Problems {
  readonly #problems = new Map<string, Problem>();
  readonly #log: Pick<Log, 'info' | 'warn'>;
  readonly #now: () => number;

  /** @param now monotonic, ms */
  constructor(log: Pick<Log, 'info' | 'warn'>, now: () => number = () => performance.now()) {
    this.#log = log;
    this.#now = now;
  }

  /** A state; undefined: it is all right again. */
  state(key: string, message: string | undefined): void {
    if (message !== undefined) this.#set(key, message, Number.POSITIVE_INFINITY);
    else if (this.#problems.delete(key)) this.#log.info(`${key}: all right again`);
  }

  event(key: string, message: string): void {
    this.#set(key, message, this.#now() + SHOWN_FOR);
  }

  list(): string[] {
    const now = this.#now();
    for (const [key, { until }] of this.#problems) if (until <= now) this.#problems.delete(key);
    return [...this.#problems.values()].map(({ message }) => message);
  }

  #set(key: string, message: string, until: number): void {
    if (this.#problems.get(key)?.message !== message) this.#log.warn(message);
    this.#problems.set(key, { message, until });
  }
}
