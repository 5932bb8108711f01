import type { Span } from '../../request/index.ts';

/** How many bytes runs cover together that are told in order of their start; what several hold counts once. */
export class Coverage {
  #bytes = 0;
  #next = 0;

  add({ start, end }: Span): void {
    this.#bytes += Math.max(0, end + 1 - Math.max(start, this.#next));
    this.#next = Math.max(this.#next, end + 1);
  }

  get bytes(): number {
    return this.#bytes;
  }
}

/** Runs in order of their start, the longest first of those that begin together. */
export function inOrder<T extends Span>(spans: readonly T[]): T[] {
  return [...spans].sort((a, b) => a.start - b.start || b.end - a.end);
}
