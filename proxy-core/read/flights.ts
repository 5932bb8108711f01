import type { ObjectEntry } from '../store/index.ts';
import { Flight, type FlightOptions } from './flight.ts';

/** The flights under way, by object. A reader only ever joins one of its own epoch (design section 5). */
export class Flights {
  readonly #byObject = new Map<string, Set<Flight>>();

  start(options: Omit<FlightOptions, 'onEnd'>): Flight {
    const key = options.entry.address.storeKey;
    const flight = new Flight({ ...options, onEnd: ended => this.#remove(key, ended) });
    let flights = this.#byObject.get(key);
    if (!flights) {
      flights = new Set();
      this.#byObject.set(key, flights);
    }
    flights.add(flight);
    return flight;
  }

  /** A flight from which the byte at `at` of this version can be had. */
  offering(entry: ObjectEntry, epoch: string, version: string, at: number): Flight | undefined {
    for (const flight of this.#byObject.get(entry.address.storeKey) ?? []) {
      if (flight.epoch === epoch && flight.offers(version, at)) return flight;
    }
    return undefined;
  }

  /** A flight whose answer isn't in yet, and will say what the object's version is. */
  unanswered(entry: ObjectEntry, epoch: string): Flight | undefined {
    for (const flight of this.#byObject.get(entry.address.storeKey) ?? []) {
      if (flight.epoch === epoch && !flight.answered) return flight;
    }
    return undefined;
  }

  get count(): number {
    let count = 0;
    for (const flights of this.#byObject.values()) count += flights.size;
    return count;
  }

  #remove(key: string, flight: Flight): void {
    const flights = this.#byObject.get(key);
    flights?.delete(flight);
    if (flights?.size === 0) this.#byObject.delete(key);
  }
}
