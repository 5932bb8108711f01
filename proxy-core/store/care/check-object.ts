import type { Stats } from 'node:fs';
import { dirname } from 'node:path';
import type { BufferPool } from '../buffer-pool.ts';
import type { Catalog } from '../catalog.ts';
import type { Disk } from '../disk/disk.ts';
import { inWords, isMissing } from '../disk/disk-error.ts';
import { EXTENT } from '../disk/extent-format.ts';
import { decodePart } from '../disk/head-file.ts';
import { DiskUnavailable } from '../disk/operations.ts';
import { allocatedBytes } from '../disk/scratch.ts';
import { isEpoch, newEpoch } from '../epoch.ts';
import type { Extents } from '../extents.ts';
import { decodeParts } from '../uploads/parts-file.ts';
import { checkExtent, checkInline, type Verdict } from './check-content.ts';
import { inOrder } from './coverage.ts';
import type { NamedExtent, ObjectFiles, VersionFiles } from './object-files.ts';
import type { Pace } from './pace.ts';
import type { Remover } from './remover.ts';
import { readUpTo, type SeenHead, seeHead } from './seen-head.ts';
import { treeFolders } from './tree.ts';
import type { Fault } from './types.ts';

export interface CheckOptions {
  readonly disk: Disk;
  readonly catalog: Catalog;
  readonly extents: Extents;
  readonly pool: BufferPool;
  readonly pace: Pace;
  readonly remover: Remover;
  /** Told of each file that is there. */
  readonly onFile: (allocated: number) => void;
  readonly onFault: (fault: Omit<Fault, 'type' | 'path'>, path: string) => void;
}

/** A file of no use may be of one who is just writing: it is left alone for so long, ms. */
const SETTLED = 15 * 60_000;
/** Without a head it may be in use from memory. Volumes tell of uses at most once a day (relatime). */
const UNUSED = 25 * 3_600_000;

/** Looks at all files of one object: what is damaged goes, what nobody would look for, too. */
export class ObjectCheck {
  readonly #options: CheckOptions;
  readonly #files: ObjectFiles;
  readonly #folder: string;
  #head: SeenHead | undefined;

  constructor(options: CheckOptions, files: ObjectFiles, folder: string) {
    this.#options = options;
    this.#files = files;
    this.#folder = folder;
  }

  async run(): Promise<void> {
    const { disk, pace, remover } = this.#options;
    const { versions, tree, epoch } = this.#files;
    await this.#checkHead();
    for (const [version, files] of versions) await this.#checkVersion(version, files, false);
    if (tree !== undefined) {
      const folders: string[] = [];
      for await (const folder of treeFolders(disk.volume, pace, tree)) {
        for (const name of folder.strange)
          this.#fault('unknown', `${folder.path}/${name}`, "not a file of the store's; left alone");
        await this.#checkVersion(folder.version, folder, true);
        if (folder.version !== this.#head?.head.version) folders.push(folder.path);
      }
      // Those that have become empty go.
      for (const folder of folders.reverse()) await remover.folder(folder);
      await remover.folder(tree);
    }
    if (epoch !== undefined) await this.#checkEpoch(epoch);
  }

  async #checkHead(): Promise<void> {
    const { disk, pace } = this.#options;
    const { head: path, hash, hasHead } = this.#files;
    if (!hasHead) return;
    await this.#try(path, async () => {
      const head = await pace.step(() => seeHead(disk.volume, path, hash, this.#folder));
      if (head === undefined) return;
      if (head === 'damaged') return this.#dropHead(path, 'the head is damaged, or in the wrong place');
      this.#head = head;
      this.#options.onFile(allocatedBytes(head.stats));
      if (head.inline && (await checkInline(disk.volume, pace, path, head)) === 'damaged') {
        await this.#dropHead(path, 'the body in it is damaged');
        this.#head = undefined;
      }
    });
  }

