import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { isMissing } from '../disk/disk-error.ts';
import type { Binding } from '../disk/extent-format.ts';
import { decodeExtent } from '../disk/extent-memory.ts';
import { encodeExtent } from '../disk/extent-writer.ts';
import { allocated, allocatedBytes, type Scratch } from '../disk/scratch.ts';
import type { Assembly, FoundPart } from './multipart-assembly.ts';
import {
  CREATE,
  contentName,
  decodeCreated,
  decodeRecord,
  encodeCreated,
  encodeRecord,
  partOfRecord,
  recordName,
  type StagedFile,
} from './multipart-files.ts';
import { inParallel } from './multipart-parallel.ts';
import type { CreatedUpload, KeptContent, KeptPart } from './types.ts';

export interface MultipartFolderOptions {
  readonly scratch: Scratch;
  readonly cacheDir: string;
  /** Told the growth of the cache in allocated bytes, and where. */
  readonly onBytes: (bytes: number, path: string) => void;
}

/** The folder of an upload that only this process acts on. */
export interface Claimed {
  /** Its name in `uploads/`. */
  readonly upload: string;
  /** Where it is now. */
  readonly path: string;
  /** Names of files that are somebody else's, who counts them. */
  readonly handedOver: Set<string>;
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

  /**
   * Moves a part's content into the upload's folder, then its record. Rejects, with nothing left there, where it has none
   * (any more). @param binding of its extents
   */
  async put(upload: string, binding: Binding, part: KeptPart, content: KeptContent): Promise<void> {
    const { volume } = this.#options.scratch;
    const folder = `${this.path}/${upload}`;
    const name = `${part.number}-${randomBytes(8).toString('hex')}`;
    const { length, small } = content;
    const moved: StagedFile[] = [];
    try {
      if (small && length > 0) {
        const span = { start: 0, end: length - 1 };
        const file = await encodeExtent(binding, span, small, false);
        await this.#write(`${folder}/${contentName(name, span)}`, file);
        moved.push({ span, size: file.length });
      }
      await inParallel(content.files, async file => {
        const { path, span, size } = file;
        const staged = `${folder}/${contentName(name, span)}`;
        await volume.rename(path, staged);
        content.handedOver(file);
        this.#options.onBytes(allocated(size), staged);
        moved.push({ span, size });
      });
      await this.#write(
        `${folder}/${recordName(name)}`,
        encodeRecord(upload, { ...part, length, files: moved.sort(inOrder) }),
      );
    } catch (error) {
      for (const { span, size } of moved) this.#undo(`${folder}/${contentName(name, span)}`, allocated(size));
      throw error;
    }
  }

  /** Takes an upload's folder for this process alone; undefined where there is none (any more). */
  async claim(upload: string): Promise<Claimed | undefined> {
    const { scratch } = this.#options;
    const { volume } = scratch;
    const from = `${this.path}/${upload}`;
    const path = scratch.newPath();
    try {
      await volume.rename(from, path).catch(async error => {
        if (!isMissing(error)) throw error;
        // Perhaps it is our own folder that is not there yet.
        await volume.stat(from);
        await volume.mkdir(scratch.folder, scratch.modes.folder);
        await volume.rename(from, path);
      });
      return { upload, path, handedOver: new Set() };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  /** What Create told. Undefined where that is missing or damaged. */
  async created({ path }: Claimed, storeKey: string): Promise<CreatedUpload | undefined> {
    const file = await this.#read(`${path}/${CREATE}`);
    return file && safely(() => decodeCreated(storeKey, file));
  }

  /** The parts that have one of these numbers. */
  async parts({ upload, path }: Claimed, numbers: ReadonlySet<number>): Promise<FoundPart[]> {
    const names = await this.#options.scratch.volume.readdir(path);
    const found = await inParallel(names, async record => {
      const named = partOfRecord(record);
      if (!named || !numbers.has(named.number)) return undefined;
      const file = await this.#read(`${path}/${record}`);
      const part = file && safely(() => decodeRecord(upload, file));
      return part && { ...part, name: named.part };
    });
    return found.filter(part => part !== undefined);
  }

  /** The content of a small object. Undefined where it is damaged. @param binding of its extents */
  async content({ path }: Claimed, { files }: Assembly, binding: Binding): Promise<Buffer | undefined> {
    const content = await inParallel(files, async ({ name, from }) => {
      const file = await this.#read(`${path}/${name}`);
      return file && decodeExtent(file, binding, from);
    });
    const whole = content.filter(piece => piece !== undefined);
    return whole.length === files.length ? Buffer.concat(whole) : undefined;
  }

  /** A file is somebody else's, who counts it from now on. */
  handOver({ upload, handedOver }: Claimed, name: string, size: number): void {
    handedOver.add(name);
    this.#options.onBytes(-allocated(size), `${this.path}/${upload}`);
  }

  /** Removes a claimed folder. */
  async remove({ upload, path: folder, handedOver }: Claimed): Promise<void> {
    const { scratch, onBytes } = this.#options;
    const { volume } = scratch;
    const counted = `${this.path}/${upload}`;
    const size = async (path: string) => volume.stat(path).then(allocatedBytes, () => 0);
    await inParallel(await volume.readdir(folder), async name => {
      const path = `${folder}/${name}`;
      const bytes = handedOver.has(name) ? 0 : await size(path);
      await volume.unlink(path).catch(unlessMissing);
      onBytes(-bytes, counted);
    });
    const bytes = await size(folder);
    await volume.rmdir(folder);
    onBytes(-bytes, counted);
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
      scratch.drop(aside);
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

function inOrder(a: StagedFile, b: StagedFile): number {
  return a.span.start - b.span.start;
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
