import type { Seen } from './judge.ts';
import type { Read } from './steps.ts';
import type { Subject } from './world.ts';

/** One caller's read of an object through one proxy. */
export interface Turn {
  readonly subject: Subject;
  readonly via: number;
  readonly by: Read['by'];
  readonly from: number;
  until: number;
  refused: boolean;
}

/** What callers have heard S3 refuse: from then on what it let them do before counts no more, whatever the ttl. */
export class Refusals {
  readonly #turns: Turn[] = [];

  begin({ via, by }: Read, subject: Subject): Turn {
    const turn = { subject, via, by, from: performance.now(), until: Number.POSITIVE_INFINITY, refused: false };
    this.#turns.push(turn);
    return turn;
  }

  end(turn: Turn, seen: Seen): void {
    turn.until = seen.endedAt;
    turn.refused = seen.status === 403 && seen.header('x-cache') !== 'BYPASS';
  }

  /**
   * When the caller of this read had last been refused before it began. Not by a refusal at the same time as which it
   * read in another way: which of the two S3 answered first, nobody can tell.
   */
  before(turn: Turn): number {
    const same = this.#turns.filter(
      ({ subject, via, by }) => subject === turn.subject && via === turn.via && by === turn.by,
    );
    const alone = (one: Turn) => !same.some(other => other !== one && other.from < one.until && other.until > one.from);
    const refusals = same.filter(one => one.refused && one.until <= turn.from && alone(one));
    return Math.max(Number.NEGATIVE_INFINITY, ...refusals.map(({ until }) => until));
  }
}
