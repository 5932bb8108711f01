/** Version of what is below a cache folder (design section 6); another one is refused, not guessed. */
export const FORMAT = 1;

/** What is at `cache.cache_dir`. */
export interface Found {
  /** Device of the folder, or where there is none of the nearest one above it. */
  readonly device: number;
  /** Content of `cistern.json`, by which a cache folder is known again. */
  readonly marker: string | undefined;
}

export type Verdict = 'use' | 'make' | 'gone' | 'another' | { readonly unknownFormat: unknown };

/**
 * What to do with the folder, seen from the one in use until now, if there was one. A volume that is not mounted any more
 * leaves an empty mount point on another device, or nothing: then no folder is made, which would be on the system's disk. One
 * whose content was deleted is on the same device as before. After a volume has come back its device may have another number.
 */
export function judge(found: Found, before: Found | undefined): Verdict {
  const sameDevice = before === undefined || found.device === before.device;
  if (found.marker === undefined) return sameDevice ? 'make' : 'gone';
  const format = formatOf(found.marker);
  if (format !== FORMAT) return { unknownFormat: format };
  return sameDevice || found.marker === before.marker ? 'use' : 'another';
}

export function newMarker(): string {
  return `${JSON.stringify({ format: FORMAT, made: new Date().toISOString() })}\n`;
}

function formatOf(marker: string): unknown {
  try {
    return (JSON.parse(marker) as { format?: unknown } | null)?.format ?? 'unknown';
  } catch {
    return 'unknown';
  }
}
