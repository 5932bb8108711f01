import { EXTENT, PIECE } from '../store/index.ts';
import type { FlightReader } from './flight-reader.ts';
import type { Window } from './window.ts';

/** How far a flight may run ahead of its fastest reader, and how much it keeps behind its position, bytes. */
interface Reach {
  readonly ahead: number;
  readonly behind: number;
}
/** As a rule: the extent in hand and a little more, so that whoever joins finds everything in the window or in the store. */
const ROOMY: Reach = { ahead: 2 << 20, behind: EXTENT + PIECE };
/** Half of the memory budget is in use. */
const TIGHT: Reach = { ahead: 1 << 20, behind: 2 << 20 };
/** The budget is spent, or nobody keeps the body. */
const LOOSE: Reach = { ahead: 128 << 10, behind: 256 << 10 };

/** A reader that wants what is still to come joins if that should be no farther off than this, bytes or ms. */
const NEAR = { bytes: EXTENT, ms: 1000 };
/** Rate assumed of a flight that is younger than so many ms, bytes a ms. */
const LIKELY = { rate: 50_000, until: 100 };

/** How fast a flight is, in bytes a ms, and since how many ms. */
interface Speed {
  readonly rate: number;
  readonly age: number;
}

/** A flight as far as its pace is concerned. */
export interface Paced {
  readonly window: Window;
  readonly readers: Iterable<FlightReader>;
  /** What arrives is going to be in the store. */
  readonly filling: boolean;
  /** Half of the memory budget is in use. */
  readonly tight: boolean;
}

/** Whether to wait for a flight that has so many bytes to go is better than to ask for them. */
export function isNear(distance: number, speed: Speed): boolean {
  return distance < NEAR.bytes || isSoon(distance, speed);
}

/** Whether a flight that has so many bytes to go will be there within a second, as far as one can tell. */
export function isSoon(distance: number, { rate, age }: Speed): boolean {
  const likely = rate === 0 || age < LIKELY.until ? Math.max(LIKELY.rate, rate) : rate;
  return distance / likely < NEAR.ms;
}

/** The flight has run as far ahead of its fastest reader as it may. */
export function isFarAhead(flight: Paced): boolean {
  const fastest = fastestOf(flight);
  return fastest !== undefined && flight.window.end - fastest > reachOf(flight).ahead;
}

/** First byte that the flight still holds: its fastest reader never loses what it has not read yet. */
export function keepFrom(flight: Paced): number {
  const { end } = flight.window;
  return Math.min(end - reachOf(flight).behind, fastestOf(flight) ?? end);
}

function reachOf({ window, tight }: Paced): Reach {
  if (window.loose) return LOOSE;
  return tight ? TIGHT : ROOMY;
}

/** Where the reader is that is farthest; undefined where nobody's place matters. */
function fastestOf({ window, readers, filling }: Paced): number | undefined {
  let fastest: number | undefined;
  for (const { at, eager } of readers) {
    if (eager && filling) continue;
    // One that joined behind the window waits for the extent that it is in: so far it has to run, whoever reads.
    const place = at < window.start ? Math.floor(at / EXTENT) * EXTENT + EXTENT : at;
    if (fastest === undefined || place > fastest) fastest = place;
  }
  return fastest;
}
