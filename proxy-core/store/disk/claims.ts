import type { Span } from '../../request/index.ts';

/** A run of bytes that is one's own to write to the disk. */
export interface Claim {
  readonly span: Span;
  /** It has its place, or was given up. */
  letGo(): void;
}

/** What this process is writing of one version: who comes later leaves it out, so that no byte is stored twice. */
export class Claims {
  readonly #spans = new Set<Span>();

  take(span: Span): Claim {
    this.#spans.add(span);
    return { span, letGo: () => this.#spans.delete(span) };
  }

  /** One that holds this byte. */
  at(offset: number): Span | undefined {
    for (const span of this.#spans) if (span.start <= offset && span.end >= offset) return span;
    return undefined;
  }

  /** Start of the first that begins after `offset`, or Infinity. */
  nextStart(offset: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { start } of this.#spans) if (start > offset) next = Math.min(next, start);
    return next;
  }

  get none(): boolean {
    return this.#spans.size === 0;
  }
}
