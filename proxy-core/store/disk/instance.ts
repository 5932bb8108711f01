import { randomBytes } from 'node:crypto';
import { uptime } from 'node:os';
import { join } from 'node:path';
import { isMissing } from './disk-error.ts';
import { namesIn } from './leaves.ts';
import { factsIn, idsOf, LeftBehind, type Neighbour, type Unreadable } from './left-behind.ts';
import { isLocal } from './local-file-systems.ts';
import { DiskUnavailable } from './operations.ts';
import type { Volume } from './volume.ts';
import { VolumeClock } from './volume-clock.ts';

const BEAT = 1000;
/** A process whose heartbeat has not moved for this long of our own monotonic clock is dead (design section 10). */
const DEAD_AFTER = 60_000;
/** One that has not moved for this long is not about to do anything that it would have to tell first. */
const QUIET_AFTER = 3 * BEAT;
/** Without a heartbeat on the volume for so long, this process does nothing any more that others rely on to know of… */
const LAPSE = 30_000;
/** …and after so long it may have been taken for dead, so that it comes back as another one. */
const RENEW = 45_000;
/** A look at the others that comes so long after the one before tells nothing of what they did in between, ms. */
const BLIND_AFTER = 10_000;
/** Beats between two looks for what nobody owns. */
const SWEEP_EVERY = 60;

/** What others live on the volume, and what those that have ended left there. */
export interface Neighbourhood {
  readonly all: readonly Neighbour[];
  /** What one of them tells, where that could not be read. */
  readonly unreadable: Unreadable | undefined;
  /** Before that, this process's heartbeat came to its place, so that they can see what it tells. */
  readonly shown: boolean;
}

export interface InstanceOptions {
  readonly volume: Volume;
  readonly cacheDir: string;
  readonly modes: { readonly file: number; readonly folder: number };
  /** What this process tells of itself. */
  readonly facts: () => object;
  /** What is to be known of it when it has stopped; undefined where that is nothing. */
  readonly lastFacts?: () => object | undefined;
  /** Told of each heartbeat whether the volume took it. */
  readonly onBeat?: (error: Error | undefined) => void;
  /** Told what the others tell of themselves, after each heartbeat. */
  readonly onOthers?: (others: Neighbourhood) => void;
  /** It has another id from now on. */
  readonly onRenewed?: () => void;
}

interface Seen {
  /** The counter, or what stands in its place in a file that makes no sense. */
  beat: string;
  movedAt: number;
  neighbour: Omit<Neighbour, 'state' | 'quiet'>;
}

/**
 * This process on the volume: a file whose counter moves once a second, by which others know that it lives, and what it tells of
 * itself; how far the volume's clock is from ours; and whether anybody else is there.
 */
export class Instance {
  readonly #options: InstanceOptions;
  readonly #volume: Volume;
  readonly #folder: string;
  readonly #left: LeftBehind;
  readonly #others = new Map<string, Seen>();
  #id = newId();
  /** Those it had before, which are dead. */
  readonly #former = new Set<string>();
  #beat = 0;
  readonly #clock = new VolumeClock();
  #alone = false;
  #lookedAt = Number.NEGATIVE_INFINITY;
  /** When it last looked with its own heartbeat in place, and since when that has gone on without a long break. */
  #shownLookAt = Number.NEGATIVE_INFINITY;
  #shownSince = Number.NEGATIVE_INFINITY;
  #stopped = false;
  /** When the last heartbeat began that the volume took. */
  #shownAt: { readonly mono: number; readonly up: number } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #beating: Promise<void> | undefined;
  /** Paths of what nobody owned at the last sweep. */
  #orphans = new Set<string>();

  constructor(options: InstanceOptions) {
    this.#options = options;
    this.#volume = options.volume;
    this.#folder = join(options.cacheDir, 'instances');
    this.#left = new LeftBehind(options);
  }

  get id(): string {
    return this.#id;
  }

