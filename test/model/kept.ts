import type { Subject } from './world.ts';

/** Something that happened to an object, or to all (undefined), from one moment to another. */
export interface Act {
  readonly kind: 'read' | 'write' | 'other';
  readonly subject: Subject | undefined;
  readonly from: number;
  until: number;
  /** Read: id of the version that was given in answer to a plain question; and whether it was all of it. */
  readonly version?: string;
  readonly whole?: boolean;
  /** Read: how many bodies came from S3 meanwhile. */
  readonly bodies?: number;
  readonly wasDisturbed?: boolean;
  /** Write: id of the version that a proxy should have kept all of. */
  keeps?: string | undefined;
  /** Write: S3 has not done it. */
  refused?: boolean;
}

/**
 * What the cache had when nothing else came between: of an upload when it was read, and of an object that had been read
 * before a write of it failed. Not a rule, since room may be short; but what should come about nearly always.
 */
export function keptCounts(acts: readonly Act[]): string[] {
  return acts.flatMap(read => {
    if (read.kind !== 'read' || read.version === undefined || read.wasDisturbed) return [];
    const before = acts.filter(
      act => act !== read && act.from <= read.until && (act.subject ?? read.subject) === read.subject,
    );
    const [last, first] = before.sort((a, b) => b.from - a.from);
    // Each was over before the next began.
    const isAlone = (from: Act, ...others: readonly (Act | undefined)[]) =>
      before.every(act => act === from || others.includes(act) || act.until < from.from) && from.until <= read.from;
    if (last?.keeps === read.version && isAlone(last)) return counted('uploads', read);
    if (!last?.refused || first?.whole !== true || first.version !== read.version) return [];
    return isAlone(last, first) && isAlone(first, last) && first.until <= last.from
      ? counted('objects after a failed write', read)
      : [];
  });
}

/** Objects that were read while a write of them was under way. */
export function raced(acts: readonly Act[]): Subject[] {
  return acts.flatMap(write => {
    const reads = acts.filter(({ kind, subject }) => kind === 'read' && subject === write.subject);
    const isRaced =
      write.kind === 'write' && reads.some(({ from, until }) => from <= write.until && until >= write.from);
    return isRaced && write.subject ? [write.subject] : [];
  });
}

function counted(what: string, { bodies = 0 }: Act): string[] {
  return [`${what} read`, ...(bodies === 0 ? [`${what} read without a body`] : [])];
}
