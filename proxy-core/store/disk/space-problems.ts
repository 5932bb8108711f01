/** What is wrong with the volume's space, and with making room in the cache: one of the two is shown, the volume's first. */
export class SpaceProblems {
  readonly #onProblem: (message: string | undefined) => void;
  #space: string | undefined;
  #room: string | undefined;
  #shown: string | undefined;

  constructor(onProblem: (message: string | undefined) => void) {
    this.#onProblem = onProblem;
  }

  space(message: string | undefined): void {
    this.#space = message;
    this.#show();
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
