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

/** A flight as far as its pace is concerned. */
export interface Paced {
  readonly window: Window;
  readonly readers: Iterable<FlightReader>;
  /** What arrives is going to be in the store. */
  readonly filling: boolean;
  /** Half of the memory budget is in use. */
  readonly tight: boolean;
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
