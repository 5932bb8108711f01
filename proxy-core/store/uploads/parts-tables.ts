import { LRUCache } from 'lru-cache';
import { isMissing } from '../disk/disk-error.ts';
import type { Scratch } from '../disk/scratch.ts';
import type { ObjectEntry } from '../entry.ts';
import { type Head, isSameWriting, type Part, writingOf } from '../head.ts';
import { decodeParts, encodeParts, type PartsTable, partOf } from './parts-file.ts';

export interface PartsTablesOptions {
  readonly scratch: Scratch;
  readonly onCorrupt: (path: string) => void;
  /** The volume did not give out what may be there. */
  readonly onUnread: (error: Error) => void;
}

/** Parts, of all objects together, whose places are held in memory: who reads an object by its parts asks for one after the other. */
const PARTS_IN_MEMORY = 100_000;

/** The parts of objects that came by multipart upload: a file beside the extents of each, read when a part is asked for. */
export class PartsTables {
  readonly #options: PartsTablesOptions;
  /** By path of the file, which names object and version. */
  readonly #tables = new LRUCache<string, PartsTable>({
    maxSize: PARTS_IN_MEMORY,
    sizeCalculation: ({ ends }) => ends.length,
  });

  constructor(options: PartsTablesOptions) {
    this.#options = options;
  }

  /** Undefined where nothing is known of it. */
  async part({ paths, address }: ObjectEntry, head: Head, number: number): Promise<Part | undefined> {
    const path = paths.parts(head.version, head.length);
    const known = this.#tables.get(path);
    // Another process may have taken the same bytes again.
    const table =
      known && isSameWriting(known, writingOf(head)) ? known : await this.#read(path, address.storeKey, head);
    return table && partOf(table, number);
  }

  /** Writes what Complete told of the parts of `head`'s version. */
  async publish({ paths, address }: ObjectEntry, head: Head, table: PartsTable): Promise<void> {
    const path = paths.parts(head.version, head.length);
    const folder = path.slice(0, path.lastIndexOf('/'));
    await this.#options.scratch.publish(path, folder, encodeParts(address.storeKey, head.version, table));
    this.#tables.set(path, table);
  }

  async #read(path: string, storeKey: string, head: Head): Promise<PartsTable | undefined> {
    const { scratch, onCorrupt, onUnread } = this.#options;
    try {
      const table = decodeParts(storeKey, head, await scratch.volume.readFile(path));
      if (table) this.#tables.set(path, table);
      else {
        onCorrupt(path);
        await scratch.remove(path);
      }
      return table;
    } catch (error) {
      if (!isMissing(error)) onUnread(error as Error);
      return undefined;
    }
  }
}
