import { EXTENT } from '../store/index.ts';

/** Whether others bring what comes next: they do; they may yet, and are asked again an extent farther on; they won't. */
export type Handover = 'now' | 'later' | 'never';

/** Where a flight ends, if that is before its body does. Places are bytes of the object. */
export class FlightEnd {
  /** Where its span ends, for an answer that goes on after it. */
  limit = Number.POSITIVE_INFINITY;
  #unread = Number.POSITIVE_INFINITY;
  #handOver: { readonly at: number; readonly ready: () => Handover } | undefined;

  /** Where it stops because nobody reads it. */
  get unread(): number {
    return this.#unread;
  }

  /** First byte that others are to bring. */
  get handedOver(): number {
    return this.#handOver?.at ?? Number.POSITIVE_INFINITY;
  }

  /** Nobody reads it any more: the extent in hand is finished. Returns where that is. */
  afterExtent(position: number, last: number): number {
    this.#unread = Math.min(last + 1, Math.floor(position / EXTENT) * EXTENT + EXTENT);
    return this.#unread;
  }

  /** Somebody reads it again. */
  isRead(): void {
    this.#unread = Number.POSITIVE_INFINITY;
  }

  /** Others bring what comes from `at` on, an extent's boundary, if they are `ready` when it comes there. */
  handOver(at: number, ready: () => Handover): void {
    this.#handOver = { at, ready };
  }

  /** Where it ends, as seen when the next `count` bytes come at `position`. */
  seenFrom(position: number, count: number): number {
    return Math.min(this.#unread, this.limit, this.#takenOver(position + count));
  }

  #takenOver(reach: number): number {
    const place = this.#handOver;
    if (!place || reach < place.at) return Number.POSITIVE_INFINITY;
    const ready = place.ready();
    if (ready === 'now') return place.at;
    this.#handOver = ready === 'later' ? { ...place, at: place.at + EXTENT } : undefined;
    return Number.POSITIVE_INFINITY;
  }
}
