import type { Flight } from './flight.ts';
import type { ReadRequest } from './types.ts';
import type { Taken } from './window.ts';

/** Most bytes a reader takes at once. */
const TAKE = 1 << 20;

/**
 * What a reader finds: bytes; `wait`, nothing yet; `behind`, they have left the window and will be in the store; `end`,
 * all that came from here has been taken; `failed`, they won't come from here.
 */
export type Found = Taken | 'wait' | 'behind' | 'end' | 'failed';

/** One reader's place in a flight. */
export class FlightReader {
  at: number;
  /** Whose request may carry the flight on when S3 cuts it. */
  readonly request: ReadRequest | undefined;
  /** Wants all of it in the store as soon as can be, rather than piece by piece. */
  readonly eager: boolean;
  readonly #flight: Flight;
  #wake: (() => void) | undefined;
  #left = false;

  constructor(flight: Flight, at: number, request: ReadRequest | undefined, eager: boolean) {
    this.#flight = flight;
    this.at = at;
    this.request = request;
    this.eager = eager;
  }

  get flight(): Flight {
    return this.#flight;
  }

  /** It has all that there is so far, and waits. */
  get waiting(): boolean {
    return this.#wake !== undefined;
  }

  /** What there is, at most `max` bytes; moves on by that. */
  take(max: number): Found {
    const found = this.#flight.take(this.at, Math.min(TAKE, max));
    if (typeof found === 'object') {
      this.at += found.length;
      this.#flight.moved();
    }
    return found;
  }

  /** Resolves when there may be something to take. */
  wait(): Promise<void> {
    return new Promise(resolve => {
      this.#wake = resolve;
    });
  }

  wake(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  leave(): void {
    if (this.#left) return;
    this.#left = true;
    this.wake();
    this.#flight.leave(this);
  }
}
