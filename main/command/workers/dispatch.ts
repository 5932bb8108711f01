import type { Socket } from 'node:net';
import { type Candidate, choose, HANGS_AFTER } from './choose.ts';

/** A worker to whom connections can be given. */
export interface Taker extends Candidate {
  /** Gives it the connection; only while none waits to be taken. */
  hand(socket: Socket): void;
}

export interface DispatchOptions {
  /** Those that serve. */
  readonly takers: () => readonly Taker[];
  /** Most connections that may wait; where nobody serves, those that come are not turned away at once. */
  readonly mostWaiting: number;
}

/** Spreads connections over the workers, each as soon as the one that is to have it can take it. */
export class Dispatch {
  readonly #options: DispatchOptions;
  #waiting: Socket[] = [];
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: DispatchOptions) {
    this.#options = options;
  }

  take(socket: Socket): void {
    socket.on('error', () => {});
    if (this.#closed || this.#waiting.length >= this.#options.mostWaiting) {
      socket.destroy();
      return;
    }
    this.#waiting.push(socket);
    this.next();
  }

  /** Something has changed: a connection was taken, a worker serves or has ended. */
  next(): void {
    clearTimeout(this.#timer);
    while (this.#waiting.length > 0) {
      const taker = choose(this.#options.takers(), performance.now());
      if (!taker) {
        // By then one that hangs is known for it.
        this.#timer = setTimeout(() => this.next(), HANGS_AFTER);
        return;
      }
      taker.hand(this.#waiting.shift()!);
    }
  }

  /** Whoever waits is turned away. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const socket of this.#waiting.splice(0)) socket.destroy();
  }
}
