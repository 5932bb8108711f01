import type { ObjectAddress } from '../../request/index.ts';
import { isMissing } from '../disk/disk-error.ts';
import { UNIT } from '../disk/extent-format.ts';
import { objectHash } from '../disk/paths.ts';
import type { Scratch } from '../disk/scratch.ts';
import type { Head } from '../head.ts';
import { noVersion } from './aside.ts';
import { type Assembly, assemble, type NamedPart, tableOf } from './multipart-assembly.ts';
import { uploadHash } from './multipart-files.ts';
import { type Claimed, MultipartFolder } from './multipart-folder.ts';
import { MultipartSweep } from './multipart-sweep.ts';
import type { PartsTables } from './parts-tables.ts';
import type { Publisher } from './publisher.ts';
import type { CreatedUpload, KeptContent, KeptPart } from './types.ts';

export interface MultipartStageOptions {
  readonly scratch: Scratch;
  readonly cacheDir: string;
  /** How long anything here may make a client wait, ms. */
  readonly deadline: number;
  /** `incomplete_upload_ttl`, ms. */
  readonly ttl: number;
  /** Now on the volume's clock, ms. */
  readonly now: () => number;
  /** Told the growth of the cache in allocated bytes, and where. */
  readonly onBytes: (bytes: number, path: string) => void;
  /** Whether the disk takes anything now. */
  readonly takes: () => boolean;
  /** An upload that can't be kept, because parts of it never were. */
  readonly onIncomplete: () => void;
  readonly onFailed: (error: Error) => void;
  readonly publisher: Pick<Publisher, 'version'>;
  readonly tables: PartsTables;
}

/** Objects up to this length live in their head file. */
const SMALL = UNIT;

/**
 * Parts of multipart uploads, kept from Create to Complete or Abort, by any process on the directory. Nothing here rejects
 * or makes a client wait longer than the disk's deadline: what is not done by then goes on in the background.
 */
export class MultipartStage {
  readonly #options: MultipartStageOptions;
  readonly #folder: MultipartFolder;
  readonly #sweep: MultipartSweep;
  readonly #running = new Set<Promise<void>>();

  constructor(options: MultipartStageOptions) {
    this.#options = options;
    this.#folder = new MultipartFolder(options);
    this.#sweep = new MultipartSweep({ ...options, folder: this.#folder });
  }

  start(): void {
    this.#sweep.start();
  }

  stop(): void {
    this.#sweep.stop();
  }

  /** S3 has given out an upload id: parts of it are kept from now on. */
  created(address: ObjectAddress, uploadId: string, facts: CreatedUpload): Promise<void> {
    if (!this.#options.takes()) return Promise.resolve();
    return this.#inTime(this.#folder.make(uploadHash(address, uploadId), address.storeKey, facts));
  }

  /** S3 has taken a part. One of an upload whose Create was not seen here is not kept. */
  keepPart(address: ObjectAddress, uploadId: string, part: KeptPart, content: KeptContent): Promise<void> {
    const put = this.#folder
      .put(uploadHash(address, uploadId), noVersion(objectHash(address)), part, content)
      .finally(() => content.discard());
    return this.#inTime(put);
  }

  /**
   * S3 has made an object of these parts, which are in ascending order: it becomes the current version, a candidate about which
   * its first reader asks S3. To be called when the object's epoch is being moved on, or has been.
   *
   * @param headFor given what Create told and the object's length; undefined where nothing of it is to be kept
   */
  complete(
    address: ObjectAddress,
    uploadId: string,
    parts: readonly NamedPart[],
    headFor: (created: CreatedUpload, length: number) => Head | undefined,
  ): Promise<void> {
    const upload = uploadHash(address, uploadId);
    return this.#inTime(
      this.#end(upload, async claimed => {
        const created = await this.#folder.created(claimed, address.storeKey);
        if (!created) return;
        const numbers = new Set(parts.map(({ number }) => number));
        const assembly = assemble(parts, await this.#folder.parts(claimed, numbers));
        if (!assembly) return this.#options.onIncomplete();
        const head = headFor(created, assembly.length);
        if (head) await this.#publish(address, head, claimed, assembly);
      }),
    );
  }

  /** S3 has given the upload up. */
  abort(address: ObjectAddress, uploadId: string): Promise<void> {
    return this.#inTime(this.#end(uploadHash(address, uploadId), async () => {}));
  }

  /** Resolves when nothing is under way. For tests. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  async #publish(address: ObjectAddress, head: Head, claimed: Claimed, assembly: Assembly): Promise<void> {
    const { publisher, tables, onFailed } = this.#options;
    const table = tableOf(assembly, head);
    const isSmall = assembly.length <= SMALL;
    const files = assembly.files.map(({ name, from, to, size }) => ({
      path: `${claimed.path}/${name}`,
      from,
      to,
      size,
      onPlaced: () => this.#folder.handOver(claimed, name, size),
    }));
    await publisher.version(address, head, {
      files: isSmall ? [] : files,
      small: isSmall ? await this.#folder.content(claimed, assembly, noVersion(objectHash(address))) : undefined,
      ram: false,
      compress: true,
      beside: async entry => {
        if (table) await tables.publish(entry, head, table).catch(onFailed);
      },
    });
  }

  /** Takes an upload's folder away from all others and acts on it; resolves with that done, and removes the folder in the background. */
  async #end(upload: string, act: (claimed: Claimed) => Promise<void>): Promise<void> {
    const claimed = await this.#folder.claim(upload);
    if (!claimed) return;
    const acted = act(claimed);
    void this.#track(acted.catch(() => {}).then(() => this.#folder.remove(claimed)));
    await acted;
  }

  /** Resolves when `work` is done, or after the deadline. */
  async #inTime(work: Promise<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>(resolve => {
      timer = setTimeout(resolve, this.#options.deadline).unref();
    });
    await Promise.race([this.#track(work), late]);
    clearTimeout(timer);
  }

  /** Follows work to its end; never rejects. A folder that is not there (any more) is nobody's trouble. */
  #track(work: Promise<void>): Promise<void> {
    const tracked = work
      .catch(error => {
        if (!isMissing(error)) this.#options.onFailed(error as Error);
      })
      .finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
    return tracked;
  }
}
