import { clearLine, cursorTo } from 'node:readline';
import type { WriteStream } from 'node:tty';

/** Where there is no terminal, the line is written so often, ms. */
const WITHOUT_TERMINAL = 15_000;

/** Lines that stay, and below them, on a terminal, one that is always of the moment. */
export class LiveLine {
  readonly #out: WriteStream;
  #shown = false;
  #writtenAt = Number.NEGATIVE_INFINITY;

  constructor(out: WriteStream) {
    this.#out = out;
  }

  say(text: string): void {
    this.#clear();
    this.#out.write(`${text}\n`);
  }

  show(text: string): void {
    if (this.#out.isTTY) {
      this.#clear();
      this.#out.write(text.slice(0, this.#out.columns - 1));
      this.#shown = true;
    } else if (performance.now() - this.#writtenAt >= WITHOUT_TERMINAL) {
      this.#writtenAt = performance.now();
      this.say(text);
    }
  }

  #clear(): void {
    if (!this.#shown) return;
    this.#shown = false;
    clearLine(this.#out, 0);
    cursorTo(this.#out, 0);
  }
}
