import type { Span } from '../request/index.ts';
import type { BufferPool, Piece } from './buffer-pool.ts';
import type { Claim } from './disk/claims.ts';
import { inWords } from './disk/disk-error.ts';
import { EXTENT } from './disk/extent-format.ts';
import type { Extent } from './disk/extent-index.ts';
import { ExtentOutput, NotAdmitted, type Room } from './disk/extent-output.ts';
import { shrinks } from './disk/extent-writer.ts';
import type { Scratch } from './disk/scratch.ts';

export interface FillTarget {
  readonly hash: string;
  readonly version: string;
  /** Final path of an extent, and the folder it is in. */
  place(span: Span): { path: string; folder: string };
  /**
   * Takes the first run of bytes of `span` that is neither on the disk nor being written: nobody else writes it until
   * it is let go of. Undefined when there is none, or nothing of this version is to be kept any more. Rejects when one
   * can't see what the disk has.
   */
  claim(span: Span): Promise<Claim | undefined>;
  /** What the uses of the bytes from `start` on are counted by; undefined where they are wanted, whatever goes for them. */
  use(start: number): number | undefined;
  /** An extent has its place. */
  onExtent(extent: Extent): void;
  /** Content as it comes in; a view that is overwritten afterwards. Goes on while the disk is left out. */
  readonly onContent: ((start: number, content: Buffer) => void) | undefined;
  /** Something of what came in will not be on the disk; told once. */
  onSkipped(reason: string): void;
}

export interface FillOptions {
  readonly scratch: Scratch;
  readonly pool: BufferPool;
  readonly room: Room;
  readonly target: FillTarget;
  /** Where the bytes belong in the object. */
  readonly span: Span;
  /** `try`: compress unless the first unit doesn't shrink. */
  readonly compression: 'off' | 'try';
  /** Whether the disk takes anything at the moment; asked before each extent. */
  takes(): boolean;
  /** Several read it at the same time: it is kept, however little is known of it, so that all can go at their own pace. */
  shared(): boolean;
  /** Whether somebody is waiting for bytes that have not arrived: then the source must not be held up for long. */
  urgent(): boolean;
  /** What is pending or how busy it is has changed: the source may go on, readers may look again. */
  onChange(): void;
}

/** Pieces that may wait for the disk before the source is asked to pause, and how many when memory is short. */
const QUEUE = 24;
const QUEUE_TIGHT = 2;
/** How long the disk may hold up somebody who waits for bytes: so many ms, and this share of the time it takes in all. */
const PATIENCE = { ms: 250, share: 0.1 };
const LOOK_EVERY = 50;
/** How long the disk is left out after it failed or lagged, ms: doubled each time, from the first to the second. */
const REST = { first: 100, longest: 10_000 };

interface Waiting {
  readonly start: number;
  readonly content: Buffer;
  readonly piece: Piece;
}

/**
 * Writes bytes that arrive in order to the disk as extents, beside their way to the client. Where the disk fails or
 * can't keep up, extents are left out and the stream goes on without it (design section 3, rule 5); after a while the
 * next extent is tried again.
 */
export class Fill {
  readonly #options: FillOptions;
  #queue: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #extent: ExtentOutput | undefined;
  #claim: Claim | undefined;
  /** The extent that the first of the queue belongs to is given up as soon as the disk has let go of it. */
  #dropping = false;
  #compress: boolean | undefined;
  /** Extents are left out until one begins after this time; undefined while all is well. */
  #restUntil: number | undefined;
  #rest = REST.first;
  #troubleAt = Number.NEGATIVE_INFINITY;
  /** The byte after the last that came. */
  #end: number;
  readonly #begunAt = performance.now();
  /** ms for which somebody waited while the source was held up. */
  #heldUp = 0;
  #timer: NodeJS.Timeout | undefined;
  #told = false;
  #taken = 0;

  constructor(options: FillOptions) {
    this.#options = options;
    this.#end = options.span.start;
    this.#compress = options.compression === 'off' ? false : undefined;
    if (!options.takes()) this.#restUntil = performance.now() + REST.first;
  }

