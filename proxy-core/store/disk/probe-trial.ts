import { randomBytes } from 'node:crypto';
import type { Stats } from 'node:fs';
import { codeOf, hasNoLinks, isMissing } from './disk-error.ts';
import { LONGEST_NAME, OBJECT_NAME, type VolumeFacts } from './probe-verdict.ts';
import type { FileModes } from './scratch.ts';
import type { Volume } from './volume.ts';

export interface TrialOptions {
  readonly volume: Volume;
  readonly cacheDir: string;
  /** Of its own: made, and removed at the end. */
  readonly folder: string;
  readonly modes: FileModes;
  /** Asked before each operation; true ends the trial. */
  readonly stopped: () => boolean;
}

/** Two blocks of nearly any volume, so that one that inlines small files counts it; and bytes that nobody compresses away. */
const SIZE = 8192;
const TIMES = 5;
const SMALL = 512;

/** The trial was told to stop. */
export class TrialStopped extends Error {}

/**
 * Does what Cistern does on the volume, some forty operations one after the other, and tells what came of it. Rejects with the
 * volume's error where that says nothing about what the volume can do: it is full, read-only, or does not answer.
 */
export async function tryVolume(options: TrialOptions): Promise<VolumeFacts> {
  const trial = new Trial(options);
  try {
    return await trial.run();
  } finally {
    await trial.cleanUp();
  }
}

class Trial {
  readonly #options: TrialOptions;
  readonly #made = new Set<string>();

  constructor(options: TrialOptions) {
    this.#options = options;
  }

  async run(): Promise<VolumeFacts> {
    const { folder, modes } = this.#options;
    await this.#volume.mkdir(folder, modes.folder);
    const content = randomBytes(SIZE);
    const first = this.#path('first');
    const before = Date.now();
    await this.#write(first, content);
    const after = Date.now();
    const stats = await this.#volume.stat(first);
    return {
      readsBack: content.equals(await this.#volume.readFile(first)),
      mode: process.platform === 'win32' ? undefined : { asked: modes.file, is: stats.mode & 0o777 },
      countsBlocks: (stats.blocks as number | undefined) === undefined || stats.blocks > 0,
      clockAhead: ahead(stats, before, after),
      links: await this.#links(first),
      replaces: await this.#replaces(first),
      overwrites: await this.#overwrites(first),
      foldsCase: await this.#foldsCase(),
      longestName: await this.#longestName(),
      ...(await this.#pace()),
      space: await this.#space(),
    };
  }

  async cleanUp(): Promise<void> {
    const { volume, folder } = this.#options;
    // What can't be removed goes with the folder of this process.
    for (const path of this.#made) await volume.unlink(path).catch(() => {});
    await volume.rmdir(folder).catch(() => {});
  }

  get #volume(): Volume {
    if (this.#options.stopped()) throw new TrialStopped();
    return this.#options.volume;
  }

  #path(name: string): string {
    const path = `${this.#options.folder}/${name}`;
    this.#made.add(path);
    return path;
  }

  #write(path: string, content: Buffer): Promise<void> {
    return this.#volume.writeFile(path, content, this.#options.modes.file);
  }

  async #links(file: string): Promise<VolumeFacts['links']> {
    const other = this.#path('link');
    try {
      await this.#volume.link(file, other);
    } catch (error) {
      if (hasNoLinks(error)) return 'none';
      throw error;
    }
    const taken = this.#path('taken');
    await this.#write(taken, randomBytes(SMALL));
    return (await this.#can(() => this.#volume.link(taken, other))) ? 'replaces' : 'refuses';
  }

  async #replaces(file: string): Promise<boolean> {
    const content = randomBytes(SMALL);
    const aside = this.#path('aside');
    await this.#write(aside, content);
    if (!(await this.#can(() => this.#volume.rename(aside, file)))) return false;
    return content.equals(await this.#volume.readFile(file));
  }

  /** As a head's stamp is. */
  async #overwrites(file: string): Promise<boolean> {
    const content = randomBytes(SMALL / 4);
    const { size } = await this.#volume.stat(file);
    const done = await this.#can(async () => {
      const fd = await this.#volume.open(file, 'r+');
      try {
        await this.#volume.write(fd, content, 0);
      } finally {
        await this.#options.volume.close(fd);
      }
    });
    if (!done) return false;
    const found = await this.#volume.readFile(file);
    return found.length === size && content.equals(found.subarray(0, content.length));
  }

  async #foldsCase(): Promise<boolean> {
    await this.#write(this.#path('case'), Buffer.from('a'));
    return this.#volume.stat(`${this.#options.folder}/CASE`).then(
      () => true,
      error => {
        if (isMissing(error)) return false;
        throw error;
      },
    );
  }

  async #longestName(): Promise<number> {
    for (const length of [LONGEST_NAME, OBJECT_NAME])
      if (await this.#can(() => this.#write(this.#path('n'.repeat(length)), Buffer.from('n')))) return length;
    return 0;
  }

  /** Publishing a small file as a head is, and reading it. */
  async #pace(): Promise<Pick<VolumeFacts, 'writeMs' | 'readMs'>> {
    const content = randomBytes(SMALL);
    const file = this.#path('paced');
    const aside = this.#path('paced-aside');
    const [writes, reads]: [number[], number[]] = [[], []];
    for (let i = 0; i < TIMES; i++) {
      const began = performance.now();
      await this.#write(aside, content);
      if (!(await this.#can(() => this.#volume.rename(aside, file)))) await this.#write(file, content);
      const written = performance.now();
      await this.#volume.readFile(file);
      writes.push(written - began);
      reads.push(performance.now() - written);
    }
    return { writeMs: median(writes), readMs: median(reads) };
  }

  async #space(): Promise<VolumeFacts['space']> {
    const { bsize, blocks, bavail, files, ffree } = await this.#volume.statfs(this.#options.cacheDir);
    // Those that make room for files as they go (btrfs, many servers) say 0.
    return { total: blocks * bsize, free: bavail * bsize, freeFiles: files > 0 ? ffree : undefined };
  }

  /** False where the volume says that it does not do this. */
  async #can(act: () => Promise<void>): Promise<boolean> {
    try {
      await act();
      return true;
    } catch (error) {
      if (REFUSALS.has(codeOf(error) ?? '')) return false;
      throw error;
    }
  }
}

/** That something is not done at all; anything else (full, read-only, stale, hung) is the volume's state. */
const REFUSALS = new Set(['EEXIST', 'EPERM', 'EACCES', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL', 'ENAMETOOLONG']);

/** Within the time that the write took, and the second to which some volumes round, clocks can't be told apart. */
function ahead({ mtimeMs }: Stats, before: number, after: number): number {
  return mtimeMs < before - 1000 || mtimeMs > after + 1000 ? Math.round(mtimeMs - (before + after) / 2) : 0;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}
