import { performance } from 'node:perf_hooks';

const WIDTH = 24;

/** `[######------------------]  25 %`; a part that isn't known is left out. @param part 0 to 1 */
export function bar(part: number | undefined): string {
  if (part === undefined) return '';
  // The end is told when it has come.
  const shown = Math.min(0.99, Math.max(0, part));
  const full = Math.round(shown * WIDTH);
  return `[${'#'.repeat(full)}${'-'.repeat(WIDTH - full)}] ${String(Math.floor(shown * 100)).padStart(2)} %`;
}

/** How much longer it will take, by the pace since it was first asked; '' while that says nothing. */
export class Remaining {
  readonly #now: () => number;
  #first: { readonly part: number; readonly at: number } | undefined;

  /** @param now a monotonic clock in ms */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  after(part: number): string {
    const at = this.#now();
    this.#first ??= { part, at };
    const [done, took] = [part - this.#first.part, at - this.#first.at];
    if (took < 3000 || done <= 0 || part >= 1) return '';
    const seconds = Math.ceil(((1 - part) * took) / done / 1000);
    if (seconds < 90) return `${seconds} s left`;
    return seconds < 5400 ? `${Math.ceil(seconds / 60)} min left` : `${Math.ceil(seconds / 3600)} h left`;
  }
}
