import type { Span } from '../request/index.ts';
import { type BufferPool, PIECE } from './buffer-pool.ts';
import { EXTENT } from './disk/extent-format.ts';
import type { Extent } from './disk/extent-index.ts';
import { ExtentEncoder, shrinks } from './disk/extent-writer.ts';
import type { Scratch } from './disk/scratch.ts';

export interface FillTarget {
  readonly hash: string;
  readonly version: string;
  /** Final path of an extent, and the folder it is in. */
  place(span: Span): { path: string; folder: string };
  /** An extent has its place. */
  onExtent(extent: Extent): void;
  /** Content as it comes in, in pieces of at most 1 MiB; a view that is overwritten afterwards. Goes on when the disk is given up. */
  readonly onContent: ((start: number, content: Buffer) => void) | undefined;
  /** The copy was given up; the bytes that were going to be kept are not. */
  onAbandoned(reason: string): void;
}

/** Room on the disk, taken before an extent is begun. */
export interface Room {
  reserve(bytes: number): Promise<boolean>;
  release(bytes: number): void;
}

export interface FillOptions {
  readonly scratch: Scratch;
  readonly pool: BufferPool;
  /** Undefined when the disk takes nothing at the moment: only `onContent` is told. */
  readonly room: Room | undefined;
  readonly target: FillTarget;
  /** Where the bytes belong in the object; what comes is the first byte of it, in order. */
  readonly span: Span;
  /** `try`: compress unless the first unit doesn't shrink. */
  readonly compression: 'off' | 'try';
  /** Called when `write` returned false and may be called again. */
  onDrain(): void;
}

interface ExtentInHand {
  readonly encoder: ExtentEncoder;
  readonly fd: number;
  readonly path: string;
  /** Bytes of room taken for it. */
  readonly reserved: number;
}

/** What an extent takes beside its content: its index and the frames' own bytes. */
const OVERHEAD = 8192;

/** Pieces that may wait for the disk before the source is asked to pause. */
const QUEUE = 4;

/**
 * Writes bytes that arrive in order to the disk as extents, beside their way to the client. It copies them into pooled
 * buffers, so that it holds nothing of the network's; where the budget or the disk can't keep up it gives up and lets
 * the stream go on alone (design section 3, rules 5 and 6).
 */
export class Fill {
  readonly #options: FillOptions;
  readonly #span: Span;
  #at: number;
  #piece: Buffer | undefined;
  #pieceStart: number;
  #used = 0;
  #queued = 0;
  #wantsDrain = false;
  #abandoned = false;
  #tail: Promise<void> = Promise.resolve();
  #compress: boolean | undefined;
  #current: ExtentInHand | undefined;

  constructor(options: FillOptions) {
    this.#options = options;
    this.#span = options.span;
    this.#at = options.span.start;
    this.#pieceStart = options.span.start;
    this.#compress = options.compression === 'off' ? false : undefined;
    this.#abandoned = options.room === undefined;
  }

  /** Nothing more of it will be on the disk. */
  get abandoned(): boolean {
    return this.#abandoned;
  }

  /** Next byte to come. */
  get position(): number {
    return this.#at;
  }

