import { LRUCache } from 'lru-cache';
import type { ObjectAddress } from '../request/index.ts';
import { DirtyEpochs, type EpochRoom } from './dirty-epochs.ts';
import { decodeHead } from './disk/head-file.ts';
import { EPOCH_KEPT } from './disk/leaves.ts';
import { objectHash } from './disk/paths.ts';
import type { Scratch } from './disk/scratch.ts';
import { LOOK_EVERY, ObjectEntry } from './entry.ts';
import { isEpoch } from './epoch.ts';
import type { Extents } from './extents.ts';
import { type Head, isSameHead } from './head.ts';
import { ObjectFiles } from './object-files.ts';
import { Parts } from './parts.ts';
import { ShardEpochs } from './shard-epochs.ts';

export interface CatalogOptions {
  readonly cacheDir: string;
  readonly scratch: Scratch;
  readonly extents: Extents;
  /** Room for epochs of objects that had none. */
  readonly epochRoom: EpochRoom;
  /** Objects whose heads are kept in memory. */
  readonly maxEntries: number;
  /** True when no other process uses the volume, so that what is in memory can't have been overtaken. */
  readonly alone: () => boolean;
  /** Now on the volume's clock, ms. */
  readonly now: () => number;
  readonly onCorrupt: (path: string) => void;
  /** An upload is one that nobody has read no longer: S3 has told a reader of it, or of another version, or that it is gone. */
  readonly onRead: (entry: ObjectEntry) => void;
  /** Something of an object is, or is going to be, kept. */
  readonly onKnown: (entry: ObjectEntry) => void;
  /** The volume did not give out what may be there; reads go on without it. */
  readonly onUnread: (error: Error) => void;
  /** A state: undefined when the volume has taken what it refused. */
  readonly onProblem: (message: string | undefined) => void;
}

