import fs from 'node:fs';
import { join } from 'node:path';
import { hasNoLinks, isMissing } from './disk-error.ts';
import type { Volume } from './volume.ts';

export interface FileModes {
  readonly file: number;
  readonly folder: number;
}

const BLOCK = 4096;
/** Another process may remove a new folder, as it is empty, before anything is put into it; as often as this, hardly. */
const TRIES = 5;

/**
 * Half-written files of this process, below `tmp/<instance>`, and the ways they are published: by rename (heads, epochs,
 * which replace) or by link (extents, which never do).
 */
export class Scratch {
  readonly volume: Volume;
  readonly modes: FileModes;
  readonly #folder: () => string;
  /** Told the growth of the cache in allocated bytes, and where. */
  readonly #onBytes: (bytes: number, path: string) => void;
  #next = 0;
  /** Files aside that are of no use any more, and could not be removed yet. */
  readonly #leftovers = new Set<string>();

  constructor(options: {
    volume: Volume;
    cacheDir: string;
    /** Id of this process on the volume, which may change. */
    instance: () => string;
    modes: FileModes;
    onBytes: (bytes: number, path: string) => void;
  }) {
    this.volume = options.volume;
    this.#folder = () => join(options.cacheDir, 'tmp', options.instance());
    this.modes = options.modes;
    this.#onBytes = options.onBytes;
  }

  get folder(): string {
    return this.#folder();
  }

  newPath(): string {
    this.#next++;
    return `${this.folder}/${this.#next}`;
  }

  /**
   * Writes a small file aside and renames it into place. `mayReplace` is asked last, just before that: where it says no, nothing
   * is done, and the answer is false.
   */
  async publish(path: string, folder: string, data: Buffer, mayReplace?: () => Promise<boolean>): Promise<boolean> {
    const aside = this.newPath();
    try {
      await this.#writeAside(aside, data);
      const replaced = await this.volume.stat(path).then(allocatedBytes, () => 0);
      if (mayReplace && !(await mayReplace())) {
        this.drop(aside);
        return false;
      }
      await this.#inFolder(folder, () => this.volume.rename(aside, path));
      this.#onBytes(allocated(data.length) - replaced, path);
      return true;
    } catch (error) {
      this.drop(aside);
      throw error;
    }
  }

  /** The same for a file of the cache's own, which is not part of what is counted. */
  async replace(path: string, folder: string, data: Buffer): Promise<void> {
    const aside = this.newPath();
    try {
      await this.#writeAside(aside, data);
      await this.volume.rename(aside, path).catch(async error => {
        if (!isMissing(error)) throw error;
        await this.volume.mkdir(folder, this.modes.folder);
        await this.volume.rename(aside, path);
      });
    } catch (error) {
      this.drop(aside);
      throw error;
    }
  }

  /** Opens a new file aside for writing. */
  async create(): Promise<{ fd: number; path: string }> {
    const path = this.newPath();
    const fd = await this.#inFolder(this.folder, () => this.volume.open(path, 'wx', this.modes.file));
    return { fd, path };
  }

  /**
   * Gives a finished file its place. Where it is taken, somebody else stored the same bytes first; on NFS a link that
   * succeeded may report EEXIST when its answer was lost, which changes nothing for us: the bytes are there.
   */
  async place(aside: string, path: string, folder: string, size: number): Promise<void> {
    try {
      await this.#inFolder(folder, () => this.volume.link(aside, path));
      this.#onBytes(allocated(size), path);
    } catch (error) {
      if (hasNoLinks(error)) {
        const replaced = await this.volume.stat(path).then(allocatedBytes, () => 0);
        await this.#inFolder(folder, () => this.volume.rename(aside, path));
        this.#onBytes(allocated(size) - replaced, path);
        return;
      }
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    } finally {
      this.drop(aside);
    }
  }

  /** Removes a file aside: now, or when the volume lets. */
  drop(aside: string): void {
    this.volume.unlink(aside).then(
      () => this.#leftovers.delete(aside),
      error => {
        if (isMissing(error)) this.#leftovers.delete(aside);
        else this.#leftovers.add(aside);
      },
    );
  }

  /** Tries again to remove what could not be; called by the store's clock. */
  purge(): void {
    if (this.volume.available) for (const aside of this.#leftovers) this.drop(aside);
  }

  /** Removes a published file. @param known its allocated bytes, where somebody has just looked */
  async remove(path: string, known?: number): Promise<void> {
    const { volume } = this;
    const size = known ?? (await volume.stat(path).then(allocatedBytes, () => 0));
    await volume.unlink(path);
    this.#onBytes(-size, path);
  }

  /** Removes a folder and all that is in it, one operation at a time, as far as the volume lets. */
  async removeTree(folder: string): Promise<void> {
    const { volume } = this;
    for (const name of await volume.readdir(folder).catch(() => [] as string[])) {
      const path = `${folder}/${name}`;
      const stats = await volume.stat(path).catch(() => undefined);
      if (stats?.isDirectory()) await this.removeTree(path);
      else await this.remove(path).catch(() => {});
    }
    await this.removeFolder(folder).catch(() => {});
  }

  /** Removes an empty folder; rejects when something is in it. */
  async removeFolder(folder: string): Promise<void> {
    const size = await this.volume.stat(folder).then(allocatedBytes, () => 0);
    await this.volume.rmdir(folder);
    this.#onBytes(-size, folder);
  }

  /** Overwrites the first bytes of a published file (a head's stamp). */
  async overwrite(path: string, data: Buffer): Promise<void> {
    const fd = await this.volume.open(path, 'r+');
    try {
      await this.volume.write(fd, data, 0);
    } finally {
      this.volume.close(fd).catch(() => {});
    }
  }

  /**
   * At stop: what is half-written goes. Synchronous, so only when the volume answers; where it refuses, being read-only perhaps, the
   * others sweep it up as they do for one that was killed.
   */
  clear(): void {
    try {
      fs.rmSync(this.folder, { recursive: true, force: true });
    } catch {
      // Nothing is left to be done here: the process ends.
    }
  }

  async #writeAside(aside: string, data: Buffer): Promise<void> {
    const removeLate = () => void this.volume.unlink(aside).catch(() => {});
    await this.#inFolder(this.folder, () => this.volume.writeFile(aside, data, this.modes.file, removeLate));
  }

  async #inFolder<T>(folder: string, act: () => Promise<T>): Promise<T> {
    for (let left = TRIES; ; left--) {
      try {
        return await act();
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || left === 0) throw error;
        const made = await this.volume.mkdir(folder, this.modes.folder).catch(failed => {
          if (!isMissing(failed) || left === 1) throw failed;
          return 0;
        });
        if (folder !== this.folder) this.#onBytes(made * BLOCK, folder);
      }
    }
  }
}

/** Allocated size of a file that was just written, in the 4 KiB blocks that nearly every volume uses. */
export function allocated(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

/** What the volume says that a file or folder takes. */
export function allocatedBytes(stats: fs.Stats): number {
  return (stats.blocks as number | undefined) === undefined ? allocated(stats.size) : stats.blocks * 512;
}
