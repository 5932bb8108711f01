/** By lower-case name. */
export type Fields = Readonly<Record<string, string>>;

/** One body that an object had. Its id is in a header of its own (`x-amz-meta-version`); a copy has its source's id. */
export interface Version {
  readonly id: string;
  readonly etag: string;
  /** As in the header; no two writings have the same, not even of the same bytes. */
  readonly lastModified: string;
  readonly bytes: Buffer;
  /** Where its parts end; undefined where it was not made of parts. */
  readonly ends: readonly number[] | undefined;
  /** Every other header of a plain answer that is the object's own. Tags may change, and nothing else with them. */
  readonly fields: Fields;
  /** What is given beside to who asks for checksums. */
  readonly checksums: Fields;
  /** Of each of its parts. */
  readonly partChecksums: readonly Fields[];
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
    if (to === this.now) return;
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
