export interface WaitingRoomOptions {
  /** Whether so many bytes more may be taken now. */
  readonly fits: (bytes: number) => boolean;
  /** How long one may wait, ms. */
  readonly patience: number;
  /** Somebody has begun to wait. */
  readonly onWaiting: () => void;
}

interface Waiting {
  readonly bytes: number;
  readonly answer: (granted: boolean) => void;
}

/** Room taken for files under way, and those who wait for it, in order. */
export class WaitingRoom {
  readonly #options: WaitingRoomOptions;
  #reserved = 0;
  #waiting: Waiting[] = [];
  #stopped = false;

  constructor(options: WaitingRoomOptions) {
    this.#options = options;
  }

  /** Bytes that are taken. */
  get reserved(): number {
    return this.#reserved;
  }

  /** Bytes that are waited for, and those of the first. */
  get wanted(): { readonly all: number; readonly first: number } {
    const all = this.#waiting.reduce((sum, { bytes }) => sum + bytes, 0);
    return { all, first: this.#waiting[0]?.bytes ?? 0 };
  }

  stop(): void {
    this.#stopped = true;
    for (const { answer } of this.#waiting.splice(0)) answer(false);
  }

  /** Resolves with false when there is no room in time (`patience`, ms). To be released in the end. */
  async reserve(bytes: number, patience = this.#options.patience): Promise<boolean> {
    if (this.#take(bytes)) return true;
    if (this.#stopped) return false;
    return new Promise(resolve => {
      const waiting: Waiting = {
        bytes,
        answer: granted => {
          clearTimeout(timer);
          this.#waiting = this.#waiting.filter(other => other !== waiting);
          resolve(granted);
        },
      };
      const timer = setTimeout(() => {
        waiting.answer(false);
        // Those behind may want less.
        this.grant();
      }, patience);
      this.#waiting.push(waiting);
      this.#options.onWaiting();
    });
  }

  release(bytes: number): void {
    this.#reserved -= bytes;
    this.grant();
  }

  /** There may be more room than before. */
  grant(): void {
    for (let next = this.#waiting[0]; next && this.#take(next.bytes); next = this.#waiting[0]) next.answer(true);
  }

  #take(bytes: number): boolean {
    if (!this.#options.fits(bytes)) return false;
    this.#reserved += bytes;
    return true;
  }
}
