import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { isLocal } from './local-file-systems.ts';
import type { Volume } from './volume.ts';
import { VolumeClock } from './volume-clock.ts';

const BEAT = 1000;
/** A process whose heartbeat has not moved for this long of our own monotonic clock is dead (design section 10). */
const DEAD_AFTER = 60_000;
/** A look at the others that comes so long after the one before tells nothing of what they did in between, ms. */
const BLIND_AFTER = 10_000;
/** Beats between two looks for half-written files that nobody owns. */
const SWEEP_EVERY = 60;

interface Other {
  beat: string;
  movedAt: number;
}

/**
 * This process on the volume: a file whose counter moves once a second, by which others know that it lives; how far the
 * volume's clock is from ours; and whether anybody else is there.
 */
export class Instance {
  readonly id = `${process.pid}-${randomBytes(6).toString('hex')}`;
  readonly #volume: Volume;
  readonly #folder: string;
  readonly #mode: { file: number; folder: number };
  readonly #facts: () => object;
  readonly #onBeat: (error: Error | undefined) => void;
  readonly #onOthers: (facts: readonly object[]) => void;
  readonly #others = new Map<string, Other>();
  readonly #clock = new VolumeClock();
  #beat = 0;
  #alone = false;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;
  #beating: Promise<void> | undefined;
  /** Folders below `tmp/` without an instance, as of the last sweep. */
  #orphans = new Set<string>();

  constructor(options: {
    volume: Volume;
    cacheDir: string;
    modes: { file: number; folder: number };
    facts: () => object;
    /** Told of each heartbeat whether the volume took it. */
    onBeat?: (error: Error | undefined) => void;
    /** Told at each heartbeat what the others that live tell of themselves. */
    onOthers?: (facts: readonly object[]) => void;
  }) {
    this.#volume = options.volume;
    this.#folder = join(options.cacheDir, 'instances');
    this.#mode = options.modes;
    this.#facts = options.facts;
    this.#onBeat = options.onBeat ?? (() => {});
    this.#onOthers = options.onOthers ?? (() => {});
  }

  /** Writes the first heartbeat, so that others know of this process before it serves anything; goes on beating where that fails. */
  async start(): Promise<void> {
    this.#timer = setInterval(() => void this.beat(), BEAT).unref();
    await this.beat();
  }

  /** Shows that this process lives, now. Never rejects: `onBeat` is told. */
  beat(): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    this.#beating ??= this.#tick()
      .then(
        () => this.#onBeat(undefined),
        error => {
          // The volume is not answering: nothing is known about others.
          this.#alone = false;
          this.#onBeat(error as Error);
        },
      )
      .finally(() => {
        this.#beating = undefined;
      });
    return this.#beating;
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

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    await this.#beating;
    await this.#volume.unlink(this.#file).catch(() => {});
  }

  get #file(): string {
    return join(this.#folder, `${this.id}.json`);
  }

  async #tick(): Promise<void> {
    this.#beat++;
    const facts = `${JSON.stringify({ beat: this.#beat, pid: process.pid, ...this.#facts() })}\n`;
    const before = Date.now();
    await this.#volume.writeFile(this.#file, facts, this.#mode.file).catch(async error => {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      await this.#volume.mkdir(this.#folder, this.#mode.folder);
      await this.#volume.writeFile(this.#file, facts, this.#mode.file);
    });
    const after = Date.now();
    const { mtimeMs } = await this.#volume.stat(this.#file);
    this.#clock.saw(mtimeMs, before, after);
    await this.#lookAround();
    if (this.#beat % SWEEP_EVERY === 1) await this.#sweep();
  }

  async #lookAround(): Promise<void> {
    const now = performance.now();
    // While the volume did not answer us, it may not have answered them either.
    const blind = now - this.#lookedAt > BLIND_AFTER;
    const names = (await this.#volume.readdir(this.#folder)).filter(
      name => name.endsWith('.json') && name !== `${this.id}.json`,
    );
    for (const known of this.#others.keys()) if (!names.includes(known)) this.#others.delete(known);
    const facts: object[] = [];
    for (const name of names) {
      const file = await this.#volume.readFile(join(this.#folder, name)).catch(() => undefined);
      if (file === undefined) continue;
      facts.push(factsIn(file));
      const beat = file.toString('latin1', 0, 24);
      const other = this.#others.get(name);
      if (!other || other.beat !== beat || blind) this.#others.set(name, { beat, movedAt: now });
      else if (now - other.movedAt > DEAD_AFTER) {
        this.#others.delete(name);
        await this.#volume.unlink(join(this.#folder, name)).catch(() => {});
        await this.#volume.remove(join(this.#folder, '..', 'tmp', name.slice(0, -5))).catch(() => {});
      }
    }
    this.#lookedAt = now;
    this.#alone = this.#others.size === 0 && (await this.#volume.statfs(this.#folder).then(isLocal, () => false));
    this.#onOthers(facts);
  }

  /** What is below `tmp/` belongs to an instance; where none has shown itself from one sweep to the next, its owner has ended. */
  async #sweep(): Promise<void> {
    const tmp = join(this.#folder, '..', 'tmp');
    const owned = await this.#volume.readdir(tmp).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    const owners = new Set(await this.#volume.readdir(this.#folder));
    const orphans = new Set(owned.filter(name => name !== this.id && !owners.has(`${name}.json`)));
    for (const name of orphans) if (this.#orphans.has(name)) await this.#volume.remove(join(tmp, name)).catch(() => {});
    this.#orphans = orphans;
  }
}

/** What an instance file tells; nothing where it is being written. */
function factsIn(file: Buffer): object {
  try {
    return Object(JSON.parse(file.toString('utf8')));
  } catch {
    return {};
  }
}
