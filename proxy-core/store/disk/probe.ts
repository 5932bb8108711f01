import fs from 'node:fs';
import { join } from 'node:path';
import { type Finding, judgeMount, type Mount, mountOf } from './mount-options.ts';
import { tryVolume } from './probe-trial.ts';
import { judgeVolume, summary, type VolumeFacts } from './probe-verdict.ts';
import type { Scratch } from './scratch.ts';
import type { Volume } from './volume.ts';

/** What the probe found, for people. */
export interface VolumeReport {
  /** What the volume is, in a line. */
  readonly summary: string;
  /** Type of its file system and where it is mounted, where the system tells. */
  readonly file_system?: string;
  readonly mounted_at?: string;
  readonly hard_links: boolean;
  readonly folds_case: boolean;
  readonly clock_ahead_ms: number;
  /** Medians of publishing a small file and of reading one. */
  readonly write_ms: number;
  readonly read_ms: number;
  readonly free_bytes: number;
  /** What is good to know and costs no more than speed; problems are among the other problems. */
  readonly notes: readonly string[];
}

export interface ProbeOptions {
  readonly volume: Volume;
  readonly cacheDir: string;
  readonly scratch: Scratch;
  /** Other processes may use the folder. */
  readonly others: () => boolean;
  /** A state; undefined: it is so no longer. */
  readonly onProblem: (key: string, message: string | undefined) => void;
  readonly onReport: (report: VolumeReport) => void;
}

/** After the folder can be used: a start, and the first requests, have more urgent things to do, ms. */
const AFTER = 5000;
/** After a trial that came to nothing because the volume was full, read-only or did not answer, ms. */
const AGAIN = 60_000;

/** Finds out in the background, each time the folder has become usable, what the volume is fit for, and tells it in words. */
export class Probe {
  readonly #options: ProbeOptions;
  readonly #folder: string;
  #problems = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(options: ProbeOptions) {
    this.#options = options;
    this.#folder = join(options.scratch.folder, 'probe');
  }

  /** The folder can be used, for the first time or again. */
  start(after = AFTER): void {
    clearTimeout(this.#timer);
    if (this.#stopped) return;
    this.#timer = setTimeout(() => void this.look(), after).unref();
  }

  /** Looks now; never rejects. */
  look(): Promise<void> {
    this.#running ??= this.#look()
      // Why, the volume, the folder or the heartbeat tells already, and until when.
      .catch(() => this.start(AGAIN))
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  /** Resolves when nothing of it is under way any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #look(): Promise<void> {
    const { volume, cacheDir, scratch, others } = this.#options;
    const mount = await this.#mount();
    const ofMount = mount ? judgeMount(mount, others()) : [];
    this.#show(ofMount);
    const facts = await tryVolume({
      volume,
      cacheDir,
      folder: this.#folder,
      modes: scratch.modes,
      stopped: () => this.#stopped,
    });
    const found = [...ofMount, ...judgeVolume(facts)];
    this.#show(found);
    this.#clearBut(found);
    this.#options.onReport(report(mount, facts, found));
  }

  /** Undefined where the system does not tell. */
  async #mount(): Promise<Mount | undefined> {
    const { volume, cacheDir } = this.#options;
    if (process.platform !== 'linux') return undefined;
    const path = await volume.run<string>(done => fs.realpath.native(cacheDir, done), undefined, cacheDir);
    // In some sandboxes there is no /proc.
    const mounts = await fs.promises.readFile('/proc/self/mountinfo', 'utf8').catch(() => '');
    return mountOf(mounts, path ?? cacheDir);
  }

  #show(found: readonly Finding[]): void {
    for (const { key, severity, message } of found) {
      if (severity !== 'problem') continue;
      this.#problems.add(key);
      this.#options.onProblem(`volume_${key}`, message);
    }
  }

  #clearBut(found: readonly Finding[]): void {
    const still = new Set(found.filter(({ severity }) => severity === 'problem').map(({ key }) => key));
    for (const key of this.#problems) if (!still.has(key)) this.#options.onProblem(`volume_${key}`, undefined);
    this.#problems = still;
  }
}

function report(mount: Mount | undefined, facts: VolumeFacts, found: readonly Finding[]): VolumeReport {
  return {
    summary: summary(mount, facts),
    ...(mount ? { file_system: mount.type, mounted_at: mount.point } : {}),
    hard_links: facts.links !== 'none',
    folds_case: facts.foldsCase,
    clock_ahead_ms: facts.clockAhead,
    write_ms: Math.round(facts.writeMs * 10) / 10,
    read_ms: Math.round(facts.readMs * 10) / 10,
    free_bytes: facts.space.free,
    notes: found.filter(({ severity }) => severity === 'note').map(({ message }) => message),
  };
}
