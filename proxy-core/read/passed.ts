import type { Flight } from './flight.ts';
import { endOf } from './resumption.ts';
import type { ReadRequest } from './types.ts';

/** Flights that a read doesn't follow: it has waited for them long enough, or they lag and it may still ask by itself. */
export class Passed {
  readonly #request: ReadRequest;
  readonly #waitedFor = new Set<Flight>();

  constructor(request: ReadRequest) {
    this.#request = request;
  }

  add(flight: Flight): void {
    this.#waitedFor.add(flight);
  }

  has(flight: Flight): boolean {
    return this.#waitedFor.has(flight) || (flight.lags && Date.now() < endOf(this.#request));
  }
}