/** Heads, stamps and epochs, in memory before disk. */
export class Catalog {
  readonly #options: CatalogOptions;
  readonly #entries: LRUCache<string, ObjectEntry>;
  /** Evicted, but in a reader's hands perhaps: there is never a second entry of an object beside one in use. */
  readonly #evicted = new Map<string, WeakRef<ObjectEntry>>();
  readonly #collected = new FinalizationRegistry<string>(key => {
    if (this.#evicted.get(key)?.deref() === undefined) this.#evicted.delete(key);
  });
  readonly #looking = new Map<string, Promise<ObjectEntry>>();
  readonly #shards: ShardEpochs;
  readonly #dirty: DirtyEpochs;
  readonly #files: ObjectFiles;
  readonly parts: Parts;

  constructor(options: CatalogOptions) {
    this.#options = options;
    const shards = new ShardEpochs(options);
    this.#shards = shards;
    this.#dirty = new DirtyEpochs({ ...options, shards, room: options.epochRoom });
    this.#files = new ObjectFiles({ ...options, shards });
    this.parts = new Parts(options);
    this.#entries = new LRUCache({
      max: options.maxEntries,
      dispose: (entry, key, reason) => {
        if (reason !== 'evict') return;
        this.#evicted.set(key, new WeakRef(entry));
        this.#collected.register(entry, key);
      },
    });
  }

  /**
   * What is in memory, if it was looked at recently enough to be used without the disk. What S3 has to be asked about anyway is
   * looked at anew: another process may have it from an upload just now.
   */
  recent(address: ObjectAddress): ObjectEntry | undefined {
    const entry = this.#entries.get(address.storeKey);
    if (!entry) return undefined;
    if (this.#options.alone()) return entry.lookedAt > 0 ? entry : undefined;
    const current = entry.head && entry.headEpoch === entry.epoch;
    return current && performance.now() - entry.lookedAt < LOOK_EVERY ? entry : undefined;
  }

  /** The entry after a look at the volume. When the volume can't be read, what is in memory, which then is no fresher than that. */
  async look(address: ObjectAddress): Promise<ObjectEntry> {
    const recent = this.recent(address);
    if (recent) return recent;
    let looking = this.#looking.get(address.storeKey);
    if (!looking) {
      looking = this.#look(this.entry(address)).finally(() => {
        if (this.#looking.get(address.storeKey) === looking) this.#looking.delete(address.storeKey);
      });
      this.#looking.set(address.storeKey, looking);
    }
    return looking;
  }

  /** Another process has written these objects: who reads one from now on looks at the volume, and not with those who do already. */
  lookAgain(storeKeys: readonly string[]): void {
    for (const key of storeKeys) {
      this.#looking.delete(key);
      const entry = this.known(key);
      this.#shards.lookAgain(this.#shards.of(entry?.paths.hash ?? objectHash({ storeKey: key })));
      if (!entry) continue;
      entry.lookedAt = Number.NEGATIVE_INFINITY;
      entry.told++;
    }
  }

  isDirty(entry: ObjectEntry): boolean {
    return this.#dirty.has(entry);
  }

  get dirtyCount(): number {
    return this.#dirty.size;
  }

  /** Replaces the epoch of each object, on disk within the deadline or else in the dirty set; never rejects. */
  async moveOn(objects: readonly ObjectAddress[]): Promise<void> {
    await Promise.all(objects.map(address => this.#dirty.moveOn(this.entry(address))));
  }

  /** Resolves when the object's latest epoch is on the volume, or the volume has refused it. */
  recorded(entry: ObjectEntry): Promise<void> {
    return this.#dirty.recorded(entry);
  }

  /** Makes `head` current in memory. */
  adopt(entry: ObjectEntry, head: Head, validatedAt: number, epoch: string): void {
    const old = entry.head;
    if (old?.written !== undefined && head.written === undefined) this.#options.onRead(entry);
    this.#options.onKnown(entry);
    entry.setHead(head, validatedAt, epoch, entry.inline && old?.version === head.version);
    // As good as a look when S3 was asked, but for what another process has told since.
    const asked = performance.now() - Math.max(0, this.#options.now() - validatedAt);
    if (entry.told === entry.heard) entry.lookedAt = Math.max(entry.lookedAt, asked);
    this.#entries.set(entry.address.storeKey, entry);
    if (old && old.version !== head.version) void this.#options.extents.removeAll(entry, old);
    // The new one may come to the disk late or never, and the other processes, or this one after a restart, must not go by the old.
    if (old && entry.filed && !isSameHead(old, head)) this.#distrustOlder(entry, old);
  }

  /**
   * Writes the entry's head to disk, with `body` (an extent) behind it where the object is small. `epoch` is the object's when
   * S3 was asked. Where another process has moved that on since, what S3 said is of the past, and must not take the place of
   * what that process may have stored: nothing is written. (Between the look and the rename it still could; then the older
   * version is there as one of an older epoch, which is never fresh.)
   */
  async publish(entry: ObjectEntry, head: Head, validatedAt: number, epoch: string, body?: Buffer): Promise<void> {
    const mayReplace = async () => !(await this.#files.overtaken(entry, epoch));
    await this.#written(entry, this.#files.write(entry, head, { validatedAt, epoch }, body, mayReplace));
  }

  /**
   * Writes the head of an upload to disk, with `body` behind it where it is small. It carries no epoch: its first reader asks S3,
   * however many writes there were at the same time, and whichever of them comes last to the disk. What it must not take the
   * place of is a head that S3 has vouched for in the object's present epoch, so since the last of these writes. Returns the size
   * of the file, or undefined where there is such a head of another process.
   */
  async publishWritten(entry: ObjectEntry, head: Head, body?: Buffer): Promise<number | undefined> {
    const mayReplace = async () => {
      const [epoch, found] = await Promise.all([this.#files.epoch(entry), this.#files.decoded(entry)]);
      return found === undefined || found.head.written !== undefined || found.stamp.epoch !== epoch;
    };
    return this.#written(entry, this.#files.write(entry, head, { validatedAt: 0, epoch: '' }, body, mayReplace));
  }

  /** S3 vouched for the head again. On disk the stamp is overwritten at most once a second, and only where a ttl makes use of it. */
  touch(entry: ObjectEntry, validatedAt: number, epoch: string, ttl: number): void {
    if (validatedAt < entry.validatedAt && epoch === entry.headEpoch) return;
    entry.validatedAt = validatedAt;
    entry.headEpoch = epoch;
    entry.revision++;
    const now = performance.now();
    if (!entry.head || ttl <= 0 || now - entry.stampedAt < LOOK_EVERY) return;
    entry.stampedAt = now;
    void this.#files.stamp(entry, entry.head, { validatedAt, epoch }).catch(() => {
      entry.stampedAt = Number.NEGATIVE_INFINITY;
    });
  }

  /** S3 has contradicted the head: it is a candidate to ask about, whatever its stamp says. */
  distrust(entry: ObjectEntry): void {
    const { head, headEpoch } = entry;
    entry.headEpoch = '!';
    entry.revision++;
    if (!head || headEpoch === '!') return;
    // On the volume, too: another process, or the next look of this one, would take the head for fresh again.
    void this.#files.stamp(entry, head, { validatedAt: 0, epoch: headEpoch }).catch(() => {});
  }

  #distrustOlder(entry: ObjectEntry, old: Head): void {
    void this.#files.distrustOlder(entry, old).catch(() => {});
  }

  /** S3 says the object is gone: its head goes, and its bytes; not what another process has written since. */
  async drop(entry: ObjectEntry): Promise<void> {
    const { head, epoch } = entry;
    if (head?.written !== undefined) this.#options.onRead(entry);
    entry.setHead(undefined, 0, '', false);
    if (!head) return;
    await this.#files.remove(entry, epoch).catch(error => this.#options.onUnread(error));
    if (entry.head?.version !== head.version) await this.#options.extents.removeAll(entry, head);
  }

  /** What is in memory of an object is of the past, and the next reader looks at the volume: its files were removed. */
  forget(storeKey: string, { epoch }: { readonly epoch: boolean } = { epoch: false }): void {
    const entry = this.known(storeKey);
    if (!entry || this.#dirty.has(entry)) return;
    if (entry.head?.written !== undefined) this.#options.onRead(entry);
    entry.setHead(undefined, 0, '', false);
    entry.filed = false;
    entry.lookedAt = Number.NEGATIVE_INFINITY;
    if (!epoch) return;
    entry.ownEpoch = '';
    entry.writes++;
  }

  /** The same for all objects in memory that `are`. */
  forgetThose(are: (entry: ObjectEntry) => boolean): void {
    const evicted = [...this.#evicted.values()].map(ref => ref.deref());
    for (const entry of [...this.#entries.values(), ...evicted])
      if (entry && are(entry)) this.forget(entry.address.storeKey);
  }

  /** What is in memory of an object. */
  known(storeKey: string): ObjectEntry | undefined {
    return this.#entries.peek(storeKey) ?? this.#evicted.get(storeKey)?.deref();
  }

  /** The object was deleted by a write that gave it this epoch: what was kept goes, unless it was written or read again since. */
  async dropDeleted(entry: ObjectEntry, epoch: string): Promise<void> {
    await this.look(entry.address);
    if (!entry.head || (await this.#files.overtaken(entry, epoch))) return;
    if (entry.epoch === epoch && entry.headEpoch !== epoch) await this.drop(entry);
  }

  /** The head file's body, which follows its JSON line, or undefined. */
  async inlineBody(entry: ObjectEntry): Promise<Buffer | undefined> {
    return entry.head ? this.#files.body(entry, entry.head) : undefined;
  }

  close(): void {
    this.#dirty.close();
  }

  /** What this process knows of an object, which may be nothing or old. */
  entry(address: ObjectAddress): ObjectEntry {
    const key = address.storeKey;
    const kept = this.#entries.get(key);
    if (kept) return kept;
    const entry =
      this.#dirty.entry(key) ??
      this.#evicted.get(key)?.deref() ??
      new ObjectEntry(this.#options.cacheDir, address, hash => this.#shards.of(hash));
    this.#evicted.delete(key);
    this.#entries.set(key, entry);
    this.#options.onKnown(entry);
    return entry;
  }

  async #written(entry: ObjectEntry, writing: Promise<number | undefined>): Promise<number | undefined> {
    const size = await writing;
    // The body may be in the head file: then ranges of it that were read before go.
    if (size !== undefined && entry.inline) this.#options.extents.removeKnown(entry);
    return size;
  }

  async #look(entry: ObjectEntry): Promise<ObjectEntry> {
    const began = performance.now();
    const { revision, writes, told } = entry;
    try {
      const [epoch, file] = await Promise.all([this.#files.ownEpoch(entry), this.#files.head(entry)]);
      // What this process has written meanwhile is newer, and so is what was found by a look that began later.
      if (entry.writes !== writes || this.#dirty.has(entry) || began < entry.lookBegan) return entry;
      entry.lookBegan = began;
      this.#adoptEpoch(entry, epoch);
      // The head that it has learnt meanwhile is, too; in which epoch that counts is what was found.
      if (entry.revision !== revision) return entry;
      // Another process may have written it so long ago that not even the epoch is left: then only a head that is there counts.
      if (began - entry.lookedAt > EPOCH_KEPT) entry.headEpoch = '!';
      // Of a write that was told of meanwhile the next look knows.
      entry.heard = told;
      if (entry.told === told) entry.lookedAt = began;
      this.#adopt(entry, file);
    } catch (error) {
      this.#options.onUnread(error as Error);
      // The reader goes on with what is in memory, as not vouched for.
      entry.headEpoch = '!';
    }
    return entry;
  }

  /** One that is gone or damaged can't be told from none, which would bring back what was true before the write: there must be a new one. */
  #adoptEpoch(entry: ObjectEntry, found: string): void {
    if (isEpoch(found) || (found === '' && entry.ownEpoch === '')) {
      entry.ownEpoch = found;
      return;
    }
    this.#options.onCorrupt(entry.paths.epoch);
    void this.#dirty.moveOn(entry);
  }

  /** Takes over what the volume has, unless what this process has learnt is newer and not there (yet). */
  #adopt(entry: ObjectEntry, file: Buffer | undefined): void {
    const wasFiled = entry.filed;
    const isCurrent = entry.head !== undefined && entry.headEpoch === entry.epoch;
    entry.filed = file !== undefined;
    if (!file) {
      // One that was never there is worth a question to S3, at least.
      if (wasFiled) entry.setHead(undefined, 0, '', false);
      return;
    }
    const found = safely(() => decodeHead(entry.address.storeKey, file));
    if (!found) {
      this.#options.onCorrupt(entry.paths.head);
      void this.#options.scratch.remove(entry.paths.head).catch(() => {});
      entry.setHead(undefined, 0, '', false);
      return;
    }
    const isSame = isSameHead(entry.head, found.head);
    const isOlder = found.stamp.epoch !== entry.epoch || found.stamp.validatedAt < entry.validatedAt;
    if (isCurrent && isOlder && !isSame) {
      entry.inline &&= entry.head?.version === found.head.version;
      const { validatedAt, epoch } = found.stamp;
      if (validatedAt > 0 && epoch === entry.epoch) this.#distrustOlder(entry, found.head);
      return;
    }
    if (entry.head?.written !== undefined && found.head.written === undefined) this.#options.onRead(entry);
    const head = isSame && entry.head ? entry.head : found.head;
    entry.setHead(head, found.stamp.validatedAt, found.stamp.epoch, file.length > found.bodyAt);
  }
}

function safely<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}
