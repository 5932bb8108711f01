import { hasPreconditions } from '../request/index.ts';
import type { ObjectEntry } from '../store/index.ts';
import type { Questions } from './questions.ts';
import type { Trust } from './trust.ts';
import type { ReadRequest } from './types.ts';

/** How long a reader waits for what S3 answers to others before it asks by itself, ms. */
const PATIENCE = 10_000;

/** What one read hears of S3's answers to others, and lets others hear of those to itself. */
export class Hearing {
  readonly #questions: Questions;
  readonly #trust: Trust;
  readonly #request: ReadRequest;
  /** Monotonic ms. */
  #waitsUntil = performance.now() + PATIENCE;
  #answered: (() => void) | undefined;
  /** It has waited for another read's question, which was in vain if it comes to asking again. */
  #waited = false;

  constructor(parts: { readonly questions: Questions; readonly trust: Trust }, request: ReadRequest) {
    this.#questions = parts.questions;
    this.#trust = parts.trust;
    this.#request = request;
  }

  /**
   * S3's answer to another read of this caller's, where such a question is on its way; else notes that one is, now.
   * Undefined when this read has to ask by itself.
   */
  others(entry: ObjectEntry, epoch: string): Promise<void> | undefined {
    const { kind, caller } = this.#request;
    if (this.#answered || !this.#trust.mayTrust(this.#request)) return undefined;
    const running = this.#isOfUse ? this.#questions.running(entry, epoch, caller, kind.method) : undefined;
    if (running) this.#waited = true;
    else this.#answered = this.#questions.begin(entry, epoch, caller, kind.method);
    return running;
  }

  /** What others hear can decide this read, too. */
  get #isOfUse(): boolean {
    const { facts, settings, mustAsk } = this.#request;
    if (mustAsk || this.#waited || !this.mayWait) return false;
    return settings.evaluate_conditions_from_cache || !hasPreconditions(facts);
  }

  /** What S3 says to this read is known. */
  answered(): void {
    this.#answered?.();
  }

  get mayWait(): boolean {
    return performance.now() < this.#waitsUntil;
  }

  waitNoMore(): void {
    this.#waitsUntil = 0;
  }

  /** Resolves when that is over, one way or the other, or patience is. */
  async wait(answer: Promise<unknown>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise(resolve => {
      timer = setTimeout(resolve, this.#waitsUntil - performance.now());
    });
    await Promise.race([answer.catch(() => {}), late]);
    clearTimeout(timer);
  }
}
