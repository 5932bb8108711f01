const FIRST_MS = 100;
const SECOND_MS = 500;
const LONGEST_MS = 30_000;

/** A core that served this long was well; its next end counts as the first. */
export const WELL_AFTER_MS = 30_000;

/**
 * How long to wait before the core is started again, after it ended `failures` times in a row (1 = the first): at once for
 * a single end, so that clients see a pause of well under two seconds; slower and slower for a core that can't stay up.
 */
export function restartDelay(failures: number): number {
  return failures <= 1 ? FIRST_MS : Math.min(LONGEST_MS, SECOND_MS * 2 ** (failures - 2));
}
