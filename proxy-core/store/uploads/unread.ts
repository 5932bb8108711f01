/** An upload that nobody has read: its head on the disk is still the one that the write was published with. */
export interface UnreadUpload {
  /** BLAKE3 of the store key, hex. */
  readonly hash: string;
  /** Folder of the bucket below `buckets/`. */
  readonly folder: string;
  /** The key's bytes, as latin1. */
  readonly key: string;
  /** Allocated bytes of its files. */
  readonly bytes: number;
  /** When it was published, on the volume's clock, ms. */
  readonly at: number;
}

/** So many are remembered one by one; of older ones only the bytes, until the next census. */
const MOST = 100_000;
/** Looked at for one that may go: so many of the oldest, and as many of the others, different ones each time. */
const LOOK = 32;

/**
 * The uploads that nobody has read, as far as this process knows: those it published, and those of others that a census
 * found. Finding the next one to go costs the same however many there are.
 */
export class Unread {
  readonly #most: number;
  /** By hash, the oldest first. */
  #uploads = new Map<string, UnreadUpload>();
  #bytes = 0;
  #others: Iterator<UnreadUpload> | undefined;
  #count: Count | undefined;

  constructor(most = MOST) {
    this.#most = most;
  }

  /** Allocated bytes of all. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How many are remembered. */
  get size(): number {
    return this.#uploads.size;
  }

  /** One that was published now; it takes the place of an older one of the same object. */
  add(upload: UnreadUpload): void {
    this.#forget(upload.hash);
    this.#remember(upload);
  }

  /** S3 has vouched for its head, or it is gone. */
  remove(hash: string): void {
    if (this.#uploads.size > 0) this.#forget(hash);
    this.#count?.removed.add(hash);
  }

  /** A file of it is gone. */
  shrink(hash: string, bytes: number): void {
    const upload = this.#uploads.get(hash);
    if (!upload) return;
    const left = Math.max(0, upload.bytes - bytes);
    this.#bytes -= upload.bytes - left;
    this.#uploads.set(hash, { ...upload, bytes: left });
  }

  get oldest(): UnreadUpload | undefined {
    return this.#uploads.values().next().value;
  }

  /** One that may go: the oldest such of those that are looked at now. */
  find(mayGo: (upload: UnreadUpload) => boolean): UnreadUpload | undefined {
    let looked = 0;
    for (const upload of this.#uploads.values()) {
      if (mayGo(upload)) return upload;
      if (++looked === LOOK) break;
    }
    this.#others ??= this.#uploads.values();
    for (looked = 0; looked < LOOK; looked++) {
      const { done, value } = this.#others.next();
      if (done) {
        this.#others = undefined;
        return undefined;
      }
      if (mayGo(value)) return value;
    }
    return undefined;
  }

  /** A census begins. */
  beginCount(): void {
    this.#count = { found: [], bytes: 0, removed: new Set() };
  }

  /** The census has found one that was published before it began. */
  found(upload: UnreadUpload): void {
    const count = this.#count;
    if (!count) return;
    count.bytes += upload.bytes;
    if (count.found.length < this.#most) count.found.push(upload);
  }

  /**
   * The census is over: where it has been through, what it did not find of what is older than its beginning is not there.
   * Returns by how much `bytes` is other than before.
   */
  endCount(through: boolean, began: number): number {
    const count = this.#count;
    this.#count = undefined;
    if (!through || !count) return 0;
    const before = this.#bytes;
    const since = [...this.#uploads.values()].filter(({ at }) => at >= began);
    this.#uploads = new Map();
    this.#others = undefined;
    this.#bytes = count.bytes;
    for (const upload of count.found.sort((a, b) => a.at - b.at))
      if (count.removed.has(upload.hash)) this.#bytes -= upload.bytes;
      else this.#uploads.set(upload.hash, upload);
    for (const upload of since) this.add(upload);
    return this.#bytes - before;
  }

  #remember(upload: UnreadUpload): void {
    this.#uploads.set(upload.hash, upload);
    this.#bytes += upload.bytes;
    for (const hash of this.#uploads.keys()) {
      if (this.#uploads.size <= this.#most) return;
      this.#uploads.delete(hash);
    }
  }

  #forget(hash: string): void {
    const upload = this.#uploads.get(hash);
    if (!upload) return;
    this.#uploads.delete(hash);
    this.#bytes -= upload.bytes;
  }
}

interface Count {
  readonly found: UnreadUpload[];
  bytes: number;
  /** What was found of these may be of the past. */
  readonly removed: Set<string>;
}
