import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Core } from '../../proxy-core/core.ts';
import { problemLine, SettingsError } from '../../proxy-core/settings/index.ts';
import type { Io } from './io.ts';
import { readSettings, type SettingsOptions } from './settings-options.ts';

const LOOK_EVERY = 500;

type Follower = Pick<Core, 'applySettings' | 'refuseSettings'>;

/**
 * Follows the settings file of a running proxy: what has changed in it acts, or is named. It is looked at by its name, since
 * editors put a new file in the place of the old one, and taken when it was the same at two looks: it may be being written.
 */
export class SettingsWatch {
  readonly #file: string;
  readonly #options: SettingsOptions;
  readonly #core: Follower;
  readonly #io: Io;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;
  /** As it was at the last look, and as it was taken. */
  #seen: string | undefined;
  #taken: string | undefined;

  private constructor(file: string, options: SettingsOptions, core: Follower, io: Io) {
    this.#file = resolve(io.cwd, file);
    this.#options = options;
    this.#core = core;
    this.#io = io;
  }

  /** @param file none where there is nothing to follow */
  static of(file: string | undefined, options: SettingsOptions, core: Follower, io: Io): SettingsWatch | undefined {
    if (file === undefined) return undefined;
    const watch = new SettingsWatch(file, options, core, io);
    watch.#next();
    return watch;
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #next(): void {
    this.#timer = setTimeout(async () => {
      await this.#look();
      if (!this.#stopped) this.#next();
    }, LOOK_EVERY).unref();
  }

  /** The first look takes it in any case: it may have changed since the start. */
  async #look(): Promise<void> {
    const before = this.#seen;
    this.#seen = await identityOf(this.#file);
    if (this.#seen === this.#taken || this.#seen !== before) return;
    this.#taken = this.#seen;
    try {
      const { settings, warnings } = await readSettings(this.#options, this.#io);
      if (!this.#stopped) this.#core.applySettings(settings, warnings.map(problemLine));
    } catch (error) {
      const why = error instanceof SettingsError ? error.problems.map(problemLine) : [(error as Error).message];
      if (!this.#stopped) this.#core.refuseSettings(why.join('; '));
    }
  }
}

async function identityOf(file: string): Promise<string> {
  try {
    const { ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
    return `${ino}:${size}:${mtimeNs}:${ctimeNs}`;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unreadable';
  }
}
