import { join, relative } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { harm } from '../model/harm.ts';
import type { Place } from '../model/places.ts';
import type { Tally } from '../model/tally.ts';
import type { FaultyFolder, Rule } from '../reliability/mount.ts';

export interface ChaosOptions {
  readonly place: Place;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
  readonly tally: Tally;
  /** Where the cache is on a volume whose faults can be switched. */
  readonly volume: FaultyFolder | undefined;
  readonly problem: (text: string) => void;
}

/** What may befall the volume for a few seconds. */
const FAULTS: readonly (readonly [string, readonly Rule[]])[] = [
  ['full', [{ ops: ['create', 'write', 'mkdir', 'link'], error: 'ENOSPC' }]],
  ['full in the middle', [{ ops: ['write'], after: 3 << 20, error: 'ENOSPC' }]],
  ['read-only', [{ ops: ['changes'], error: 'EROFS' }]],
  ['reads fail', [{ ops: ['read', 'open'], error: 'EIO' }]],
  ['writes fail', [{ ops: ['write', 'rename'], error: 'EIO' }]],
  ['files are stale', [{ ops: ['read'], error: 'ESTALE' }]],
  ['slow', [{ rate: 5e6 }]],
  ['hangs', [{ hang: true }]],
];

/** Share of restarts in whose place nobody is restarted, and for how long. */
const QUIET = 0.06;
const QUIET_MS = 100_000;

/** Things that go wrong, at random moments, until it is stopped: processes die, files are lost, the volume fails. */
export class Chaos {
  readonly #options: ChaosOptions;
  readonly #running: Promise<void>[] = [];
  #stopped = false;

  constructor(options: ChaosOptions) {
    this.#options = options;
  }

  start(): void {
    const { volume } = this.#options;
    this.#running.push(
      this.#repeat(4_000, 14_000, () => this.#restart()),
      this.#repeat(1_500, 5_000, () => this.#lose()),
    );
    if (volume) this.#running.push(this.#repeat(3_000, 9_000, () => this.#fail(volume)));
  }

  /** Resolves when all is up and all right again. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  async #repeat(least: number, most: number, act: () => Promise<void>): Promise<void> {
    for (;;) {
      await this.#sleep(least + this.#options.random() * (most - least));
      if (this.#stopped) return;
      await act().catch(error => this.#options.problem(`chaos: ${(error as Error).stack}`));
    }
  }

  /** `kill -9` mostly, of one process, or of all at once; now and then SIGTERM, and now and then nobody for longer than the dead are waited for. */
  async #restart(): Promise<void> {
    const { place, random, tally } = this.#options;
    if (random() < QUIET) {
      tally.count('minutes without restarts');
      return this.#sleep(QUIET_MS);
    }
    const [dice, one] = [random(), Math.floor(random() * place.seats.length)];
    const how = dice < 0.8 ? 'kill' : 'stop';
    const seats = dice < 0.15 ? place.seats : [place.seats[one]!];
    tally.count(how === 'kill' ? 'kill -9' : 'SIGTERM', seats.length);
    await Promise.all(seats.map(seat => seat.killAndRestart(how)));
  }

  async #lose(): Promise<void> {
    const { place, random, tally, volume } = this.#options;
    const how = (['unlink', 'truncate', 'flip'] as const)[Math.floor(random() * 3)]!;
    tally.count(`file lost: ${how}`);
    // Behind a volume that fails: Node lists folders synchronously here and there, and would stand still for as long as that hangs.
    const folder = volume ? join(volume.backing, relative(volume.path, place.cacheDir)) : place.cacheDir;
    await harm(folder, Math.floor(random() * 1e6), how);
  }

  async #fail(volume: FaultyFolder): Promise<void> {
    const { random, tally } = this.#options;
    const [name, rules] = FAULTS[Math.floor(random() * FAULTS.length)]!;
    tally.count(`volume ${name}`);
    await volume.set(...rules);
    await this.#sleep(500 + random() * 5_500);
    await volume.set();
  }

  /** Or until it is stopped. */
  async #sleep(ms: number): Promise<void> {
    const until = performance.now() + ms;
    while (!this.#stopped && performance.now() < until) await wait(Math.min(200, until - performance.now()));
  }
}
