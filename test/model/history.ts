/** One body that an object had. Its id is in a header of its own (`x-amz-meta-version`), so that no two are taken for one. */
export interface Version {
  readonly id: string;
  readonly etag: string;
  /** As in the header; no two versions of an object have the same. */
  readonly lastModified: string;
  readonly bytes: Buffer;
  /** Of a multipart upload. */
  readonly partSize: number | undefined;
  /** `x-amz-checksum-crc32`, as it is given to who asks for checksums. */
  readonly checksum: string;
}

/** What was so from one moment until (not including) another, in ms of one monotonic clock. */
export interface Period<T> {
  readonly what: T;
  readonly from: number;
  until: number;
}

/** Something that changes at the origin, and all that it was: an object's version (undefined: there is none), or a permission. */
export class History<T> {
  readonly #periods: Period<T>[];

  constructor(first: T) {
    this.#periods = [{ what: first, from: Number.NEGATIVE_INFINITY, until: Number.POSITIVE_INFINITY }];
  }

  change(to: T, at: number): void {
    this.#periods.at(-1)!.until = at;
    this.#periods.push({ what: to, from: at, until: Number.POSITIVE_INFINITY });
  }

  get now(): T {
    return this.#periods.at(-1)!.what;
  }

  get all(): readonly Period<T>[] {
    return this.#periods;
  }

  /** All that was so at some moment between the two. */
  between(from: number, until: number): Period<T>[] {
    return this.#periods.filter(period => period.from <= until && period.until > from);
  }
}
