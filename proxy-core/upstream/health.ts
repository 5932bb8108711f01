export interface HealthOptions {
  /** Failed connections in a row after which an address leaves the rotation. */
  readonly threshold: number;
  /** Milliseconds until the first probe; doubled with each that fails, up to the second value. */
  readonly initialCooldown: number;
  readonly maxCooldown: number;
}

/** Whether an address is in the rotation. Only connecting counts: an answer of any status is a sign of life. */
export class Health {
  readonly #options: HealthOptions;
  #failures = 0;
  #cooldown = 0;
  #probeAt = 0;

  constructor(options: HealthOptions) {
    this.#options = options;
  }

  get excluded(): boolean {
    return this.#cooldown > 0;
  }

  /** True once for each probe that is due; its outcome comes back through `succeeded` or `failed`. */
  takeProbe(now: number): boolean {
    if (this.#cooldown === 0 || now < this.#probeAt) return false;
    this.#probeAt = Number.POSITIVE_INFINITY;
    return true;
  }

  succeeded(): void {
    this.#failures = 0;
    this.#cooldown = 0;
  }

  /** The attempt says nothing of the address. Another probe is made when one would have been after a failure. */
  undecided(now: number): void {
    if (this.#cooldown > 0 && this.#probeAt === Number.POSITIVE_INFINITY) this.#probeAt = now + this.#cooldown;
  }

  failed(now: number): void {
    this.#failures++;
    if (this.#failures < this.#options.threshold) return;
    // All addresses may be down and in use all the same: those failures are not probes and must not stretch the wait.
    if (this.#cooldown > 0 && this.#probeAt !== Number.POSITIVE_INFINITY) return;
    this.#cooldown = Math.min(this.#cooldown * 2 || this.#options.initialCooldown, this.#options.maxCooldown);
    this.#probeAt = now + this.#cooldown;
  }
}
