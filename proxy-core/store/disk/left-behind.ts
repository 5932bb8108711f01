import { join } from 'node:path';
import { isMissing } from './disk-error.ts';
import { namesIn } from './leaves.ts';
import type { Volume } from './volume.ts';

/** Another process on the volume, or what one has left there. */
export interface Neighbour {
  readonly id: string;
  readonly beat: number;
  /** What it tells of itself. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** `ended`: it has stopped, and this is the last that it said. `dead`: it was killed. */
  readonly state: 'living' | 'ended' | 'dead';
  /** Its counter has not moved for some time. */
  readonly quiet: boolean;
}

/** What a process tells and another one can't read. */
export interface Unreadable {
  readonly path: string;
  readonly error: Error;
}

export interface LeftBehindOptions {
  readonly volume: Volume;
  readonly cacheDir: string;
  readonly modes: { readonly file: number; readonly folder: number };
}

/**
 * What processes that have ended leave on the volume, in `ended/`: what they told last, until nobody needs it any more. One that
 * stops puts it there; of one that is killed any other moves its instance file there. These files never change.
 */
export class LeftBehind {
  readonly #options: LeftBehindOptions;
  readonly folder: string;
  readonly #known = new Map<string, Neighbour>();

  constructor(options: LeftBehindOptions) {
    this.#options = options;
    this.folder = join(options.cacheDir, 'ended');
  }

  /** One that could not be read, if any. Rejects where it can't be seen what there is. */
  async look(): Promise<Unreadable | undefined> {
    const ids = new Set(idsOf(await namesIn(this.#options.volume, this.folder)));
    let unreadable: Unreadable | undefined;
    for (const id of new Set([...ids, ...this.#known.keys()]))
      if (!(ids.has(id) && this.#known.has(id))) unreadable = (await this.find(id)) ?? unreadable;
    return unreadable;
  }

  /** Looks for one by its name: a listing may be old. Returns what is in the way where it can't be told whether it is there. */
  async find(id: string): Promise<Unreadable | undefined> {
    const path = this.#path(id);
    const file = await this.#options.volume.readFile(path).catch((error: Error) => error);
    if (!(file instanceof Error)) this.#known.set(id, ended(id, factsIn(file)));
    else if (isMissing(file)) this.#known.delete(id);
    else return { path, error: file };
    return undefined;
  }

  get all(): readonly Neighbour[] {
    return [...this.#known.values()];
  }

  /** The last words of a process that stops. */
  async leave(id: string, text: string): Promise<void> {
    const { volume, modes } = this.#options;
    const aside = join(this.folder, `${id}.next`);
    await this.#inFolder(() => volume.writeFile(aside, text, modes.file));
    await volume.rename(aside, this.#path(id));
  }

  /** One is dead: its instance file is kept, where that is of any use, or goes. Somebody else may do the same at the same time. */
  async bury(id: string, file: string, isOfUse: boolean): Promise<void> {
    const { volume } = this.#options;
    if (isOfUse) await this.#inFolder(() => volume.rename(file, this.#path(id)));
    else await volume.unlink(file);
  }

  async remove(id: string): Promise<void> {
    await this.#options.volume.unlink(this.#path(id)).catch(error => {
      if (!isMissing(error)) throw error;
    });
  }

  #path(id: string): string {
    return join(this.folder, `${id}.json`);
  }

  async #inFolder(act: () => Promise<void>): Promise<void> {
    const { volume, modes } = this.#options;
    await act().catch(async error => {
      if (!isMissing(error)) throw error;
      await volume.mkdir(this.folder, modes.folder);
      await act();
    });
  }
}

function ended(id: string, facts: Record<string, unknown> = {}): Neighbour {
  const beat = typeof facts.beat === 'number' ? facts.beat : 0;
  return { id, beat, facts, state: facts.ended === true ? 'ended' : 'dead', quiet: true };
}

/** Whose files these are. */
export function idsOf(names: readonly string[]): string[] {
  return names.filter(name => name.endsWith('.json')).map(name => name.slice(0, -'.json'.length));
}

/** What an instance file tells; undefined where that makes no sense. */
export function factsIn(file: Buffer): Record<string, unknown> | undefined {
  try {
    const facts: unknown = JSON.parse(file.toString('utf8'));
    return typeof facts === 'object' && facts !== null ? (facts as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