  /** Writes the first heartbeat, so that others know of this process before it serves anything; goes on beating where that fails. */
  async start(): Promise<void> {
    this.#timer = setInterval(() => void this.beat(), BEAT).unref();
    await this.beat();
    // So that those who were there hear at once that this one looks at them.
    if (this.#others.size > 0) await this.beat();
  }

  /** Shows that this process lives, now, and looks at the others then. Never rejects: `onBeat` is told. */
  beat(): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    this.#beating ??= this.#tick()
      .then(
        () => this.#options.onBeat?.(undefined),
        error => {
          // The volume is not answering: nothing is known about others.
          this.#alone = false;
          this.#options.onBeat?.(error as Error);
        },
      )
      .finally(() => {
        this.#beating = undefined;
      });
    return this.#beating;
  }

  /** The same, by a heartbeat that begins now or later. */
  async beatAgain(): Promise<void> {
    await this.#beating;
    await this.beat();
  }

  /** Milliseconds to add to our clock to get the volume's. */
  get clockOffset(): number {
    return this.#clock.ahead;
  }

  /**
   * No other process has shown a heartbeat lately, on a volume where one would have been seen: what the listing of a folder
   * says is believed of local file systems only. On a network one a client may remember it for longer than others take to
   * come and write.
   */
  get alone(): boolean {
    return this.#alone;
  }

  /** Another process has shown a heartbeat lately. */
  get hasOthers(): boolean {
    return this.#others.size > 0;
  }

  /** Others still know it for alive, and will for some time. */
  get current(): boolean {
    return this.#shownAt !== undefined && performance.now() - this.#shownAt.mono < LAPSE;
  }

  /** What one that has ended left behind is of no use any more. */
  forget(id: string): Promise<void> {
    return this.#left.remove(id);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    await this.#beating;
    try {
      const last = this.#options.lastFacts?.();
      if (last) await this.#left.leave(this.#id, `${JSON.stringify({ beat: this.#beat + 1, ended: true, ...last })}\n`);
    } catch {
      // As if it had been killed.
    }
    await this.#volume.unlink(this.#file).catch(() => {});
  }

  get #file(): string {
    return join(this.#folder, `${this.#id}.json`);
  }

  async #tick(): Promise<void> {
    const begun = { mono: performance.now(), up: uptime() * 1000 };
    // The monotonic clock may stand still while the machine sleeps.
    const shown = this.#shownAt;
    if (shown && Math.max(begun.mono - shown.mono, begun.up - shown.up) > RENEW) this.#renew();
    this.#beat++;
    const text = `${JSON.stringify({ beat: this.#beat, pid: process.pid, ...this.#options.facts() })}\n`;
    try {
      await this.#write(text);
    } catch (error) {
      // A volume that takes nothing still tells what the others have: how large the cache is can't be said without it.
      if (!(error instanceof DiskUnavailable)) await this.#lookAround(false).catch(() => {});
      throw error;
    }
    this.#shownAt = begun;
    await this.#lookAround(true);
    if (this.#beat % SWEEP_EVERY === 1) await this.#sweep();
  }

