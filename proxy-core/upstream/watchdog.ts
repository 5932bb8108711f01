/** Something that must not stand still. `since` is the tick of its last progress; `patience` in ticks, 0 while it may rest. */
export interface Watched {
  since: number;
  patience: number;
  onStill(): void;
}

/**
 * One coarse clock for all transfers: progress costs an assignment, where a timer each would cost a re-arm per chunk.
 * Stillness is noticed between once and once and a quarter of the time allowed.
 */
export class Watchdog {
  readonly #period: number;
  readonly #watched = new Set<Watched>();
  #timer: NodeJS.Timeout | undefined;
  /** Ticks so far */
  now = 0;

  /** @param shortest the shortest time in milliseconds that will be asked for */
  constructor(shortest: number) {
    this.#period = Math.min(1_000, Math.max(5, shortest / 8));
  }

  ticks(milliseconds: number): number {
    return Math.ceil(milliseconds / this.#period) + 1;
  }

  watch(watched: Watched): void {
    watched.since = this.now;
    this.#watched.add(watched);
    this.#timer ??= setInterval(() => this.#tick(), this.#period).unref();
  }

  unwatch(watched: Watched): void {
    this.#watched.delete(watched);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tick(): void {
    if (this.#watched.size === 0) {
      this.close();
      return;
    }
    this.now++;
    for (const watched of this.#watched) {
      if (watched.patience > 0 && this.now - watched.since > watched.patience) {
        this.#watched.delete(watched);
        watched.onStill();
      }
    }
  }
}
