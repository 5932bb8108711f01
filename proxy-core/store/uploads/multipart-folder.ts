import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { isMissing } from '../disk/disk-error.ts';
import { allocated, allocatedBytes, type Scratch } from '../disk/scratch.ts';
import type { FoundPart } from './multipart-assembly.ts';
import {
  CREATE,
  contentName,
  decodeCreated,
  decodeRecord,
  encodeCreated,
  encodeRecord,
  partOfRecord,
  recordName,
} from './multipart-files.ts';
import { inParallel } from './multipart-parallel.ts';
import type { AsideFile, CreatedUpload, KeptPart } from './types.ts';

export interface MultipartFolderOptions {
  readonly scratch: Scratch;
  readonly cacheDir: string;
  /** Told the growth of the cache in allocated bytes, and where. */
  readonly onBytes: (bytes: number, path: string) => void;
}

/**
 * The folders below `uploads/`, which all processes on the directory share without a lock. Only Create makes one, and
 * whoever is going to end an upload renames its folder into its own `tmp/<instance>`: from then on no part comes to it, nobody
 * else ends it, and what a crash leaves behind goes with the other half-written files of that process.
 */
export class MultipartFolder {
  readonly path: string;
  readonly #options: MultipartFolderOptions;

  constructor(options: MultipartFolderOptions) {
    this.#options = options;
    this.path = join(options.cacheDir, 'uploads');
  }

  async make(upload: string, storeKey: string, created: CreatedUpload): Promise<void> {
    const { scratch, onBytes } = this.#options;
    const folder = `${this.path}/${upload}`;
    const made = await scratch.volume.mkdir(folder, scratch.modes.folder);
    onBytes(made * allocated(1), folder);
    await this.#write(`${folder}/${CREATE}`, encodeCreated(storeKey, created));
  }

  /** Moves a part's files into the upload's folder, then its record. Rejects, with nothing left there, where it has none (any more). */
  async put(upload: string, part: KeptPart, length: number, files: readonly AsideFile[]): Promise<void> {
    const { volume } = this.#options.scratch;
    const folder = `${this.path}/${upload}`;
    const name = `${part.number}-${randomBytes(8).toString('hex')}`;
    const moved: AsideFile[] = [];
    try {
      await inParallel(files, async ({ path, span, size }) => {
        const staged = `${folder}/${contentName(name, span)}`;
        await volume.rename(path, staged);
        moved.push({ path: staged, span, size });
        this.#options.onBytes(allocated(size), staged);
      });
      await this.#write(`${folder}/${recordName(name)}`, encodeRecord(upload, { ...part, length, files }));
    } catch (error) {
      for (const { path, size } of moved) this.#undo(path, allocated(size));
      throw error;
    }
  }

  /** Takes an upload's folder for this process alone; returns where it is now, undefined where there is none (any more). */
  async claim(upload: string): Promise<string | undefined> {
    const { scratch } = this.#options;
    const { volume } = scratch;
    const from = `${this.path}/${upload}`;
    const to = scratch.newPath();
    try {
      await volume.rename(from, to).catch(async error => {
        if (!isMissing(error)) throw error;
        // Perhaps it is our own folder that is not there yet.
        await volume.stat(from);
        await volume.mkdir(scratch.folder, scratch.modes.folder);
        await volume.rename(from, to);
      });
      return to;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  /** What Create told, in a claimed folder. Undefined where that is missing or damaged. */
  async created(folder: string, storeKey: string): Promise<CreatedUpload | undefined> {
    const file = await this.#read(`${folder}/${CREATE}`);
    return file && safely(() => decodeCreated(storeKey, file));
  }

  /** The parts in a claimed folder that have one of these numbers. */
  async parts(folder: string, upload: string, numbers: ReadonlySet<number>): Promise<FoundPart[]> {
    const names = await this.#options.scratch.volume.readdir(folder);
    const records = names.filter(name => numbers.has(partOfRecord(name)?.number ?? 0));
    const found = await inParallel(records, async record => {
      const file = await this.#read(`${folder}/${record}`);
      const part = file && safely(() => decodeRecord(upload, file));
      const name = partOfRecord(record)?.part;
      return part && name !== undefined ? { ...part, name } : undefined;
    });
    return found.filter(part => part !== undefined);
  }

  /** Files of a claimed folder are somebody else's to count from now on. */
  handOver(upload: string, files: readonly { readonly size: number }[]): void {
    const bytes = files.reduce((sum, { size }) => sum + allocated(size), 0);
    this.#options.onBytes(-bytes, `${this.path}/${upload}`);
  }

  /** Removes a claimed folder; `uncounted` are the files in it that were handed over. */
  async remove(folder: string, upload: string, uncounted: ReadonlySet<string> = new Set()): Promise<void> {
    const { scratch, onBytes } = this.#options;
    const { volume } = scratch;
    const size = async (path: string) => volume.stat(path).then(allocatedBytes, () => 0);
    await inParallel(await volume.readdir(folder), async name => {
      const path = `${folder}/${name}`;
      const bytes = uncounted.has(name) ? 0 : await size(path);
      await volume.unlink(path).catch(unlessMissing);
      if (bytes > 0) onBytes(-bytes, `${this.path}/${upload}`);
    });
    const bytes = await size(folder);
    await volume.rmdir(folder);
    onBytes(-bytes, `${this.path}/${upload}`);
  }

  /** Names in `uploads/`, and when the last file came to one. */
  async names(): Promise<string[]> {
    return this.#options.scratch.volume.readdir(this.path).catch(error => {
      if (isMissing(error)) return [];
      throw error;
    });
  }

  /** When the last file came to an upload's folder, on the volume's clock, ms; undefined where it is gone. */
  async changedAt(upload: string): Promise<number | undefined> {
    const stats = await this.#options.scratch.volume.stat(`${this.path}/${upload}`).catch(unlessMissing);
    return stats?.mtimeMs;
  }

  /** Writes a small file aside and renames it into a folder that must be there. */
  async #write(path: string, data: Buffer): Promise<void> {
    const { scratch, onBytes } = this.#options;
    const { volume } = scratch;
    const { fd, path: aside } = await scratch.create();
    try {
      const written = await volume.write(fd, data, 0).finally(() => volume.close(fd));
      if (written !== data.length) throw new Error('short write');
      await volume.rename(aside, path);
    } catch (error) {
      volume.unlink(aside).catch(() => {});
      throw error;
    }
    onBytes(allocated(data.length), path);
  }

  async #read(path: string): Promise<Buffer | undefined> {
    return this.#options.scratch.volume.readFile(path).catch(unlessMissing);
  }

  #undo(path: string, bytes: number): void {
    this.#options.scratch.volume.unlink(path).then(
      () => this.#options.onBytes(-bytes, path),
      () => {},
    );
  }
}

function unlessMissing(error: unknown): undefined {
  if (!isMissing(error)) throw error;
}

function safely<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}