  /** Returns false when the source should pause until `onDrain`. The chunk is copied. */
  write(chunk: Buffer): boolean {
    let from = 0;
    while (from < chunk.length && (!this.#abandoned || this.#options.target.onContent)) {
      if (!this.#piece) {
        this.#piece = this.#options.pool.take();
        if (!this.#piece) {
          this.#abandon('the memory budget for reads and fills is used up');
          this.#at += chunk.length - from;
          break;
        }
        this.#pieceStart = this.#at;
        this.#used = 0;
      }
      const room = PIECE - (this.#pieceStart % PIECE) - this.#used;
      const take = Math.min(room, chunk.length - from);
      chunk.copy(this.#piece, this.#used, from, from + take);
      this.#used += take;
      this.#at += take;
      from += take;
      if (take === room) this.#flush();
    }
    if (this.#abandoned || this.#queued < QUEUE) return true;
    this.#wantsDrain = true;
    return false;
  }

  /** No more bytes come: what arrived is kept, also where the source was cut. Resolves when it has its place. */
  end(): Promise<void> {
    if (this.#piece && this.#used > 0) this.#flush();
    else if (this.#piece) this.#giveBack();
    this.#tail = this.#tail.then(() => this.#finishCut());
    return this.#tail;
  }

  /** Forgets the unfinished extent; finished ones stay. */
  abandon(reason: string): void {
    this.#abandon(reason);
  }

  #flush(): void {
    const piece = this.#piece;
    if (!piece) return;
    const content = piece.subarray(0, this.#used);
    const start = this.#pieceStart;
    this.#piece = undefined;
    this.#options.target.onContent?.(start, content);
    if (this.#abandoned) {
      this.#options.pool.give(piece);
      return;
    }
    this.#queued++;
    this.#tail = this.#tail.then(async () => {
      try {
        if (!this.#abandoned) await this.#store(start, content, piece);
        else this.#options.pool.give(piece);
      } catch (error) {
        this.#abandon((error as Error).message);
      }
      this.#queued--;
      if (this.#wantsDrain && this.#queued < QUEUE) {
        this.#wantsDrain = false;
        this.#options.onDrain();
      }
    });
  }

  async #store(start: number, content: Buffer, piece: Buffer): Promise<void> {
    let stuck = false;
    const giveBack = () => this.#options.pool.give(piece);
    try {
      this.#compress ??= await shrinks(content);
      this.#current ??= await this.#begin(start);
      const { encoder, fd } = this.#current;
      const at = encoder.offset;
      const frames = await encoder.frames(content);
      const size = frames.reduce((sum, frame) => sum + frame.length, 0);
      const written = await this.#options.scratch.volume.writev(fd, frames, at, giveBack).catch(error => {
        // A write that missed its deadline may still read from the piece: it is given back when the thread returns.
        stuck = (error as Error).name === 'DiskUnavailable';
        throw error;
      });
      if (written !== size) throw new Error('short write');
      if (encoder.done) await this.#finish(encoder);
    } finally {
      if (!stuck) giveBack();
    }
  }

  async #begin(start: number): Promise<ExtentInHand> {
    const end = Math.min(this.#span.end, Math.floor(start / EXTENT) * EXTENT + EXTENT - 1);
    const { target, scratch, room } = this.#options;
    const reserved = end - start + 1 + OVERHEAD;
    if (!(await room?.reserve(reserved))) throw new Error('the cache is full, and room could not be made in time');
    try {
      const file = await scratch.create();
      return { ...file, reserved, encoder: new ExtentEncoder(target, { start, end }, this.#compress === true) };
    } catch (error) {
      room?.release(reserved);
      throw error;
    }
  }

  async #finish(encoder: ExtentEncoder): Promise<void> {
    const current = this.#current;
    if (!current) return;
    const { scratch, target, room } = this.#options;
    const at = encoder.offset;
    await this.#write(current.fd, encoder.finish(), at);
    this.#current = undefined;
    try {
      await scratch.volume.close(current.fd);
      const { path, folder } = target.place(encoder.span);
      await scratch.place(current.path, path, folder, encoder.offset);
      target.onExtent({ ...encoder.span, path });
    } catch (error) {
      scratch.volume.unlink(current.path).catch(() => {});
      throw error;
    } finally {
      room?.release(current.reserved);
    }
  }

  async #write(fd: number, bytes: Buffer, at: number): Promise<void> {
    if ((await this.#options.scratch.volume.write(fd, bytes, at)) !== bytes.length) throw new Error('short write');
  }

  /** The source ended inside an extent: it is published as the shorter one that it is. */
  async #finishCut(): Promise<void> {
    const current = this.#current;
    if (!current) return;
    try {
      if (this.#abandoned) throw new Error('abandoned');
      const { encoder, fd } = current;
      const at = encoder.offset;
      const { frames, patch } = encoder.cutAt(this.#at - 1);
      if (frames.length > 0) await this.#write(fd, Buffer.concat(frames), at);
      if (patch) await this.#write(fd, patch.bytes, patch.at);
      await this.#finish(encoder);
    } catch (error) {
      this.#abandon((error as Error).message);
      this.#discard();
    }
  }

  #abandon(reason: string): void {
    if (this.#abandoned) return;
    this.#abandoned = true;
    if (this.#piece) this.#giveBack();
    this.#tail = this.#tail.then(() => this.#discard());
    this.#options.target.onAbandoned(reason);
  }

  #discard(): void {
    const current = this.#current;
    if (!current) return;
    this.#current = undefined;
    this.#options.room?.release(current.reserved);
    const { volume } = this.#options.scratch;
    volume
      .close(current.fd)
      .catch(() => {})
      .then(() => volume.unlink(current.path))
      .catch(() => {});
  }

  #giveBack(): void {
    if (this.#piece) this.#options.pool.give(this.#piece);
    this.#piece = undefined;
  }
}
