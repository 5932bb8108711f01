import type { ObjectAddress, Span } from '../request/index.ts';
import { Claims } from './disk/claims.ts';
import { ExtentIndex } from './disk/extent-index.ts';
import { bucketFolder, gibOf, ObjectPaths, objectHash } from './disk/paths.ts';
import { headKey } from './disk/use-keys.ts';
import { combineEpochs } from './epoch.ts';
import type { Head, Part } from './head.ts';

/** How long what was seen on the volume may be relied on without another look, ms (design sections 6 and 7). */
export const LOOK_EVERY = 1000;

/** Counts the versions that this process has come to know. */
let versions = 0;

/**
 * What this process knows of one object: its epoch, its head and where its bytes are. Everything in it is a copy of
 * what the volume holds, looked at again as `lookedAt` ages, or what this process has just learnt from S3.
 */
export class ObjectEntry {
  readonly address: ObjectAddress;
  readonly paths: ObjectPaths;
  /** Folder of the bucket below `buckets/`. */
  readonly folder: string;
  /** The epoch in the object's own file, `''` when there is none. */
  ownEpoch = '';
  head: Head | undefined;
  /** The stamp of `head`: on the volume's clock, ms, and the epoch in which S3 vouched for it. */
  validatedAt = 0;
  headEpoch = '';
  /** The body is in the head file. */
  inline = false;
  /** There is a head file, as far as is known; the one of an earlier version perhaps. */
  filed = false;
  /** What the uses of its head are counted by. */
  readonly useKey: number;
  /** Monotonic ms of the last look at the volume. */
  lookedAt = Number.NEGATIVE_INFINITY;
  stampedAt = Number.NEGATIVE_INFINITY;
  /** Monotonic ms at which the latest look began whose finding was taken over. */
  lookBegan = Number.NEGATIVE_INFINITY;
  /** Counts what this process changed, so that a look at the volume that began earlier does not undo it. */
  revision = 0;
  /** The same for its epoch alone. */
  writes = 0;
  /** Counts what other processes have told of their writes; and up to which of them the volume was looked at. */
  told = 0;
  heard = 0;
  readonly parts = new Map<number, Part>();
  /** What of the current version is being written. */
  claims = new Claims();
  /** By GiB. */
  readonly #indexes = new Map<number, ExtentIndex>();
  /** What is being written of versions that were current, by version: one may become current again before that is done. */
  readonly #earlier = new Map<string, Claims>();
  readonly #shard: { readonly epoch: string };
  #combined = { own: '', shards: '', epoch: '' };
  #blockKey = '';

  /** @param shardOf what gives the object's shard, by its hash, which has the epoch that it shares with others */
  constructor(cacheDir: string, address: ObjectAddress, shardOf?: (hash: string) => { readonly epoch: string }) {
    this.address = address;
    this.folder = bucketFolder(address.origin, address.bucket);
    this.paths = new ObjectPaths(cacheDir, address, objectHash(address));
    this.useKey = headKey(this.paths.hash);
    this.#shard = shardOf?.(this.paths.hash) ?? { epoch: '' };
  }

  /** The object's current epoch, `''` when neither it nor its shard was ever written through Cistern. */
  get epoch(): string {
    const { ownEpoch: own } = this;
    const shards = this.#shard.epoch;
    if (shards === '') return own;
    if (own !== this.#combined.own || shards !== this.#combined.shards)
      this.#combined = { own, shards, epoch: combineEpochs(own, shards) };
    return this.#combined.epoch;
  }

  /**
   * Prefix of the RAM tier's keys for the current version of this object, because two objects may share an ETag. A number of
   * this process rather than their names, which are 130 characters that each look into the tier would walk.
   */
  get blockKey(): string {
    return this.#blockKey;
  }

  /** Makes `head` the current one; extents and parts of another version are forgotten. */
  setHead(head: Head | undefined, validatedAt: number, epoch: string, inline: boolean): void {
    if (head?.version !== this.head?.version) {
      this.#exchangeClaims(this.head?.version ?? '', head?.version ?? '');
      this.#indexes.clear();
      this.parts.clear();
      this.#blockKey = `${++versions}:`;
    }
    this.revision++;
    this.head = head;
    this.validatedAt = validatedAt;
    this.headEpoch = epoch;
    this.inline = inline;
  }

  index(offset: number): ExtentIndex {
    const gib = gibOf(offset);
    let index = this.#indexes.get(gib);
    if (!index) {
      index = new ExtentIndex();
      this.#indexes.set(gib, index);
    }
    return index;
  }

  /** The indexes that know an extent: those of an upload may reach from one GiB into the next. */
  indexesOf({ start, end }: Span): readonly ExtentIndex[] {
    return gibOf(start) === gibOf(end) ? [this.index(start)] : [this.index(start), this.index(end)];
  }

  #exchangeClaims(from: string, to: string): void {
    this.#earlier.set(from, this.claims);
    this.claims = this.#earlier.get(to) ?? new Claims();
    this.#earlier.delete(to);
    for (const [version, claims] of this.#earlier) if (claims.none) this.#earlier.delete(version);
  }
}
