import { headerValue } from '../request/index.ts';
import { decodePart, encodePart } from './disk/head-file.ts';
import { readOrNone } from './disk/read-file.ts';
import type { Scratch } from './disk/scratch.ts';
import type { ObjectEntry } from './entry.ts';
import { type Head, isSameWriting, type Part, type Writing, writingOf } from './head.ts';
import { PartsTables } from './uploads/parts-tables.ts';

export interface PartsOptions {
  readonly scratch: Scratch;
  readonly onCorrupt: (path: string) => void;
  /** The volume did not give out what may be there. */
  readonly onUnread: (error: Error) => void;
}

/**
 * What is known of the parts of objects: where S3 has answered a request for one, a file for that; where the upload came through
 * Cistern, a table of all. They are of a version, whose parts are always the same; checksums are of one writing of it.
 */
export class Parts {
  readonly tables: PartsTables;
  readonly #options: PartsOptions;

  constructor(options: PartsOptions) {
    this.#options = options;
    this.tables = new PartsTables(options);
  }

  /** A part of the entry's version; undefined where nothing is known of it. */
  async look(entry: ObjectEntry, number: number): Promise<Part | undefined> {
    const { head } = entry;
    if (!head) return undefined;
    const current = writingOf(head);
    const known = entry.parts.get(number);
    if (known && isSameWriting(known, current)) return known;
    const seen = await this.#read(entry, head, number);
    if (seen && isSameWriting(seen, current)) {
      if (entry.head?.version === head.version) entry.parts.set(number, seen);
      return seen;
    }
    const told = await this.tables.part(entry, head, number);
    if (told && isSameWriting(told, current)) return told;
    const found = told ?? seen;
    return found && withoutChecksums(found, current);
  }

  async publish(entry: ObjectEntry, head: Head, number: number, part: Part): Promise<void> {
    if (entry.head?.version !== head.version) return;
    entry.parts.set(number, part);
    const path = entry.paths.part(head.version, head.length, number);
    await this.#options.scratch.publish(
      path,
      path.slice(0, path.lastIndexOf('/')),
      encodePart(entry.address.storeKey, head.version, number, part),
    );
  }

  async #read({ address, paths }: ObjectEntry, head: Head, number: number): Promise<Part | undefined> {
    const { scratch, onCorrupt, onUnread } = this.#options;
    const path = paths.part(head.version, head.length, number);
    const file = await readOrNone(scratch.volume, path).catch(error => {
      onUnread(error as Error);
      return undefined;
    });
    if (!file) return undefined;
    const part = decodePart(address.storeKey, head.version, number, file);
    if (part) return part;
    onCorrupt(path);
    void scratch.remove(path).catch(() => {});
    return undefined;
  }
}

/** The same bytes have been written again, perhaps with other checksums. */
function withoutChecksums({ start, end, headers }: Part, current: Writing): Part {
  const count = headerValue(headers, 'x-amz-mp-parts-count');
  return {
    start,
    end,
    headers: count === undefined ? [] : ['x-amz-mp-parts-count', count],
    checksumsKnown: false,
    ...current,
  };
}
