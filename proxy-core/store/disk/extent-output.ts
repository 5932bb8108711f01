import type { Span } from '../../request/index.ts';
import type { Binding } from './extent-format.ts';
import type { Extent } from './extent-index.ts';
import { ExtentEncoder } from './extent-writer.ts';
import { allocated, type Scratch } from './scratch.ts';

/** Room on the disk, taken before an extent is begun. */
export interface Room {
  /**
   * False when it can't be made in time. Rejects with {@link NotAdmitted} where what is there is worth more.
   * @param use what the uses of it are counted by; without it, it is wanted whatever goes for it
   */
  reserve(bytes: number, use?: number): Promise<boolean>;
  release(bytes: number): void;
}

/** The cache is full, and what would have to go is better known. */
export class NotAdmitted extends Error {
  override readonly name = 'NotAdmitted';

  constructor() {
    super('what is cached already is worth more');
  }
}

/** What an extent takes beside its content: its index and the frames' own bytes. */
const OVERHEAD = 8192;

const FULL = 'the cache is full, and room could not be made in time';
const FULL_OF_UPLOADS =
  'the cache, or the share of it that uploads may have (cache.write_cache_percent), is full, and room could not be made in time';

export interface ExtentOutputOptions {
  readonly scratch: Scratch;
  readonly room: Room;
  readonly binding: Binding;
  readonly compress: boolean;
  /** Final path of an extent, and the folder it is in; one without is only kept aside. */
  place?(span: Span): { path: string; folder: string };
  /** What its uses are counted by, where it has to be worth its room. */
  readonly use?: number | undefined;
}

/** A finished extent that has no place yet. */
export interface Aside {
  readonly path: string;
  readonly span: Span;
  /** Bytes of the file. */
  readonly size: number;
  /** Room on the disk that stays taken for it, to be given back with the file. */
  readonly reserved: number;
}

/** One extent on its way to the disk: room taken, a file aside, content written in order; then it has its place, stays aside, or goes. */
export class ExtentOutput {
  readonly #options: ExtentOutputOptions;
  readonly #encoder: ExtentEncoder;
  readonly #fd: number;
  readonly #path: string;
  readonly #reserved: number;
  #next: number;
  #state: 'open' | 'closed' = 'open';

  private constructor(options: ExtentOutputOptions, span: Span, file: { fd: number; path: string }, reserved: number) {
    this.#options = options;
    this.#encoder = new ExtentEncoder(options.binding, span, options.compress);
    this.#fd = file.fd;
    this.#path = file.path;
    this.#reserved = reserved;
    this.#next = span.start;
  }

  /** Rejects when no room can be made in time or it is not worth it (NotAdmitted), or with the volume's error. */
  static async begin(options: ExtentOutputOptions, span: Span): Promise<ExtentOutput> {
    const { room, scratch, use } = options;
    const reserved = span.end - span.start + 1 + OVERHEAD;
    if (!(await room.reserve(reserved, use))) throw new Error(options.place ? FULL : FULL_OF_UPLOADS);
    try {
      return new ExtentOutput(options, span, await scratch.create(), reserved);
    } catch (error) {
      room.release(reserved);
      throw error;
    }
  }

  get span(): Span {
    return this.#encoder.span;
  }

  /** The byte that comes next. */
  get next(): number {
    return this.#next;
  }

  /** Every byte of its span has been written. */
  get complete(): boolean {
    return this.#encoder.done;
  }

  /** The next bytes. `late` is called when they are free again, in case the write missed its deadline (DiskUnavailable). */
  async write(start: number, content: Buffer, late: () => void): Promise<void> {
    if (start !== this.#next) throw new RangeError(`an extent's next byte is ${this.#next}, not ${start}`);
    this.#next += content.length;
    const at = this.#encoder.offset;
    const frames = await this.#encoder.frames(content);
    const size = frames.reduce((sum, frame) => sum + frame.length, 0);
    if ((await this.#options.scratch.volume.writev(this.#fd, frames, at, late)) !== size)
      throw new Error('short write');
  }

  /** Publishes it. In either case the room and the file aside are given back. */
  async finish(): Promise<Extent> {
    const { scratch, place, room } = this.#options;
    if (!place) throw new Error('an extent without a place is kept aside');
    await this.#close();
    try {
      const { path, folder } = place(this.span);
      await scratch.place(this.#path, path, folder, this.#encoder.offset);
      return { ...this.span, path };
    } finally {
      room.release(this.#reserved);
    }
  }

  /** Leaves it aside, as somebody else's from now on. */
  async finishAside(): Promise<Aside> {
    await this.#close();
    const size = this.#encoder.offset;
    const reserved = Math.min(allocated(size), this.#reserved);
    this.#options.room.release(this.#reserved - reserved);
    return { path: this.#path, span: this.span, size, reserved };
  }

  /** The source ended inside the extent: it is published as the shorter one that it is. */
  async finishHere(): Promise<Extent> {
    await this.cutHere();
    return this.finish();
  }

  /** The source ended inside the extent, which becomes a shorter one. */
  async cutHere(): Promise<void> {
    const at = this.#encoder.offset;
    const { frames, patch } = this.#encoder.cutAt(this.#next - 1);
    try {
      if (frames.length > 0) await this.#put(Buffer.concat(frames), at);
      if (patch) await this.#put(patch.bytes, patch.at);
    } catch (error) {
      this.discard();
      throw error;
    }
  }

  /** Removes what was written. Nothing to do where `finish` has been through, one way or the other. */
  discard(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    const { room, scratch } = this.#options;
    room.release(this.#reserved);
    scratch.volume
      .close(this.#fd)
      .catch(() => {})
      .then(() => scratch.drop(this.#path));
  }

  /** Writes the index; where that fails, all is given back. */
  async #close(): Promise<void> {
    const { scratch, room } = this.#options;
    const at = this.#encoder.offset;
    try {
      await this.#put(this.#encoder.finish(), at);
    } catch (error) {
      this.discard();
      throw error;
    }
    this.#state = 'closed';
    try {
      // Once, whatever comes of it: by a second time its number may be another file's.
      await scratch.volume.close(this.#fd);
    } catch (error) {
      scratch.drop(this.#path);
      room.release(this.#reserved);
      throw error;
    }
  }

  async #put(bytes: Buffer, at: number): Promise<void> {
    if ((await this.#options.scratch.volume.write(this.#fd, bytes, at)) !== bytes.length)
      throw new Error('short write');
  }
}
