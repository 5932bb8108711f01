import type { Counted } from './census.ts';

/** What is wrong with the volume's space, and with making room in the cache: one of the two is shown, the volume's first. */
export class SpaceProblems {
  readonly #onProblem: (message: string | undefined) => void;
  #space: string | undefined;
  #room: string | undefined;
  #shown: string | undefined;

  constructor(onProblem: (message: string | undefined) => void) {
    this.#onProblem = onProblem;
  }

  /** The volume has less free space than it should have, or enough again. */
  space(isBelow: boolean): void {
    this.#space = isBelow
      ? 'the cache volume has less free space than cache.min_free_space; nothing new is stored'
      : undefined;
    this.#show();
  }

  /** All that a census found has to stay. */
  full({ records }: Counted): void {
    const what =
      records > 0 ? 'records of recent writes, which are kept for 15 minutes' : 'folders and settings of buckets';
    this.room(`the cache is full of ${what}; raise cache.max_cache_size`);
  }

  room(message: string | undefined): void {
    this.#room = message;
    this.#show();
  }

  #show(): void {
    const shown = this.#space ?? this.#room;
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#onProblem(shown);
  }
}
