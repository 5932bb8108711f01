/** What of a worker says whether it is to have the next connection. */
export interface Candidate {
  /** Connections that it has. */
  readonly open: number;
  /** When one was handed to it that it has not taken yet, monotonic ms. */
  readonly handedAt: number | undefined;
  /** When it last got one, monotonic ms. */
  readonly lastAt: number;
}

/** A worker that hasn't taken a connection for so long is held up by something, ms. */
export const HANGS_AFTER = 100;

/**
 * The worker for the next connection: of those that don't hang the one with the fewest, and among equals the one whose turn it is.
 * So a handful of connections that clients keep for long is spread evenly, and one that was started anew gets what it is short
 * of; taking turns alone would do neither. Undefined: the next one has to wait until something is taken, or a while has passed.
 */
export function choose<T extends Candidate>(candidates: readonly T[], now: number): T | undefined {
  let best: T | undefined;
  for (const candidate of candidates) {
    const { handedAt, lastAt } = candidate;
    if (handedAt !== undefined && now - handedAt >= HANGS_AFTER) continue;
    const load = loadOf(candidate);
    if (!best || load < loadOf(best) || (load === loadOf(best) && lastAt < best.lastAt)) best = candidate;
  }
  return best?.handedAt === undefined ? best : undefined;
}

function loadOf({ open, handedAt }: Candidate): number {
  return open + (handedAt === undefined ? 0 : 1);
}
