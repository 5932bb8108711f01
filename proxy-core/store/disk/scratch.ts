import fs from 'node:fs';
import { join } from 'node:path';
import type { Volume } from './volume.ts';

export interface FileModes {
  readonly file: number;
  readonly folder: number;
}

/**
 * Half-written files of this process, below `tmp/<instance>`, and the ways they are published: by rename (heads, epochs,
 * which replace) or by link (extents, which never do).
 */
export class Scratch {
  readonly volume: Volume;
  readonly folder: string;
  readonly modes: FileModes;
  /** Told the growth of the cache in allocated bytes. */
  readonly #onBytes: (bytes: number) => void;
  #next = 0;

  constructor(options: {
    volume: Volume;
    cacheDir: string;
    instance: string;
    modes: FileModes;
    onBytes: (bytes: number) => void;
  }) {
    this.volume = options.volume;
    this.folder = join(options.cacheDir, 'tmp', options.instance);
    this.modes = options.modes;
    this.#onBytes = options.onBytes;
  }

  newPath(): string {
    this.#next++;
    return `${this.folder}/${this.#next}`;
  }

  /** Writes a small file aside and renames it into place. */
  async publish(path: string, folder: string, data: Buffer): Promise<void> {
    const aside = this.newPath();
    await this.#inFolder(this.folder, () => this.volume.writeFile(aside, data, this.modes.file));
    try {
      await this.#inFolder(folder, () => this.volume.rename(aside, path));
      this.#onBytes(allocated(data.length));
    } catch (error) {
      this.volume.unlink(aside).catch(() => {});
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
      this.#onBytes(allocated(size));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EPERM' || code === 'ENOTSUP' || code === 'EOPNOTSUPP' || code === 'ENOSYS' || code === 'EMLINK') {
        await this.volume.rename(aside, path);
        this.#onBytes(allocated(size));
        return;
      }
      if (code !== 'EEXIST') throw error;
    } finally {
      this.volume.unlink(aside).catch(() => {});
    }
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

  /** At stop: what is half-written goes. Synchronous, so only when the volume answers. */
  clear(): void {
    fs.rmSync(this.folder, { recursive: true, force: true });
  }

  async #inFolder<T>(folder: string, act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      await this.volume.mkdir(folder, this.modes.folder);
      return act();
    }
  }
}

/** Allocated size of a file, in the 4 KiB blocks that nearly every volume uses. */
export function allocated(size: number): number {
  return Math.ceil(size / 4096) * 4096;
}