  /** More waits for the disk than should: the source pauses until `onChange`. */
  get busy(): boolean {
    return this.#queue.length >= (this.#options.pool.tight ? QUEUE_TIGHT : QUEUE);
  }

  /** What arrives now will be on the disk, as far as one can tell. */
  get healthy(): boolean {
    return this.#restUntil === undefined;
  }

  /** Pieces that the disk has taken, or that were given up, and extents that have their place. */
  get taken(): number {
    return this.#taken;
  }

  /** The byte at `at`, which came here, is on its way to the disk. */
  keeps(at: number): boolean {
    const span = this.#extent?.span;
    if (span && extentOf(span.start) === extentOf(at)) return at >= span.start && at < this.#end && !this.#dropping;
    const first = this.#queue.find(({ start }) => extentOf(start) === extentOf(at));
    if (first === undefined || (this.#dropping && first === this.#queue[0])) return false;
    return at >= first.start && at < this.#end;
  }

  /**
   * The next `length` bytes, from `start`, at the beginning of `piece`: they lie within one MiB of the object, and reach
   * to its end unless the source ended. Bytes may be left out before, which costs the extent that they are in.
   */
  write(piece: Piece, start: number, length: number): void {
    const content = piece.bytes.subarray(0, length);
    this.#options.target.onContent?.(start, content);
    const { span, takes } = this.#options;
    const begins = start % EXTENT === 0 || start === span.start;
    if (this.healthy && start !== this.#end) {
      // What is missing belongs to the extent in hand, or to the one that this is in the middle of, or to whole ones.
      if (this.#end % EXTENT !== 0) this.#skip('memory ran short', this.#end - 1);
      else if (!begins) this.#skip('memory ran short', start);
    }
    this.#end = start + length;
    if (this.healthy && begins && !takes()) this.#restUntil = performance.now() + REST.first;
    if (!this.healthy && !(begins && this.#tryAgain())) return;
    this.#queue.push({ start, content, piece: piece.retain() });
    this.#writing ??= this.#work();
    if (this.busy) this.#timer ??= this.#watch();
  }

  /** The byte at `start`, which is next, is never going to come here: the extent that it is in the middle of won't be whole. */
  missed(start: number): void {
    if (this.healthy && start === this.#end && start % EXTENT !== 0 && start !== this.#options.span.start)
      this.#skip('memory ran short', start - 1);
  }

  /** No more bytes come: what arrived is kept, also where the source was cut. Resolves when it has its place. */
  async end(): Promise<void> {
    await this.#writing;
    this.#calm();
    const extent = this.#extent;
    if (!extent) return;
    // Begun for bytes that are missing farther on, and did not come.
    if (extent.next === extent.span.start) return this.#discard();
    try {
      this.#options.target.onExtent(await extent.finishHere());
    } catch (error) {
      this.#tell(inWords(error));
    }
    this.#letGo();
    this.#options.onChange();
  }

  async #work(): Promise<void> {
    for (let next = this.#queue[0]; next; next = this.#queue[0]) {
      await this.#store(next);
      this.#taken++;
      this.#queue.shift();
      if (this.#dropping) this.#discard();
      if (!this.busy) this.#calm();
      this.#options.onChange();
    }
    this.#writing = undefined;
  }

  async #store({ start, content, piece }: Waiting): Promise<void> {
    let stuck = false;
    try {
      this.#compress ??= await shrinks(content);
      for (let at = start; at < start + content.length && !this.#dropping; ) {
        this.#extent ??= await this.#begin(at);
        const extent = this.#extent;
        if (!extent) break;
        at = Math.max(at, extent.next);
        if (at >= start + content.length) break;
        const end = Math.min(start + content.length, extent.span.end + 1);
        await extent
          .write(at, content.subarray(at - start, end - start), () => piece.release())
          .catch(error => {
            // A write that missed its deadline may still read from the piece: it is released when the thread returns.
            stuck = (error as Error).name === 'DiskUnavailable';
            throw error;
          });
        at = end;
        if (extent.complete && !this.#dropping) await this.#publish(extent);
      }
    } catch (error) {
      if (error instanceof NotAdmitted) this.#skip(undefined, start);
      else this.#leaveOut(inWords(error), start);
    } finally {
      if (!stuck) piece.release();
    }
  }

  /** An extent for the first bytes from `start` on, in its stretch of 8 MiB, that are not on the disk already. */
  async #begin(start: number): Promise<ExtentOutput | undefined> {
    const { span, target, scratch, room, shared } = this.#options;
    const claim = await target.claim({ start, end: Math.min(span.end, (extentOf(start) + 1) * EXTENT - 1) });
    if (!claim) return undefined;
    const compress = this.#compress === true;
    const place = (extent: Span) => target.place(extent);
    const use = shared() ? undefined : target.use(claim.span.start);
    try {
      const extent = await ExtentOutput.begin({ scratch, room, binding: target, compress, place, use }, claim.span);
      this.#claim = claim;
      return extent;
    } catch (error) {
      claim.letGo();
      throw error;
    }
  }

  async #publish(extent: ExtentOutput): Promise<void> {
    this.#options.target.onExtent(await extent.finish());
    this.#taken++;
    this.#letGo();
    if (performance.now() - this.#troubleAt > REST.longest) this.#rest = REST.first;
  }

  /** Looks on, while the source is held up, whether that costs somebody time. */
  #watch(): NodeJS.Timeout {
    let last = performance.now();
    return setInterval(() => {
      const now = performance.now();
      if (this.#options.urgent()) this.#heldUp += now - last;
      last = now;
      if (this.#heldUp < PATIENCE.ms + PATIENCE.share * (now - this.#begunAt)) return;
      // The last of what waits, until that is enough.
      this.#leaveOut('the disk is slower than S3', this.#queue.at(-1)!.start);
      if (!this.busy) this.#calm();
      this.#options.onChange();
    }, LOOK_EVERY);
  }

  /** The disk is to blame: gives up the extent that `at` is in, and those that begin before the rest is over. */
  #leaveOut(reason: string, at: number): void {
    const now = performance.now();
    this.#troubleAt = now;
    if (this.#restUntil === undefined || this.#restUntil <= now) {
      this.#restUntil = now + this.#rest;
      this.#rest = Math.min(this.#rest * 2, REST.longest);
    }
    this.#skip(reason, at);
  }

  /** Gives up the extent that `at` is in, and the one that is arriving. @param reason undefined where nothing is wrong */
  #skip(reason: string | undefined, at: number): void {
    if (reason !== undefined) this.#tell(reason);
    this.#restUntil ??= performance.now();
    // What comes from now on is not taken, so that one of which only the beginning has come can't be finished.
    const arrived = this.#end % EXTENT === 0 || this.#end > this.#options.span.end;
    const lost = [extentOf(at), ...(arrived ? [] : [extentOf(this.#end - 1)])];
    const running = this.#queue[0];
    const given = this.#queue.filter(waiting => waiting !== running && lost.includes(extentOf(waiting.start)));
    for (const { piece } of given) piece.release();
    this.#queue = this.#queue.filter(waiting => !given.includes(waiting));
    // The disk may have the running one in its hands.
    if (running) this.#dropping ||= lost.includes(extentOf(running.start));
    else this.#discard();
  }

  #tryAgain(): boolean {
    if (performance.now() < this.#restUntil! || !this.#options.takes()) return false;
    this.#restUntil = undefined;
    return true;
  }

  #discard(): void {
    this.#dropping = false;
    this.#extent?.discard();
    this.#letGo();
  }

  #letGo(): void {
    this.#extent = undefined;
    this.#claim?.letGo();
    this.#claim = undefined;
  }

  #calm(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tell(reason: string): void {
    if (this.#told) return;
    this.#told = true;
    this.#options.target.onSkipped(reason);
  }
}

function extentOf(at: number): number {
  return Math.floor(at / EXTENT);
}
