import type { Span } from '../../request/index.ts';
import { type BufferPool, PIECE, type Piece } from '../buffer-pool.ts';
import { inWords } from '../disk/disk-error.ts';
import { EXTENT, SMALL } from '../disk/extent-format.ts';
import { type Aside, ExtentOutput, type Room } from '../disk/extent-output.ts';
import { shrinks } from '../disk/extent-writer.ts';
import type { Scratch } from '../disk/scratch.ts';
import { Kept, noVersion } from './aside.ts';
import type { CopyOptions, KeptContent, UploadCopy } from './types.ts';

export interface CopyingOptions extends CopyOptions {
  readonly scratch: Scratch;
  readonly pool: BufferPool;
  readonly room: Room;
  /** Of the object. */
  readonly hash: string;
  /** How long the end of an upload may wait for the disk, ms. */
  readonly deadline: number;
  /** The copy is lost, though the upload is not; told once. */
  onLost(reason: string): void;
}

/** Pieces that may wait for the disk before the sender is asked to pause, and how many when memory is short. */
const QUEUE = 64;
const QUEUE_TIGHT = 2;
/** How long the disk may hold up the sender: so many ms, and this share of the time the upload takes in all. */
const PATIENCE = { ms: 250, share: 0.1 };
const LOOK_EVERY = 50;

interface Arriving {
  /** Of its first byte, in the content. */
  readonly start: number;
  readonly piece: Piece;
  /** Bytes that it may take: none reaches over a MiB of the content. */
  readonly size: number;
  length: number;
}

