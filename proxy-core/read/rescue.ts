import type { BodyContext } from './body.ts';
import type { Flight } from './flight.ts';
import { isPast } from './learn.ts';

/** How long before each time that is asked for again which S3 answered with 5xx, ms. */
const WAITS = [200, 800];

/**
 * What is tried before an answer is cut whose caller would have got all of it over a connection of its own: bytes that
 * were to come by requests of ours, for a range, that its own request did not depend on.
 */
export class Rescue {
  readonly #context: BodyContext;
  #waits = 0;
  #own: boolean;

  /** @param first the flight that the answer began with, which may have been the caller's own request, and cut */
  constructor(context: BodyContext, first: Flight | undefined) {
    this.#context = context;
    this.#own = first?.asItCame === true && first.error !== undefined && !first.stopped;
  }

  /** After `failed`: what to follow from `at` on. `again`: what was tried may be tried once more. Undefined when nothing is left. */
  async from(failed: Flight, at: number): Promise<Flight | 'again' | undefined> {
    const { out } = this.#context;
    // Who has heard nothing yet is told what S3 says.
    if (!out.begun || out.gone) return undefined;
    const status = failed.refused ? (await failed.answer).status : 0;
    if (status > 0 && isPast(status)) return undefined;
    const wait = WAITS[this.#waits];
    if (status >= 500 && wait !== undefined) {
      this.#waits++;
      await new Promise(resolve => setTimeout(resolve, wait));
      return 'again';
    }
    if (this.#own) return undefined;
    this.#own = true;
    return this.#context.fetchOwn(at);
  }
}
