import type { ObjectEntry } from '../store/index.ts';
import { Flight } from './flight.ts';
import type { FlightOptions } from './flight-options.ts';

/** How often all flights are told to hold less, at most, ms. */
const SHRINK_EVERY = 10;

/** The flights under way, by object. A reader only ever joins one of its own epoch (design section 5). */
export class Flights {
  readonly #byObject = new Map<string, Set<Flight>>();
  #shrunkAt = Number.NEGATIVE_INFINITY;

  start(options: Omit<FlightOptions, 'onEnd' | 'onTight'>): Flight {
    const key = options.entry.address.storeKey;
    const flight = new Flight({
      ...options,
      onTight: () => this.#shrink(),
      onEnd: ended => this.#remove(key, ended),
    });
    let flights = this.#byObject.get(key);
    if (!flights) {
      flights = new Set();
      this.#byObject.set(key, flights);
    }
    flights.add(flight);
    return flight;
  }

  /** A flight, but for those named, from which the byte at `at` of this version can be had. */
  offering(
    entry: ObjectEntry,
    epoch: string,
    version: string,
    at: number,
    except?: { has(flight: Flight): boolean },
  ): Flight | undefined {
    for (const flight of this.#byObject.get(entry.address.storeKey) ?? []) {
      if (flight.epoch === epoch && !except?.has(flight) && flight.offers(version, at)) return flight;
    }
    return undefined;
  }

  /** First byte after `from` that a flight under way begins with; Infinity where none does. */
  nextStart(entry: ObjectEntry, epoch: string, from: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { epoch: of, running, span } of this.#byObject.get(entry.address.storeKey) ?? []) {
      if (of === epoch && running && span && span.start > from) next = Math.min(next, span.start);
    }
    return next;
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

  #shrink(): void {
    const now = performance.now();
    if (now - this.#shrunkAt < SHRINK_EVERY) return;
    this.#shrunkAt = now;
    for (const flights of this.#byObject.values()) for (const flight of flights) flight.shrink();
  }

  #remove(key: string, flight: Flight): void {
    const flights = this.#byObject.get(key);
    flights?.delete(flight);
    if (flights?.size === 0) this.#byObject.delete(key);
  }
}
