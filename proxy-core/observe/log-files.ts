import { appendFile, mkdir, readdir, rmdir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/**
 * Appends whole lines to a file that only this user can read (logs name buckets and keys), and makes its folder where it
 * is missing. The file is opened anew each time: one that was moved or removed meanwhile is simply made again.
 */
export async function appendTo(path: string, text: string): Promise<void> {
  try {
    await appendFile(path, text, { mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await appendFile(path, text, { mode: 0o600 });
  }
}

/** `2026-11-22` of a time in ms, UTC. */
export function dayOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}

/** The last day whose logs are no longer kept: a day goes when all of it is more than `days` days ago. */
export function lastDayToRemove(now: number, days: number): string {
  return dayOf(now - (days + 1) * 86_400_000);
}

/** Removes what matches `name` (its first group is the day) in `dir` and is of `lastDay` or older. Other files stay. */
export async function removeOldFiles(dir: string, name: RegExp, lastDay: string): Promise<void> {
  for (const file of await list(dir)) {
    const day = name.exec(file)?.[1];
    if (day !== undefined && day <= lastDay) await unlink(join(dir, file)).catch(ignoreMissing);
  }
}

/** The same for `dir/YYYY/MM/DD/`, then removes the folders this leaves empty. */
export async function removeOldDays(dir: string, name: RegExp, lastDay: string): Promise<void> {
  for (const year of await list(dir, /^\d{4}$/)) {
    if (year > lastDay.slice(0, 4)) continue;
    for (const month of await list(join(dir, year), /^\d\d$/)) {
      for (const day of await list(join(dir, year, month), /^\d\d$/)) {
        if (`${year}-${month}-${day}` > lastDay) continue;
        const folder = join(dir, year, month, day);
        await removeOldFiles(folder, name, lastDay);
        await rmdir(folder).catch(ignoreInUse);
      }
      await rmdir(join(dir, year, month)).catch(ignoreInUse);
    }
    await rmdir(join(dir, year)).catch(ignoreInUse);
  }
}

/** Waits for the work, but no longer than this: a hung disk must not hold up a stop. */
export async function withinDeadline(work: Promise<void> | undefined, milliseconds: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<void>(resolve => {
    timer = setTimeout(resolve, milliseconds);
  });
  await Promise.race([work, deadline]);
  clearTimeout(timer);
}

async function list(dir: string, pattern = /./): Promise<string[]> {
  try {
    return (await readdir(dir)).filter(name => pattern.test(name));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw error;
  }
}

/** Another process on the same folder was first. */
function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}

/** Somebody else's file keeps the folder; so be it. */
function ignoreInUse(error: NodeJS.ErrnoException): void {
  if (!['ENOTEMPTY', 'EEXIST', 'ENOENT', 'ENOTDIR'].includes(error.code ?? '')) throw error;
}
