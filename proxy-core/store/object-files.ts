import { decodeHead, encodeHead, encodeStamp, type HeadFile } from './disk/head-file.ts';
import { readOrNone } from './disk/read-file.ts';
import type { Scratch } from './disk/scratch.ts';
import type { ObjectEntry } from './entry.ts';
import { combineEpochs, newEpoch } from './epoch.ts';
import type { Head, Stamp } from './head.ts';
import type { ShardEpochs } from './shard-epochs.ts';

export interface ObjectFilesOptions {
  readonly scratch: Scratch;
  readonly shards: ShardEpochs;
  /** True when no other process uses the volume, so that what is in memory can't have been overtaken. */
  readonly alone: () => boolean;
  /** The volume did not give out what may be there. */
  readonly onUnread: (error: Error) => void;
}

/** Heads and epochs on the volume. What changes the head file of one object is done in turn. */
export class ObjectFiles {
  readonly #options: ObjectFilesOptions;
  readonly #turns = new WeakMap<ObjectEntry, Promise<unknown>>();
  /** Those whose head was to be written and is not there (yet). */
  readonly #behind = new WeakSet<ObjectEntry>();

  constructor(options: ObjectFilesOptions) {
    this.#options = options;
  }

  /** The object's own, `''` where there is none, once that of its shard is known. */
  async ownEpoch({ paths }: ObjectEntry): Promise<string> {
    const { shards } = this.#options;
    const [file] = await Promise.all([this.#read(paths.epoch), shards.look(shards.of(paths.hash))]);
    return file?.toString('latin1') ?? '';
  }

  /** The one that counts. */
  async epoch(entry: ObjectEntry): Promise<string> {
    const own = await this.ownEpoch(entry);
    return combineEpochs(own, this.#options.shards.of(entry.paths.hash).epoch);
  }

  /** The head file, undefined where there is none. */
  head({ paths }: ObjectEntry): Promise<Buffer | undefined> {
    return this.#read(paths.head);
  }

  /** What is in the head file; undefined where there is none or it is damaged. */
  async decoded(entry: ObjectEntry): Promise<HeadFile | undefined> {
    return decode(entry, await this.head(entry));
  }

  /** The body behind the head of this version; undefined where there is none, or it can't be read. */
  async body(entry: ObjectEntry, { version }: Head): Promise<Buffer | undefined> {
    const file = await this.head(entry).catch(error => {
      this.#options.onUnread(error as Error);
      return undefined;
    });
    const found = decode(entry, file);
    return file && found?.head.version === version && file.length > found.bodyAt
      ? file.subarray(found.bodyAt)
      : undefined;
  }

  /**
   * Writes the head, with `body` behind it; where that isn't given, with the one that is there. Returns the size of the file, or
   * undefined where nothing was written: the head is of the entry's version no longer, or `mayReplace`, which is asked where
   * other processes use the volume, says no.
   */
  write(
    entry: ObjectEntry,
    head: Head,
    stamp: Stamp,
    body: Buffer | undefined,
    mayReplace: () => Promise<boolean>,
  ): Promise<number | undefined> {
    const { scratch, alone } = this.#options;
    return this.#inTurn(entry, async () => {
      this.#behind.add(entry);
      if (entry.head?.version !== head.version) return undefined;
      const kept = body ?? (entry.inline ? await this.body(entry, head) : undefined);
      const line = encodeHead(entry.address.storeKey, head, stamp);
      const file = kept ? Buffer.concat([line, kept]) : line;
      const guard = alone() ? undefined : mayReplace;
      if (!(await scratch.publish(entry.paths.head, entry.paths.leaf, file, guard))) {
        // What is in memory has been overtaken: the next reader looks at the volume.
        entry.lookedAt = Number.NEGATIVE_INFINITY;
        return undefined;
      }
      this.#behind.delete(entry);
      entry.filed = true;
      if (kept && entry.head?.version === head.version) entry.inline = true;
      return file.length;
    });
  }

  /**
   * Overwrites the stamp of the head of this version. A head that is on the volume in place of a newer one, with other fields,
   * is not vouched for, only distrusted.
   */
  stamp(entry: ObjectEntry, { version }: Head, stamp: Stamp): Promise<void> {
    return this.#inTurn(entry, async () => {
      if (stamp.validatedAt > 0 && this.#behind.has(entry)) return;
      await this.#options.scratch.overwrite(entry.paths.head, Buffer.from(encodeStamp(stamp, version), 'latin1'));
    });
  }

  /**
   * The head that is on the volume is an older one than the entry's, and to be asked about, until that one has come there; in an
   * epoch of nobody's, so that a 304 is not taken for its headers, too.
   */
  distrustOlder(entry: ObjectEntry, { version }: Head): Promise<void> {
    this.#behind.add(entry);
    return this.#inTurn(entry, async () => {
      if (!this.#behind.has(entry)) return;
      const stamp = encodeStamp({ validatedAt: 0, epoch: newEpoch() }, version);
      await this.#options.scratch.overwrite(entry.paths.head, Buffer.from(stamp, 'latin1'));
    });
  }

  /** Removes the head of an object that had this epoch when S3 said that it is gone, unless there is another one by now. */
  remove(entry: ObjectEntry, epoch: string): Promise<void> {
    return this.#inTurn(entry, async () => {
      if (entry.head || (await this.overtaken(entry, epoch))) return;
      await this.#options.scratch.remove(entry.paths.head).catch(() => {});
      entry.filed = false;
    });
  }

  /** Another process has moved the object on from this epoch. */
  async overtaken(entry: ObjectEntry, epoch: string): Promise<boolean> {
    return !this.#options.alone() && (await this.epoch(entry)) !== epoch;
  }

  #inTurn<T>(entry: ObjectEntry, act: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(entry) ?? Promise.resolve()).then(act);
    this.#turns.set(
      entry,
      turn.catch(() => {}),
    );
    return turn;
  }

  #read(path: string): Promise<Buffer | undefined> {
    return readOrNone(this.#options.scratch.volume, path);
  }
}

function decode({ address }: ObjectEntry, file: Buffer | undefined): HeadFile | undefined {
  try {
    return file && decodeHead(address.storeKey, file);
  } catch {
    return undefined;
  }
}
