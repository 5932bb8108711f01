import type { Plan } from './places.ts';
import { CLOSED, OPEN, type Subject } from './world.ts';

/** What is known on the volume is looked at again after at most this time, ms (docs/architecture.md): another proxy's write is seen then. */
const LOOK_EVERY = 1000;
/** Clocks are read in whole ms here and there. */
const SLACK = 25;

/** A write that its writer has heard of: from then on nothing older than `bound` may be told. */
interface HeardWrite {
  readonly subject: Subject;
  readonly via: number;
  readonly at: number;
  readonly bound: number;
}

/** What writers have heard of their writes, and how old an answer may be for that and for the ttl. */
export class Heard {
  readonly #ttl: Plan['ttl'];
  readonly #writes: HeardWrite[] = [];

  constructor(ttl: Plan['ttl']) {
    this.#ttl = ttl;
  }

  push(write: HeardWrite): void {
    this.#writes.push(write);
  }

  /** The last write that had been heard of by `now`, through this proxy or long enough ago through another. */
  since(subject: Subject, via: number, now: number): number {
    const heard = this.#writes.filter(
      write => write.subject === subject && write.at <= now - (write.via === via ? 0 : LOOK_EVERY),
    );
    return Math.max(Number.NEGATIVE_INFINITY, ...heard.map(({ bound }) => bound));
  }

  /** The moment before which nothing may be told to a read that starts at `now`. */
  notBefore(subject: Subject, heardSince: number, now: number): number {
    const ttl = this.#ttl[subject.bucket === OPEN ? OPEN : CLOSED];
    return Math.max(ttl === 0 ? now : now - ttl - SLACK, heardSince);
  }
}
