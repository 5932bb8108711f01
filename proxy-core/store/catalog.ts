import { randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { ObjectAddress, Span } from '../request/index.ts';
import { EXTENT } from './disk/extent-format.ts';
import type { Extent } from './disk/extent-index.ts';
import { decodeHead, encodeHead, encodeStamp } from './disk/head-file.ts';
import { gibOf, parseSpan } from './disk/paths.ts';
import type { Scratch } from './disk/scratch.ts';
import { ObjectEntry } from './entry.ts';
import type { Head, Part } from './head.ts';

/** How long what was seen on the volume may be relied on without another look, ms (design sections 6 and 7). */
const LOOK_EVERY = 1000;
const DIRTY_RETRY = 1000;

export interface CatalogOptions {
  readonly cacheDir: string;
  readonly scratch: Scratch;
  /** Objects whose heads are kept in memory. */
  readonly maxEntries: number;
  /** Now on the volume's clock, ms. */
  readonly now: () => number;
  /** True when no other process uses the volume, so that what is in memory can't have been overtaken. */
  readonly alone: () => boolean;
  readonly onCorrupt: (path: string) => void;
  readonly onProblem: (message: string) => void;
  /** Allocated size of a head file that was written or removed (negative), bytes. */
  readonly onBytes: (bytes: number) => void;
}

/**
 * Heads, stamps and epochs, in memory before disk. An epoch on disk is how a write through one process is seen by all:
 * it is replaced after S3's answer and before the writer's client hears of it (design section 5).
 */
export class Catalog {
  readonly #options: CatalogOptions;
  readonly #entries: LRUCache<string, ObjectEntry>;
  readonly #looking = new Map<string, Promise<ObjectEntry>>();
  /** Objects whose new epoch the disk has not taken yet: S3 is asked about them each time. */
  readonly #dirty = new Map<string, { entry: ObjectEntry; epoch: string }>();
  #dirtyTimer: NodeJS.Timeout | undefined;

  constructor(options: CatalogOptions) {
    this.#options = options;
    this.#entries = new LRUCache({ max: options.maxEntries });
  }

  /** What is in memory, if it was looked at recently enough to be used without the disk. */
  recent(address: ObjectAddress): ObjectEntry | undefined {
    const entry = this.#entries.get(address.storeKey);
    if (!entry) return undefined;
    if (this.#options.alone() ? entry.lookedAt > 0 : performance.now() - entry.lookedAt < LOOK_EVERY) return entry;
    return undefined;
  }

  /** The entry after a look at the volume. When the volume can't be read, what is in memory, which then is no fresher than that. */
  async look(address: ObjectAddress): Promise<ObjectEntry> {
    const recent = this.recent(address);
    if (recent) return recent;
    let looking = this.#looking.get(address.storeKey);
    if (!looking) {
      looking = this.#look(this.#entry(address)).finally(() => this.#looking.delete(address.storeKey));
      this.#looking.set(address.storeKey, looking);
    }
    return looking;
  }

  isDirty(entry: ObjectEntry): boolean {
    return this.#dirty.size > 0 && this.#dirty.has(entry.address.storeKey);
  }

  get dirtyCount(): number {
    return this.#dirty.size;
  }

  /** Replaces the epoch of each object, on disk within the deadline or else in the dirty set; never rejects. */
  async moveOn(objects: readonly ObjectAddress[]): Promise<void> {
    await Promise.all(
      objects.map(async address => {
        const entry = this.#entry(address);
        const epoch = randomBytes(16).toString('hex');
        entry.epoch = epoch;
        entry.revision++;
        try {
          await this.#writeEpoch(entry, epoch);
          this.#dirty.delete(address.storeKey);
        } catch (error) {
          this.#dirty.set(address.storeKey, { entry, epoch });
          this.#options.onProblem(
            `a write could not be recorded on the cache volume (${(error as Error).message}); S3 is asked about it each time`,
          );
          this.#retryDirty();
        }
      }),
    );
  }

  /** Makes `head` current in memory. */
  adopt(entry: ObjectEntry, head: Head, validatedAt: number, epoch: string): void {
    const old = entry.head;
    entry.setHead(head, validatedAt, epoch, entry.inline && old?.version === head.version);
    entry.lookedAt = performance.now();
    this.#entries.set(entry.address.storeKey, entry);
    if (old && old.version !== head.version) void this.#removeBodies(entry, old);
  }

  /** Writes the entry's head to disk, with `body` (an extent) behind it where the object is small. */
  async publish(entry: ObjectEntry, head: Head, validatedAt: number, epoch: string, body?: Buffer): Promise<void> {
    const kept = body ?? (entry.inline ? await this.#oldBody(entry, head) : undefined);
    const file = encodeHead(entry.address.storeKey, head, { validatedAt, epoch });
    await this.#options.scratch.publish(entry.paths.head, entry.paths.leaf, kept ? Buffer.concat([file, kept]) : file);
    if (entry.head?.version === head.version && kept) entry.inline = true;
  }

  /** S3 vouched for the head again. On disk the stamp is overwritten at most once a second, and only where a ttl makes use of it. */
  touch(entry: ObjectEntry, validatedAt: number, epoch: string, ttl: number): void {
    if (validatedAt < entry.validatedAt && epoch === entry.headEpoch) return;
    entry.validatedAt = validatedAt;
    entry.headEpoch = epoch;
    entry.revision++;
    const now = performance.now();
    if (ttl <= 0 || now - entry.stampedAt < LOOK_EVERY) return;
    entry.stampedAt = now;
    void this.#options.scratch
      .overwrite(entry.paths.head, Buffer.from(encodeStamp({ validatedAt, epoch }), 'latin1'))
      .catch(() => {
        entry.stampedAt = Number.NEGATIVE_INFINITY;
      });
  }

  /** S3 has contradicted the head: it is a candidate to ask about, whatever its stamp says. */
  distrust(entry: ObjectEntry): void {
    entry.headEpoch = '!';
    entry.revision++;
  }

  /** S3 says the object is gone: its head goes, and its bytes. */
  async drop(entry: ObjectEntry): Promise<void> {
    const head = entry.head;
    entry.setHead(undefined, 0, '', false);
    if (!head) return;
    await this.#options.scratch.volume.unlink(entry.paths.head).catch(() => {});
    await this.#removeBodies(entry, head);
  }

  /** The head file's body, which follows its JSON line, or undefined. */
  async inlineBody(entry: ObjectEntry): Promise<Buffer | undefined> {
    return entry.head ? this.#oldBody(entry, entry.head) : undefined;
  }

  /** Brings the index for `offset` up to date with the directory, unless that was done within the last second. */
  async list(entry: ObjectEntry, offset: number): Promise<void> {
    const head = entry.head;
    if (!head) return;
    const index = entry.index(offset);
    const now = performance.now();
    if (index.listedAt > 0 && (this.#options.alone() || now - index.listedAt < LOOK_EVERY)) return;
    const { folder, prefix } = entry.paths.extents(head.version, head.length, gibOf(offset));
    const names = await this.#options.scratch.volume.readdir(folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    if (entry.head?.version !== head.version) return;
    const extents: Extent[] = [];
    for (const name of names) {
      const span = name.startsWith(prefix) ? parseSpan(name.slice(prefix.length)) : undefined;
      if (span && span.end < head.length && span.end - span.start < EXTENT)
        extents.push({ ...span, path: `${folder}/${name}` });
    }
    index.replace(extents, now);
  }

  async part(entry: ObjectEntry, number: number): Promise<Part | undefined> {
    const head = entry.head;
    if (!head) return undefined;
    const known = entry.parts.get(number);
    if (known) return known;
    try {
      const part = JSON.parse(
        (await this.#options.scratch.volume.readFile(entry.paths.part(head.version, head.length, number))).toString(
          'latin1',
        ),
      ) as Part;
      entry.parts.set(number, part);
      return part;
    } catch {
      return undefined;
    }
  }

  async publishPart(entry: ObjectEntry, head: Head, number: number, part: Part): Promise<void> {
    if (entry.head?.version !== head.version) return;
    entry.parts.set(number, part);
    const path = entry.paths.part(head.version, head.length, number);
    await this.#options.scratch.publish(
      path,
      path.slice(0, path.lastIndexOf('/')),
      Buffer.from(JSON.stringify(part), 'latin1'),
    );
  }

  close(): void {
    clearTimeout(this.#dirtyTimer);
  }

  #entry(address: ObjectAddress): ObjectEntry {
    let entry = this.#entries.get(address.storeKey) ?? this.#dirty.get(address.storeKey)?.entry;
    if (!entry) {
      entry = new ObjectEntry(this.#options.cacheDir, address);
      this.#entries.set(address.storeKey, entry);
    }
    return entry;
  }

  async #look(entry: ObjectEntry): Promise<ObjectEntry> {
    const { volume } = this.#options.scratch;
    const missing = (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR' || error.code === 'ESTALE') return undefined;
      throw error;
    };
    const began = performance.now();
    const { revision } = entry;
    try {
      const [epoch, file] = await Promise.all([
        volume.readFile(entry.paths.epoch).catch(missing),
        volume.readFile(entry.paths.head).catch(missing),
      ]);
      entry.lookedAt = began;
      if (entry.revision !== revision || this.#dirty.has(entry.address.storeKey)) return entry;
      entry.epoch = epoch === undefined ? '' : epoch.toString('latin1');
      this.#adopt(entry, file);
    } catch {
      // The volume can't be read now: the reader goes on with what is in memory, as not vouched for.
      entry.headEpoch = '!';
    }
    return entry;
  }

  #adopt(entry: ObjectEntry, file: Buffer | undefined): void {
    if (!file) {
      entry.setHead(undefined, 0, '', false);
      return;
    }
    const found = safely(() => decodeHead(entry.address.storeKey, file));
    if (!found) {
      this.#options.onCorrupt(entry.paths.head);
      void this.#options.scratch.volume.unlink(entry.paths.head).catch(() => {});
      entry.setHead(undefined, 0, '', false);
      return;
    }
    const head =
      entry.head?.version === found.head.version && sameHeaders(entry.head, found.head) ? entry.head : found.head;
    entry.setHead(head, found.stamp.validatedAt, found.stamp.epoch, file.length > found.bodyAt);
  }

  async #oldBody(entry: ObjectEntry, head: Head): Promise<Buffer | undefined> {
    const file = await this.#options.scratch.volume.readFile(entry.paths.head).catch(() => undefined);
    const found = file && safely(() => decodeHead(entry.address.storeKey, file));
    return file && found && found.head.version === head.version && file.length > found.bodyAt
      ? file.subarray(found.bodyAt)
      : undefined;
  }

  async #removeBodies(entry: ObjectEntry, old: Head): Promise<void> {
    const { volume } = this.#options.scratch;
    if (old.length > EXTENT) {
      await volume.remove(`${entry.paths.tree}/${old.version}`).catch(() => {});
      return;
    }
    const prefix = `${entry.paths.hash}.${old.version}.`;
    const names = await volume.readdir(entry.paths.leaf).catch(() => [] as string[]);
    for (const name of names)
      if (name.startsWith(prefix)) await volume.unlink(`${entry.paths.leaf}/${name}`).catch(() => {});
  }

  async #writeEpoch(entry: ObjectEntry, epoch: string): Promise<void> {
    await this.#options.scratch.publish(entry.paths.epoch, entry.paths.leaf, Buffer.from(epoch, 'latin1'));
  }

  #retryDirty(): void {
    this.#dirtyTimer ??= setTimeout(() => {
      this.#dirtyTimer = undefined;
      const waiting = [...this.#dirty];
      void Promise.all(
        waiting.map(async ([key, { entry, epoch }]) => {
          try {
            await this.#writeEpoch(entry, epoch);
            if (this.#dirty.get(key)?.epoch === epoch) this.#dirty.delete(key);
          } catch {
            // Stays dirty; the next round tries again.
          }
        }),
      ).then(() => {
        if (this.#dirty.size > 0) this.#retryDirty();
      });
    }, DIRTY_RETRY).unref();
  }
}

export function covers(span: Span, offset: number): boolean {
  return span.start <= offset && offset <= span.end;
}

function sameHeaders(a: Head, b: Head): boolean {
  return (
    a.checksumsKnown === b.checksumsKnown &&
    a.headers.length === b.headers.length &&
    a.headers.every((value, i) => value === b.headers[i])
  );
}

function safely<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}