  /** What is in memory of it is forgotten, so that the next reader stores it anew. */
  async #dropHead(path: string, detail: string): Promise<void> {
    const { remover, catalog } = this.#options;
    const { hash } = this.#files;
    this.#fault('damaged', path, detail);
    if (await remover.file(path)) catalog.forgetThose(({ paths }) => paths.hash === hash);
  }

  async #checkVersion(version: string, { extents, parts }: VersionFiles, inTree: boolean): Promise<void> {
    const head = this.#head?.head;
    const isCurrent = head?.version === version && inTree === head.length > EXTENT;
    let covered = -1;
    for (const extent of inOrder(extents)) {
      const why = !isCurrent
        ? this.#whyLeft()
        : extent.end >= head.length || extent.end - extent.start >= EXTENT
          ? 'it reaches beyond the object'
          : this.#head?.inline || extent.end <= covered
            ? 'what it holds is held by another file'
            : undefined;
      if (why !== undefined) await this.#leftover(extent.path, why, extent);
      else if (await this.#isSound(extent, version)) covered = Math.max(covered, extent.end);
    }
    for (const path of parts) {
      if (isCurrent) await this.#checkPart(path);
      else await this.#leftover(path, this.#whyLeft());
    }
  }

  async #isSound(extent: NamedExtent, version: string): Promise<boolean> {
    const { disk, pool, pace } = this.#options;
    let verdict = 'gone' as Verdict;
    await this.#try(extent.path, async () => {
      if (!(await this.#stat(extent.path))) return;
      verdict = await checkExtent(disk.volume, pool, pace, extent, { hash: this.#files.hash, version });
      if (verdict !== 'damaged') return;
      this.#fault('damaged', extent.path, 'its content does not have its checksum');
      await this.#removeExtent(extent);
    });
    return verdict === 'sound';
  }

  async #checkPart(path: string): Promise<void> {
    const { disk, pace, remover } = this.#options;
    const { address, head } = this.#head as SeenHead;
    await this.#try(path, async () => {
      const stats = await this.#stat(path);
      const file = stats && (await pace.step(() => readUpTo(disk.volume, path, stats.size)));
      if (!file) return;
      const number = Number(/part-(\d+)$/.exec(path)?.[1]);
      const isSound = safely(() =>
        Number.isNaN(number)
          ? decodeParts(address.storeKey, head, file.bytes)
          : decodePart(address.storeKey, head.version, number, file.bytes),
      );
      if (isSound) return;
      this.#fault('damaged', path, 'what it tells of parts is damaged');
      await remover.file(path);
    });
  }

  /** One that is damaged can't be told from none, which would bring back what was true before the write: there must be a new one. */
  async #checkEpoch(path: string): Promise<void> {
    const { disk, catalog, pace } = this.#options;
    await this.#try(path, async () => {
      const file = await pace.step(() => readUpTo(disk.volume, path, 64));
      if (!file) return;
      this.#options.onFile(allocatedBytes(file.stats));
      if (isEpoch(file.bytes.toString('latin1'))) return;
      this.#fault('damaged', path, 'the record of a write is damaged; S3 is asked about the object');
      if (this.#head) await catalog.moveOn([this.#head.address]);
      else await disk.scratch.publish(path, dirname(path), Buffer.from(newEpoch(), 'latin1'));
    });
  }

  #whyLeft(): string {
    return this.#head ? 'it is of another version than the current one' : 'nothing is known of its object any more';
  }

  /** Removes what nobody would look for, once it has not been touched for long enough. */
  async #leftover(path: string, why: string, extent?: NamedExtent): Promise<void> {
    const { disk, remover } = this.#options;
    await this.#try(path, async () => {
      const stats = await this.#stat(path);
      if (!stats) return;
      const { ctimeMs, mtimeMs, atimeMs } = stats;
      const quiet = this.#head
        ? disk.now() - ctimeMs > SETTLED
        : disk.now() - Math.max(ctimeMs, mtimeMs, atimeMs) > UNUSED;
      if (!quiet) return;
      this.#fault('leftover', path, why);
      if (extent) await this.#removeExtent(extent);
      else await remover.file(path, allocatedBytes(stats));
    });
  }

  /** Readers in this process must not look for it. */
  async #removeExtent(extent: NamedExtent): Promise<void> {
    const { catalog, extents, remover } = this.#options;
    const entry = this.#head && catalog.known(this.#head.address.storeKey);
    const known = entry?.index(extent.start).all.find(({ path }) => path === extent.path);
    if (entry && known) extents.forget(entry, known, false);
    await remover.file(extent.path);
  }

  async #stat(path: string): Promise<Stats | undefined> {
    const { disk, pace, onFile } = this.#options;
    const stats = await pace
      .step(() => disk.volume.stat(path))
      .catch(error => {
        if (!isMissing(error)) throw error;
      });
    if (stats) onFile(allocatedBytes(stats));
    return stats ?? undefined;
  }

  /** A file that the volume does not give out is told and passed over; a volume that does not answer is the end. */
  async #try(path: string, look: () => Promise<void>): Promise<void> {
    try {
      await look();
    } catch (error) {
      if (this.#options.pace.signal.aborted || error instanceof DiskUnavailable) throw error;
      this.#fault('unreadable', path, inWords(error));
    }
  }

  #fault(what: Fault['what'], path: string, detail: string): void {
    const address = this.#head?.address;
    const of = address && { bucket: address.bucket, key: Buffer.from(address.key, 'latin1').toString('utf8') };
    this.#options.onFault({ what, ...of, detail }, path);
  }
}

function safely<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch {
    // JSON of another shape than ours.
    return undefined;
  }
}