/** Writes an upload's content aside as extents, beside its way to S3. */
export class Copying implements UploadCopy {
  readonly #options: CopyingOptions;
  #length = 0;
  #arriving: Arriving | undefined;
  #queue: Arriving[] = [];
  #writing: Promise<void> | undefined;
  #compress: boolean | undefined;
  #extent: ExtentOutput | undefined;
  readonly #files: Aside[] = [];
  #lost: string | undefined;
  /** Resolves when it is. */
  readonly #losing: Promise<void>;
  #toldLost = () => {};
  #ended = false;
  /** What was kept is somebody else's. */
  #given = false;
  readonly #begunAt = performance.now();
  /** ms for which the sender was held up. */
  #heldUp = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: CopyingOptions) {
    this.#options = options;
    this.#compress = options.compression === 'off' ? false : undefined;
    this.#losing = new Promise(resolve => {
      this.#toldLost = resolve;
    });
  }

  get busy(): boolean {
    return this.#queue.length >= (this.#options.pool.tight ? QUEUE_TIGHT : QUEUE);
  }

  get lost(): string | undefined {
    return this.#lost;
  }

  push(content: Buffer): void {
    if (this.#ended) return;
    for (let at = 0; at < content.length && this.#lost === undefined; ) {
      const into = this.#room();
      if (!into) return;
      const copied = content.copy(into.piece.bytes, into.length, at, at + into.size - into.length);
      into.length += copied;
      this.#length += copied;
      at += copied;
      if (into.length === into.size && this.#length > SMALL) this.#enqueue();
    }
  }

  async end(): Promise<KeptContent | undefined> {
    const { length } = this.#options;
    if (this.#lost === undefined && length !== undefined && this.#length !== length)
      this.#lose('an upload brought less than it announced');
    this.#ended = true;
    if (this.#length <= SMALL) return this.#lost === undefined ? this.#keep() : undefined;
    this.#enqueue();
    const late = setTimeout(() => this.#lose('the disk is slower than an upload'), this.#options.deadline);
    await Promise.race([this.#finish(), this.#losing]);
    clearTimeout(late);
    return this.#lost === undefined ? this.#keep() : undefined;
  }

  discard(): void {
    if (!this.#given) this.#giveUp('the upload failed');
  }

  /** Where the next byte goes. Undefined when there is no place for it, and the copy is lost. */
  #room(): Arriving | undefined {
    const { pool, length } = this.#options;
    // Full with what may stay in memory, and now it turns out that there is more.
    if (this.#arriving && this.#arriving.length === this.#arriving.size) this.#enqueue();
    if (this.#arriving) return this.#arriving;
    const start = this.#length;
    const left = (length ?? Number.POSITIVE_INFINITY) - start;
    const size = Math.min(PIECE - (start % PIECE), left, length === undefined && start === 0 ? SMALL : PIECE);
    if (size <= 0) return this.#lose('an upload brought more than it announced');
    const piece = pool.takeIncoming(size > PIECE / 2 ? PIECE : size);
    if (!piece) return this.#lose('memory ran short');
    this.#arriving = { start, piece, size, length: 0 };
    return this.#arriving;
  }

  #enqueue(): void {
    if (!this.#arriving) return;
    this.#queue.push(this.#arriving);
    this.#arriving = undefined;
    this.#writing ??= this.#work();
  }

  async #work(): Promise<void> {
    this.#timer = this.#watch();
    for (let next = this.#queue[0]; next; next = this.#queue[0]) {
      await this.#store(next);
      this.#queue.shift();
      if (!this.busy && this.#lost === undefined) this.#options.onRoom();
    }
    clearInterval(this.#timer);
    this.#writing = undefined;
    if (this.#lost !== undefined) this.#clear();
  }

  async #store({ start, piece, length }: Arriving): Promise<void> {
    const content = piece.bytes.subarray(0, length);
    let stuck = false;
    try {
      this.#compress ??= await shrinks(content);
      if (this.#lost === undefined) this.#extent ??= await this.#begin(start);
      if (this.#lost !== undefined || !this.#extent) return;
      await this.#extent
        .write(start, content, () => piece.release())
        .catch(error => {
          // A write that missed its deadline may still read from the piece: it is released when the thread returns.
          stuck = (error as Error).name === 'DiskUnavailable';
          throw error;
        });
      if (this.#extent.complete && this.#lost === undefined) await this.#putAside(this.#extent);
    } catch (error) {
      this.#lose(inWords(error));
    } finally {
      if (!stuck) piece.release();
    }
  }

  #begin(start: number): Promise<ExtentOutput> {
    const { scratch, room, hash, length } = this.#options;
    const span: Span = { start, end: Math.min(start + EXTENT, length ?? Number.POSITIVE_INFINITY) - 1 };
    return ExtentOutput.begin({ scratch, room, binding: noVersion(hash), compress: this.#compress === true }, span);
  }

  async #putAside(extent: ExtentOutput): Promise<void> {
    this.#extent = undefined;
    this.#files.push(await extent.finishAside());
  }

  /** Where the length was not known, the last extent is shorter than it was begun. */
  async #finish(): Promise<void> {
    await this.#writing;
    const extent = this.#extent;
    if (!extent || this.#lost !== undefined) return;
    try {
      this.#writing = extent.cutHere();
      await this.#writing;
      if (this.#lost === undefined) await this.#putAside(extent);
    } catch (error) {
      this.#lose(inWords(error));
    } finally {
      this.#writing = undefined;
      if (this.#lost !== undefined) this.#clear();
    }
  }

  #keep(): Kept {
    const { scratch, room } = this.#options;
    const piece = this.#arriving?.piece;
    this.#given = true;
    this.#arriving = undefined;
    const small = this.#length <= SMALL ? { content: wholeBuffer(piece?.bytes, this.#length), piece } : undefined;
    return new Kept({ scratch, room, length: this.#length, small, files: this.#files });
  }

  /** Looks on, while the disk is at work, for how long it holds the sender up. */
  #watch(): NodeJS.Timeout {
    let last = performance.now();
    return setInterval(() => {
      const now = performance.now();
      if (this.busy) this.#heldUp += now - last;
      last = now;
      if (this.#heldUp >= PATIENCE.ms + PATIENCE.share * (now - this.#begunAt))
        this.#lose('the disk is slower than an upload');
    }, LOOK_EVERY);
  }

  #lose(reason: string): undefined {
    if (this.#lost !== undefined) return;
    this.#giveUp(reason);
    this.#options.onLost(reason);
    this.#options.onRoom();
  }

  #giveUp(reason: string): void {
    if (this.#lost !== undefined) return;
    this.#lost = reason;
    this.#toldLost();
    this.#arriving?.piece.release();
    this.#arriving = undefined;
    // The disk has the first one in its hands.
    for (const { piece } of this.#writing ? this.#queue.splice(1) : this.#queue.splice(0)) piece.release();
    if (!this.#writing) this.#clear();
  }

  #clear(): void {
    const { scratch, room } = this.#options;
    this.#extent?.discard();
    this.#extent = undefined;
    for (const { path, reserved } of this.#files.splice(0)) {
      scratch.drop(path);
      room.release(reserved);
    }
  }
}

/** A buffer of exactly these bytes: whoever keeps it keeps all of its memory. */
function wholeBuffer(bytes: Buffer | undefined, length: number): Buffer {
  if (bytes?.length === length) return bytes;
  const whole = Buffer.allocUnsafeSlow(length);
  bytes?.copy(whole);
  return whole;
}