  /** Aside and then in its place: who reads it must find all of it, also where this process is killed meanwhile. */
  async #write(text: string): Promise<void> {
    const { modes } = this.#options;
    const aside = join(this.#folder, `${this.#id}.next`);
    const before = Date.now();
    await this.#volume.writeFile(aside, text, modes.file).catch(async error => {
      if (!isMissing(error)) throw error;
      await this.#volume.mkdir(this.#folder, modes.folder);
      await this.#volume.writeFile(aside, text, modes.file);
    });
    const after = Date.now();
    await this.#volume.rename(aside, this.#file);
    const { mtimeMs } = await this.#volume.stat(this.#file);
    this.#clock.saw(mtimeMs, before, after);
  }

  async #lookAround(shown: boolean): Promise<void> {
    const volume = this.#volume;
    const now = performance.now();
    // While the volume did not answer us, it may not have answered them either.
    const blind = now - this.#lookedAt > BLIND_AFTER;
    // While it did not take our heartbeats, it may not have taken those of one that lives. Quiet that one is all the same.
    if (now - this.#shownLookAt > BLIND_AFTER) this.#shownSince = now;
    // These first: what one leaves behind goes from here to there, and must not be missed on its way.
    const names = idsOf(await namesIn(volume, this.#folder));
    const left = await this.#left.look();
    const unread = new Map<string, Unreadable>();
    // A listing may be old: one that is known is looked for by its name.
    for (const id of new Set([...names, ...this.#others.keys()])) {
      if (id === this.#id) continue;
      const path = join(this.#folder, `${id}.json`);
      const file = await volume.readFile(path).catch((error: Error) => error);
      if (!(file instanceof Error)) {
        this.#saw(id, file);
        continue;
      }
      const missed = isMissing(file) ? await this.#left.find(id) : { path, error: file };
      if (missed) unread.set(id, missed);
      else this.#others.delete(id);
    }
    for (const { id } of this.#left.all) {
      this.#others.delete(id);
      // It was killed on its way from here to there.
      if (names.includes(id)) await volume.unlink(join(this.#folder, `${id}.json`)).catch(() => {});
    }
    if (blind) for (const seen of this.#others.values()) seen.movedAt = now;
    this.#lookedAt = now;
    if (shown) this.#shownLookAt = now;
    const others = [...this.#others].map(([id, seen]) => {
      const still = performance.now() - Math.max(seen.movedAt, this.#shownSince);
      // Of one whose file can't be read at the moment it is not known whether its counter moves.
      const isDead = this.#former.has(id) || (still > DEAD_AFTER && !unread.has(id));
      return { id, seen, isDead, quiet: isDead || performance.now() - seen.movedAt > QUIET_AFTER };
    });
    for (const { id, seen, isDead } of others) if (isDead) await this.#bury(id, seen);
    this.#alone =
      shown &&
      unread.size === 0 &&
      others.every(({ isDead }) => isDead) &&
      (await volume.statfs(this.#folder).then(isLocal, () => false));
    this.#options.onOthers?.({
      all: [
        ...this.#left.all,
        ...others.map(({ seen, isDead, quiet }): Neighbour => {
          return { ...seen.neighbour, state: isDead ? 'dead' : 'living', quiet };
        }),
      ],
      unreadable: left ?? [...unread.values()][0],
      shown,
    });
  }

  #saw(id: string, file: Buffer): void {
    const facts = factsIn(file);
    const beat = typeof facts?.beat === 'number' ? `${facts.beat}` : file.toString('latin1', 0, 24);
    const known = this.#others.get(id);
    if (known?.beat === beat) return;
    // Of one that makes no sense at the moment what is known remains.
    const neighbour = facts ? { id, beat: Number(beat), facts } : (known?.neighbour ?? { id, beat: 0, facts: {} });
    this.#others.set(id, { beat, movedAt: performance.now(), neighbour });
  }

  async #bury(id: string, { neighbour }: Seen): Promise<void> {
    const volume = this.#volume;
    await this.#left.bury(id, join(this.#folder, `${id}.json`), 'account' in neighbour.facts).catch(() => {});
    await volume.unlink(join(this.#folder, `${id}.next`)).catch(() => {});
    // What this process had under way itself may go on.
    if (!this.#former.has(id)) await volume.remove(join(this.#folder, '..', 'tmp', id)).catch(() => {});
  }

  #renew(): void {
    this.#former.add(this.#id);
    this.#id = newId();
    this.#beat = 0;
    this.#shownAt = undefined;
    this.#options.onRenewed?.();
  }

  /** What nobody owns and nobody has owned at the sweep before, either, has been left by who was killed. */
  async #sweep(): Promise<void> {
    const orphans = new Set(await this.#ownerless());
    for (const path of orphans) if (this.#orphans.has(path)) await this.#volume.remove(path).catch(() => {});
    this.#orphans = orphans;
  }

  /** Folders below `tmp/`, and first heartbeats and last words that have not come to their place, of which no instance shows itself. */
  async #ownerless(): Promise<string[]> {
    const tmp = join(this.#folder, '..', 'tmp');
    const halfWritten = await namesIn(this.#volume, tmp);
    const lastWords = await namesIn(this.#volume, this.#left.folder);
    const names = await this.#volume.readdir(this.#folder);
    const owners = new Set([this.#id, ...idsOf(names)]);
    const isAside = (name: string) => name.endsWith('.next') && !owners.has(name.slice(0, -'.next'.length));
    return [
      ...halfWritten.filter(id => !owners.has(id)).map(id => join(tmp, id)),
      ...lastWords.filter(isAside).map(name => join(this.#left.folder, name)),
      ...names.filter(isAside).map(name => join(this.#folder, name)),
    ];
  }
}

function newId(): string {
  return `${process.pid}-${randomBytes(6).toString('hex')}`;
}
