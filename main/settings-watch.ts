import { stat } from 'node:fs/promises';
import type { Core } from '../proxy-core/core.ts';
import { type LoadedSettings, problemLine, SettingsError } from '../proxy-core/settings/index.ts';

const LOOK_EVERY = 500;

type Follower = Pick<Core, 'applySettings' | 'refuseSettings'>;

/**
 * Follows the settings file of a running proxy: what has changed in it acts, or is named. It is looked at by its name, since
 * editors put a new file in the place of the old one, and taken when it was the same at two looks: it may be being written.
 */
export class SettingsWatch {
  readonly #file: string;
  readonly #read: () => Promise<LoadedSettings>;
  readonly #core: Follower;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;
  /** As it was at the last look, and as it was taken. */
  #seen: string | undefined;
  #taken: string | undefined;

  /** @param file absolute path @param read all settings anew, also what comes from elsewhere */
  constructor(file: string, read: () => Promise<LoadedSettings>, core: Follower) {
    this.#file = file;
    this.#read = read;
    this.#core = core;
    this.#next();
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
      const { settings, warnings } = await this.#read();
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
