/** Requests taken up in one turn of the loop. */
const AT_ONCE = 8;

/**
 * Takes up a burst a few at a time, each few in a turn of the loop of their own: what the first of them waits for (a look at the
 * disk, a connection) goes on meanwhile, not after all have been taken up.
 */
export class Turns {
  #taken = 0;
  #waiting: (() => void)[] = [];
  #isDue = false;

  /** Now, or in one of the next turns. */
  take(act: () => void): void {
    if (this.#taken >= AT_ONCE) {
      this.#waiting.push(act);
      return;
    }
    this.#taken++;
    if (!this.#isDue) this.#next();
    act();
  }

  #next(): void {
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      const now = this.#waiting.splice(0, AT_ONCE);
      this.#taken = now.length;
      if (now.length > 0) this.#next();
      for (const act of now) act();
    });
  }
}
